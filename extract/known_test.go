package extract

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestKnownIsWhatTheVendorsDocument holds what is known of the lists against the vendors' own OpenAPI files, which are
// theirs and not kept here: SIMUSAGE_OPENAPI_DIR says where they are. What records hold is told by their examples only.
func TestKnownIsWhatTheVendorsDocument(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("SIMUSAGE_OPENAPI_DIR")
	if dir == "" {
		t.Log("SIMUSAGE_OPENAPI_DIR is not set: the check against the vendors' specifications was not asked for")
		return
	}
	for _, file := range []string{"twilio_supersim_v1.json", "kore_supersim_v1.json"} {
		doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for path, k := range map[string]kind{"/v1/UsageRecords": usageList, "/v1/Sims": simList, "/v1/Fleets": fleetList, "/v1/Networks": networkList} {
			media := doc.Paths.Find(path).Get.Responses.Status(200).Value.Content.Get("application/json")
			answer := media.Schema.Value.Properties
			sameFields(t, file, k.answer, answer)
			sameFields(t, file, metaObject, answer["meta"].Value.Properties)
			sameFields(t, file, k.record, answer[k.record.resource].Value.Items.Value.Properties)
			parts := make(map[string]any)
			for _, example := range media.Examples {
				records, _ := example.Value.Value.(map[string]any)[k.record.resource].([]any)
				for _, record := range records {
					sameFields(t, file, k.record, record.(map[string]any))
					maps.Copy(parts, fieldsOfPart(record.(map[string]any)[k.holder]))
				}
			}
			sameFields(t, file, k.part, parts)
		}
	}
}

// fieldsOfPart are the fields of an object, or of several.
func fieldsOfPart(part any) map[string]any {
	fields, _ := part.(map[string]any)
	if list, ok := part.([]any); ok {
		fields = make(map[string]any)
		for _, element := range list {
			maps.Copy(fields, fieldsOfPart(element))
		}
	}
	return fields
}

func sameFields[T any](t *testing.T, file string, s shape, documented map[string]T) {
	t.Helper()
	if got, want := slices.Sorted(slices.Values(s.fields)), slices.Sorted(maps.Keys(documented)); !slices.Equal(got, want) {
		t.Errorf("%s: known of %s is %q, documented is %q", file, s.resource, got, want)
	}
}
