package fakeapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"simusage/extract/fakeapi"
)

// billedIsText is the one place where the vendors' examples contradict their own schema: data_total_billed is a number
// there and a string in every example. It is tolerated exactly where the server was told to follow the examples.
const billedIsText = `/data_total_billed" value must be a number`

// specification is a vendor's OpenAPI file and the profile that it describes.
type specification struct {
	profile string
	file    string
	base    string
}

// TestAnswersMatchVendorSpecifications holds requests and answers against the vendors' own OpenAPI files, which are
// theirs and not kept here: SIMUSAGE_OPENAPI_DIR says where they are.
func TestAnswersMatchVendorSpecifications(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("SIMUSAGE_OPENAPI_DIR")
	if dir == "" {
		t.Log("SIMUSAGE_OPENAPI_DIR is not set: the check against the vendors' specifications was not asked for")
		return
	}
	world := fakeapi.NewWorld(fakeapi.WorldConfig{Unattributed: 0.1, Fleets: 5})
	for _, spec := range []specification{
		{fakeapi.Twilio, "twilio_supersim_v1.json", "https://supersim.twilio.com"},
		{fakeapi.Kore, "kore_supersim_v1.json", "https://supersim.api.korewireless.com"},
	} {
		doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join(dir, spec.file))
		if err != nil {
			t.Fatal(err)
		}
		for _, numeric := range []bool{false, true} {
			server := fakeapi.New(world, fakeapi.Options{Profile: spec.profile, Clock: fakeapi.NewClock(noon()).Now, BaseURL: spec.base, NumericBilled: numeric})
			for _, query := range specifiedQueries(world) {
				t.Run(spec.profile+query, func(t *testing.T) {
					t.Parallel()
					checkWalk(t, server, doc, spec, query, numeric)
				})
			}
		}
	}
}

// specifiedQueries use every parameter of the four lists.
func specifiedQueries(world *fakeapi.World) []string {
	const usage = "/v1/UsageRecords?StartTime=2026-02-25T00%3A00%3A00Z&EndTime=2026-02-27T00%3A00%3A00Z&PageSize=49"
	queries := []string{
		"/v1/UsageRecords", "/v1/Sims?PageSize=3", "/v1/Sims?Status=active&Fleet=fleet-01", "/v1/Sims?Iccid=" + world.Sims()[0].ICCID,
		"/v1/Fleets?PageSize=2", "/v1/Fleets?NetworkAccessProfile=" + world.Fleets()[0].ProfileSID,
		"/v1/Networks?PageSize=4", "/v1/Networks?IsoCountry=DE&Mcc=001&Mnc=001",
		usage + "&Sim=meter-00001", usage + "&Fleet=fleet-01", usage + "&IsoCountry=DE&Group=sim&Granularity=day",
		usage + "&Network=" + world.Networks()[0].SID + "&Group=sim",
	}
	for _, group := range []string{"sim", "fleet", "network", "isoCountry"} {
		for _, granularity := range []string{"hour", "day", "all"} {
			queries = append(queries, usage+"&Group="+group+"&Granularity="+granularity)
		}
	}
	return queries
}

// checkWalk follows a list over at most four pages.
func checkWalk(t *testing.T, server *fakeapi.Server, doc *openapi3.T, spec specification, query string, numeric bool) {
	target := spec.base + query
	for range 4 {
		w := getAs(t, server, spec.profile, target)
		if w.Code != http.StatusOK {
			t.Fatalf("GET %s: %d %s", target, w.Code, w.Body)
		}
		deviations := deviations(t, doc, target, w)
		expect := !numeric && strings.HasPrefix(query, "/v1/UsageRecords")
		found := false
		for _, d := range deviations {
			if expect && strings.Contains(d, billedIsText) {
				found = true
				continue
			}
			t.Errorf("GET %s: %s", target, d)
		}
		if found != expect {
			t.Errorf("GET %s: billed as text deviates: %v, want %v", target, found, expect)
		}
		page := mustDecode[struct {
			Meta pageMeta `json:"meta"`
		}](t, w)
		if page.Meta.Next == nil {
			return
		}
		target = *page.Meta.Next
	}
}

// deviations are all that the specification has against a request and its answer, each with the place.
func deviations(tb testing.TB, doc *openapi3.T, target string, w *httptest.ResponseRecorder) []string {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, target, nil)
	item := doc.Paths.Find(r.URL.Path)
	if item == nil || item.Get == nil {
		tb.Fatalf("%s is not in the specification", r.URL.Path)
	}
	options := &openapi3filter.Options{
		MultiError:         true,
		AuthenticationFunc: func(context.Context, *openapi3filter.AuthenticationInput) error { return nil },
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, QueryParams: r.URL.Query(), Options: options,
		Route: &routers.Route{Spec: doc, Path: r.URL.Path, PathItem: item, Method: http.MethodGet, Operation: item.Get},
	}
	found := flatten(openapi3filter.ValidateRequest(tb.Context(), input))
	return append(found, flatten(openapi3filter.ValidateResponse(tb.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: w.Code, Header: w.Header(), Options: options,
		Body: io.NopCloser(strings.NewReader(w.Body.String())),
	}))...)
}

// flatten takes an error of many errors apart.
func flatten(err error) []string {
	var many openapi3.MultiError
	var schema *openapi3.SchemaError
	var request *openapi3filter.RequestError
	var response *openapi3filter.ResponseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &many):
		var all []string
		for _, one := range many {
			all = append(all, flatten(one)...)
		}
		return all
	case errors.As(err, &schema):
		return []string{`"/` + strings.Join(schema.JSONPointer(), "/") + `" ` + schema.Reason}
	case errors.As(err, &request), errors.As(err, &response):
		return []string{err.Error()}
	}
	return []string{err.Error()}
}
