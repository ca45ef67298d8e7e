package extract

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"
)

// Usage records name SIMs, fleets and networks by SID only. What they are called stands in three other lists, which
// have no filter by date: they are read whole. These lists are thousands of rows, not millions an hour, so they are
// decoded plainly.

// SimName is a SIM as /v1/Sims lists it. Its fleet is today's, not that of past usage.
type SimName struct {
	SID        string    `json:"sid"`
	UniqueName string    `json:"unique_name"` // empty when it has none
	ICCID      string    `json:"iccid"`       // personal data
	Status     string    `json:"status"`
	FleetSID   string    `json:"fleet_sid"`
	Created    time.Time `json:"date_created"`
	Updated    time.Time `json:"date_updated"`
}

// FleetName is a fleet as /v1/Fleets lists it. DataLimit is in megabytes a SIM and month, nil when the API names none.
type FleetName struct {
	SID         string    `json:"sid"`
	UniqueName  string    `json:"unique_name"`
	DataEnabled bool      `json:"data_enabled"`
	DataLimit   *int64    `json:"data_limit"`
	Metering    string    `json:"data_metering"`
	ProfileSID  string    `json:"network_access_profile_sid"`
	Created     time.Time `json:"date_created"`
	Updated     time.Time `json:"date_updated"`
}

// NetworkName is a mobile operator's network as /v1/Networks lists it. Networks belong to no account.
type NetworkName struct {
	SID         string       `json:"sid"`
	Name        string       `json:"friendly_name"`
	IsoCountry  string       `json:"iso_country"`
	Identifiers []Identifier `json:"identifiers"`
}

// Identifier is a mobile country code and a mobile network code: text, because leading zeros count.
type Identifier struct {
	MCC string `json:"mcc"`
	MNC string `json:"mnc"`
}

// Sims reads the list of all SIMs of the account, a page a turn.
func (c *Client) Sims(ctx context.Context) iter.Seq2[*Page[SimName], error] {
	return names[SimName](ctx, c, "Sims", &simList)
}

// Fleets reads the list of all fleets of the account, a page a turn.
func (c *Client) Fleets(ctx context.Context) iter.Seq2[*Page[FleetName], error] {
	return names[FleetName](ctx, c, "Fleets", &fleetList)
}

// Networks reads the list of all networks, a page a turn.
func (c *Client) Networks(ctx context.Context) iter.Seq2[*Page[NetworkName], error] {
	return names[NetworkName](ctx, c, "Networks", &networkList)
}

// names walks one of the three lists. Null and absent fields are empty.
func names[T any](ctx context.Context, c *Client, resource string, k *kind) iter.Seq2[*Page[T], error] {
	l := list{base: c.at(resource), size: c.names, most: c.names.most}
	l.first = func(size int) (string, int) { return "PageSize=" + strconv.Itoa(size), size }
	return pages(ctx, c, l, "", func(d *decoder, limit int) (*Page[T], error) { return readNames[T](d, k, limit) })
}

func readNames[T any](d *decoder, k *kind, limit int) (*Page[T], error) {
	list, meta, err := d.open(k, limit)
	if err != nil {
		return nil, err
	}
	for _, v := range list.GetArray() {
		d.record.look(v, d.onName)
		if len(v.GetStringBytes("sid")) == 0 { // a name of nothing; and if all SIDs went away, all that are stored would look gone
			err = fmt.Errorf("%w: %s without a sid", ErrAnswer, k.record.resource)
		}
	}
	if err != nil {
		return nil, err
	}
	page := new(Page[T])
	if err := json.Unmarshal(list.MarshalTo(nil), &page.Records); err != nil {
		return nil, fmt.Errorf("%w: %s cannot be read: %s", ErrAnswer, k.record.resource, strings.TrimPrefix(err.Error(), "json: "))
	}
	page.Next, err = nextOf(meta)
	page.Drift = d.told()
	return page, err
}

// nameField looks at one field of a name, and into it if it holds objects.
func (d *decoder) nameField(key []byte, v *fastjson.Value) {
	if !d.see(&d.record, key) || string(key) != d.holder {
		return
	}
	for _, part := range v.GetArray() {
		d.part.look(part, d.onPart)
	}
}
