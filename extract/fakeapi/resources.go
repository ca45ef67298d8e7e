package fakeapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// The three lists of names. Their fields are those of the specifications, all of them, as the vendors' examples
// have them.

type simJSON struct {
	SID         string            `json:"sid"`
	UniqueName  *string           `json:"unique_name"`
	AccountSID  string            `json:"account_sid"`
	ICCID       string            `json:"iccid"`
	Status      string            `json:"status"`
	FleetSID    *string           `json:"fleet_sid"`
	DateCreated string            `json:"date_created"`
	DateUpdated string            `json:"date_updated"`
	URL         string            `json:"url"`
	Links       map[string]string `json:"links"`
}

type fleetJSON struct {
	AccountSID         string  `json:"account_sid"`
	SID                string  `json:"sid"`
	UniqueName         *string `json:"unique_name"`
	DateCreated        string  `json:"date_created"`
	DateUpdated        string  `json:"date_updated"`
	URL                string  `json:"url"`
	DataEnabled        bool    `json:"data_enabled"`
	DataLimit          int     `json:"data_limit"`
	DataMetering       string  `json:"data_metering"`
	SMSCommandsEnabled bool    `json:"sms_commands_enabled"`
	SMSCommandsURL     *string `json:"sms_commands_url"`
	SMSCommandsMethod  string  `json:"sms_commands_method"`
	ProfileSID         string  `json:"network_access_profile_sid"`
	IPCommandsURL      *string `json:"ip_commands_url"`
	IPCommandsMethod   string  `json:"ip_commands_method"`
}

type networkJSON struct {
	SID          string       `json:"sid"`
	FriendlyName string       `json:"friendly_name"`
	URL          string       `json:"url"`
	IsoCountry   string       `json:"iso_country"`
	Identifiers  []Identifier `json:"identifiers"`
}

// listSims answers GET /v1/Sims: each SIM with the fleet that it is in today.
func (s *Server) listSims(w http.ResponseWriter, r *http.Request) {
	l, refused := s.open(listing{path: r.URL.Path, key: "sims", names: []string{"Status", "Fleet", "Iccid"}, max: 1000}, r)
	if refused != nil {
		refused.write(w)
		return
	}
	now := s.now()
	status, fleet, iccid := l.query.Get("Status"), s.world.fleetSID(l.query.Get("Fleet")), l.query.Get("Iccid")
	sims := slices.DeleteFunc(s.world.Sims(), func(sim Sim) bool {
		return status != "" && sim.Status != status || fleet != "" && sim.FleetAt(now) != fleet || iccid != "" && sim.ICCID != iccid
	})
	s.send(w, &l, len(sims), func(b []byte, i int) []byte {
		sim := sims[i]
		url := l.base + "/" + sim.SID
		return appendJSON(b, simJSON{
			SID: sim.SID, UniqueName: orNull(sim.UniqueName), AccountSID: s.world.account, ICCID: sim.ICCID, Status: sim.Status,
			FleetSID: orNull(sim.FleetAt(now)), DateCreated: stamp(sim.Created), DateUpdated: stamp(sim.updatedAt(now)), URL: url,
			Links: map[string]string{"billing_periods": url + "/BillingPeriods", "sim_ip_addresses": url + "/IpAddresses"},
		})
	})
}

// listFleets answers GET /v1/Fleets.
func (s *Server) listFleets(w http.ResponseWriter, r *http.Request) {
	l, refused := s.open(listing{path: r.URL.Path, key: "fleets", names: []string{"NetworkAccessProfile"}, max: 1000}, r)
	if refused != nil {
		refused.write(w)
		return
	}
	profile := l.query.Get("NetworkAccessProfile")
	fleets := slices.DeleteFunc(s.world.Fleets(), func(f Fleet) bool { return profile != "" && f.ProfileSID != profile })
	s.send(w, &l, len(fleets), func(b []byte, i int) []byte {
		f := fleets[i]
		return appendJSON(b, fleetJSON{
			AccountSID: s.world.account, SID: f.SID, UniqueName: orNull(f.UniqueName), DateCreated: stamp(f.Created), DateUpdated: stamp(f.Created),
			URL: l.base + "/" + f.SID, DataEnabled: true, DataLimit: f.DataLimit, DataMetering: "payg",
			SMSCommandsMethod: http.MethodPost, ProfileSID: f.ProfileSID, IPCommandsMethod: http.MethodPost,
		})
	})
}

// listNetworks answers GET /v1/Networks.
func (s *Server) listNetworks(w http.ResponseWriter, r *http.Request) {
	l, refused := s.open(listing{path: r.URL.Path, key: "networks", names: []string{"IsoCountry", "Mnc", "Mcc"}, max: 1000}, r)
	if refused != nil {
		refused.write(w)
		return
	}
	country, mcc, mnc := l.query.Get("IsoCountry"), l.query.Get("Mcc"), l.query.Get("Mnc")
	networks := slices.DeleteFunc(s.world.Networks(), func(n Network) bool {
		carries := slices.ContainsFunc(n.Identifiers, func(id Identifier) bool {
			return (mcc == "" || id.MCC == mcc) && (mnc == "" || id.MNC == mnc)
		})
		return country != "" && n.Country != country || !carries
	})
	s.send(w, &l, len(networks), func(b []byte, i int) []byte {
		n := networks[i]
		return appendJSON(b, networkJSON{SID: n.SID, FriendlyName: n.Name, URL: l.base + "/" + n.SID, IsoCountry: n.Country, Identifiers: n.Identifiers})
	})
}

func appendJSON(b []byte, resource any) []byte {
	text, err := json.Marshal(resource)
	if err != nil {
		panic(err) // structs of strings and numbers
	}
	return append(b, text...)
}

// orNull is nil, which JSON calls null, for the empty string.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
