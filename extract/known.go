package extract

// What both vendors document of the four lists, word for word the same: all fields, also those of which we keep nothing,
// in the order of the vendors' examples.

// shape is one kind of object in the answers, as it is known: where it stands, and its fields.
type shape struct {
	resource string
	fields   []string
}

// kind is one kind of list, as it is known.
type kind struct {
	answer shape  // the object around everything
	record shape  // of the list; its resource is the list's key in the answer
	part   shape  // an object in a record, or each of several
	holder string // the field of a record that holds it
}

// kindOf is the kind of list that has a key in the answer, and records with these fields.
func kindOf(key string, fields ...string) kind {
	return kind{answer: shape{"answer", []string{key, "meta"}}, record: shape{key, fields}}
}

// holding is the kind of list of whose records one field holds an object with these fields, or several.
func (k kind) holding(holder string, fields ...string) kind {
	k.holder, k.part = holder, shape{k.record.resource + "." + holder, fields}
	return k
}

var (
	metaObject = shape{"meta", []string{"first_page_url", "key", "next_page_url", "page", "page_size", "previous_page_url", "url"}}

	usageList = kindOf("usage_records", "period", "account_sid", "data_upload", "data_download", "data_total", "data_total_billed",
		"billed_unit", "sim_sid", "fleet_sid", "network_sid", "iso_country").holding("period", "start_time", "end_time")

	// The links of a SIM are not looked into: they are a map, with a key for each list that hangs on the SIM.
	simList = kindOf("sims", "sid", "account_sid", "unique_name", "status", "fleet_sid", "iccid", "date_created", "date_updated", "url", "links")

	fleetList = kindOf("fleets", "account_sid", "unique_name", "data_enabled", "data_limit", "data_metering", "date_created", "date_updated",
		"sms_commands_enabled", "sms_commands_method", "sms_commands_url", "ip_commands_method", "ip_commands_url",
		"network_access_profile_sid", "sid", "url")

	networkList = kindOf("networks", "friendly_name", "iso_country", "identifiers", "sid", "url").holding("identifiers", "mcc", "mnc")
)
