package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// names answers a list of names: so many records, each made when it is asked for.
func (a *api) names(key string, count int, record func(b []byte, n int) []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !a.admit(w, r, "names") {
			return
		}
		size, _ := strconv.Atoi(r.URL.Query().Get("PageSize"))
		size = min(max(size, 1), 1000)
		page, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Query().Get("PageToken"), "PT"))
		b := []byte(`{"` + key + `":[`)
		for n := page * size; n < min((page+1)*size, count); n++ {
			if n > page*size {
				b = append(b, ',')
			}
			b = record(b, n)
		}
		send(w, a.appendMeta(b, r.URL, key, page, size, (page+1)*size < count))
	}
}

const created = `"date_created":"2020-01-01T00:00:00Z","date_updated":"2020-01-01T00:00:00Z"`

func (a *api) sim(b []byte, n int) []byte {
	return fmt.Appendf(b, `{"sid":%q,"account_sid":%q,"unique_name":"device-%d","status":"active","fleet_sid":%q,"iccid":null,%s,"url":"","links":{}}`,
		simSID(n), accountSID(0), n, fleetSID(n%fleets), created)
}

func (a *api) ofFleet(b []byte, n int) []byte {
	return fmt.Appendf(b, `{"sid":%q,"account_sid":%q,"unique_name":"fleet-%d","data_enabled":true,"data_limit":1000,"data_metering":"payg",%s,`+
		`"sms_commands_enabled":false,"sms_commands_method":null,"sms_commands_url":null,"ip_commands_method":null,"ip_commands_url":null,`+
		`"network_access_profile_sid":null,"url":""}`, fleetSID(n), accountSID(0), n, created)
}
