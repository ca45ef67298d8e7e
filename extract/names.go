package extract

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
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
func (c *Client) Sims(ctx context.Context) iter.Seq2[[]SimName, error] {
	return names[SimName](ctx, c, "Sims", "sims")
}

// Fleets reads the list of all fleets of the account, a page a turn.
func (c *Client) Fleets(ctx context.Context) iter.Seq2[[]FleetName, error] {
	return names[FleetName](ctx, c, "Fleets", "fleets")
}

// Networks reads the list of all networks, a page a turn.
func (c *Client) Networks(ctx context.Context) iter.Seq2[[]NetworkName, error] {
	return names[NetworkName](ctx, c, "Networks", "networks")
}

// names walks one of the three lists. Null and absent fields are empty.
func names[T any](ctx context.Context, c *Client, resource, key string) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		var rows []T
		l := list{base: c.at(resource), size: c.names, most: c.names.most}
		l.first = func(size int) (string, int) { return "PageSize=" + strconv.Itoa(size), size }
		l.read = func(d *decoder, limit int) (int, string, error) {
			var next string
			var err error
			rows, next, err = readNames[T](d, key, limit)
			return len(rows), next, err
		}
		for err := range c.pages(ctx, l, "") {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(rows, nil) {
				return
			}
		}
	}
}

func readNames[T any](d *decoder, key string, limit int) ([]T, string, error) {
	root, err := d.parse()
	if err != nil {
		return nil, "", err
	}
	list, meta := root.Get(key), root.Get("meta")
	if list == nil || meta == nil {
		return nil, "", fmt.Errorf("%w: it has no list %s, or no meta", ErrAnswer, key)
	}
	var rows []T
	if err := json.Unmarshal(list.MarshalTo(nil), &rows); err != nil {
		return nil, "", fmt.Errorf("%w: %s cannot be read: %s", ErrAnswer, key, strings.TrimPrefix(err.Error(), "json: "))
	}
	if len(rows) > limit {
		return nil, "", fmt.Errorf("%w: %d %s on a page of %d: PageSize was ignored", ErrAnswer, len(rows), key, limit)
	}
	next, err := nextOf(meta)
	return rows, next, err
}
