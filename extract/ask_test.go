package extract

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

func zipped(tb testing.TB, text string) string {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestGzip(t *testing.T) {
	t.Parallel()
	const header = "Content-Encoding: gzip"
	whole := zipped(t, envelope(fields()))
	bomb := zipped(t, strings.Repeat(" ", 3<<20)+envelope())
	for _, test := range []struct {
		name, body string
		is         error
		asks       int
	}{
		{"whole", whole, nil, 1},
		{"cut off", whole[:len(whole)-9], ErrUnreachable, 8},
		{"not gzip", envelope(), ErrUnreachable, 8},
		{"a bomb", bomb, ErrAnswer, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			cfg := twilio(t)
			cfg.MaxBody = 1 << 20
			c, _, err := talk(t, cfg, reply{status: 200, header: header, body: test.body})
			if !errors.Is(err, test.is) || len(c.asked) != test.asks {
				t.Errorf("%s, %d bytes: error %v after %d requests", test.name, len(test.body), err, len(c.asked))
			}
		})
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	cfg := twilio(t)
	cfg.UserAgent, cfg.Provider.BaseURL = "simusage/1.2", "https://gateway.example/supersim/"
	c, _, err := talk(t, cfg, ok(t))
	if err != nil {
		t.Fatal(err)
	}
	req := c.seen[0]
	const want = "https://gateway.example/supersim/v1/UsageRecords?Granularity=hour" +
		"&StartTime=2026-03-01T00%3A00%3A00Z&EndTime=2026-03-02T00%3A00%3A00Z&PageSize=1000"
	if req.Method != http.MethodGet || req.URL.String() != want {
		t.Errorf("asked %s %s, want %s", req.Method, req.URL, want)
	}
	user, password, _ := req.BasicAuth()
	if req.UserAgent() != "simusage/1.2" || user != "AC1" || password != "very-secret" || req.Header.Get("Accept-Encoding") != "gzip" {
		t.Errorf("headers are %v", req.Header)
	}
}

// TestLoop walks in a circle of two pages.
func TestLoop(t *testing.T) {
	t.Parallel()
	to := func(page string) reply {
		return reply{status: 200, body: `{"usage_records":[],"meta":{"next_page_url":"https://supersim.twilio.com/v1/UsageRecords?Page=` + page + `"}}`}
	}
	c, _, err := talk(t, twilio(t), to("1"), to("2"), to("1"))
	if !errors.Is(err, ErrAnswer) || !strings.Contains(err.Error(), "was there before") || len(c.asked) != 3 {
		t.Errorf("error %v after %d requests", err, len(c.asked))
	}
}

func TestAPIErrorIsOneLine(t *testing.T) {
	t.Parallel()
	for _, code := range []int{0, 20001, 20003, 20404, 20429, 21481, 83600, 83601, 83602, 83603, 83604, 83605, 99999} {
		e := &APIError{Status: 400, Code: code, Message: "the API's words", RequestID: "RQ1"}
		text := e.Error()
		if strings.Contains(text, "\n") || !strings.HasSuffix(text, "request RQ1): the API's words") || len(text) > 250 {
			t.Errorf("%d: %s", code, text)
		}
		if known := adviceFor(code) != ""; known == strings.HasPrefix(text, "answer 400") {
			t.Errorf("%d: %s", code, text)
		}
	}
	for body, want := range map[string]string{
		"":                                 "answer 502 (Bad Gateway)",
		"<html>":                           "answer 502 (Bad Gateway, a body of text/html)",
		`[]`:                               "answer 502 (Bad Gateway, a body of text/html)",
		`{"code":"123","message":"a\n b"}`: "answer 502, code 123 (Bad Gateway): a b",
		`{"message":"m","error":"e"}`:      "answer 502 (Bad Gateway): m; e",
		`{"error":"e","code":null}`:        "answer 502 (Bad Gateway): e",
		`{"message":7}`:                    "answer 502 (Bad Gateway)",
	} {
		c := mustClient(t, twilio(t))
		resp := &http.Response{StatusCode: 502, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}
		if got := c.apiError(resp, []byte(body)).Error(); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}
