package extract

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// reply is one scripted answer; an error is one of the network.
type reply struct {
	status int
	header string // Name: value
	body   string
	err    error
	takes  time.Duration
}

func ok(tb testing.TB) reply { return reply{status: 200, body: envelope(fields())} }

// conversation is a transport that answers from a script, in the last words again and again, and notes when it was asked.
type conversation struct {
	replies []reply
	began   time.Time
	asked   []time.Duration
	seen    []*http.Request
}

func (c *conversation) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.began.IsZero() {
		c.began = time.Now()
	}
	r := c.replies[min(len(c.asked), len(c.replies)-1)]
	c.asked = append(c.asked, time.Since(c.began))
	c.seen = append(c.seen, req)
	if err := sleep(req.Context(), r.takes); err != nil {
		return nil, err
	}
	if r.err != nil {
		return nil, r.err
	}
	h := http.Header{"Content-Type": {"application/json"}}
	if name, value, ok := strings.Cut(r.header, ": "); ok {
		h.Set(name, value)
	}
	return &http.Response{StatusCode: r.status, Header: h, Body: io.NopCloser(strings.NewReader(r.body)), Request: req}, nil
}

// talk walks a list through a conversation, in a time of its own.
func talk(t *testing.T, cfg Config, replies ...reply) (*conversation, *Client, error) {
	t.Helper()
	c := &conversation{replies: replies}
	cfg.Transport = c
	client := mustClient(t, cfg)
	_, _, err := collect(t.Context(), client, hourly(t), "")
	return c, client, err
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, client, err := talk(t, twilio(t), reply{status: 503})
		if !errors.Is(err, ErrUnreachable) || len(c.asked) != 8 {
			t.Fatalf("error %v after %d requests", err, len(c.asked))
		}
		most := 500 * time.Millisecond
		for i := 1; i < len(c.asked); i++ {
			if wait := c.asked[i] - c.asked[i-1]; wait < 0 || wait >= most {
				t.Errorf("waited %s before attempt %d, want less than %s", wait, i+1, most)
			}
			most = min(2*most, 30*time.Second)
		}
		stats := client.Stats()
		if stats.Requests != 8 || stats.Retries != 7 || stats.Waited != c.asked[7] || stats.Statuses[503] != 8 {
			t.Errorf("stats %+v", stats)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		status int
		header string
		least  time.Duration
		most   time.Duration
	}{
		{"seconds", 429, "Retry-After: 7", 7 * time.Second, 7 * time.Second},
		{"far too long", 429, "Retry-After: 86400", 5 * time.Minute, 5 * time.Minute},
		{"beyond numbers", 429, "Retry-After: 99999999999999999999", 5 * time.Minute, 5 * time.Minute},
		{"a date", 429, "Retry-After: Sat, 01 Jan 2000 00:01:00 GMT", time.Minute, time.Minute}, // synctest begins in 2000
		{"a date that is past", 429, "Retry-After: Fri, 31 Dec 1999 00:00:00 GMT", 0, 500 * time.Millisecond},
		{"negative", 429, "Retry-After: -5", 0, 500 * time.Millisecond},
		{"nonsense", 429, "Retry-After: soon", 0, 500 * time.Millisecond},
		{"none", 429, "", 0, 500 * time.Millisecond},
		{"with 503", 503, "Retry-After: 7", 7 * time.Second, 7 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _, err := talk(t, twilio(t), reply{status: test.status, header: test.header}, ok(t))
			if err != nil || len(c.asked) != 2 {
				t.Fatalf("%s: error %v after %d requests", test.name, err, len(c.asked))
			}
			if wait := c.asked[1]; wait < test.least || wait > test.most {
				t.Errorf("%s: waited %s, want %s to %s", test.name, wait, test.least, test.most)
			}
		})
	}
}

// TestThrottleIsNotAFailure mixes more throttles than there are attempts with the last failure that is allowed.
func TestThrottleIsNotAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := twilio(t)
		cfg.Retry.Attempts = 2
		late, broken := reply{status: 429}, reply{err: errors.New("connection reset")}
		c, client, err := talk(t, cfg, late, late, late, late, broken, late, late, late, ok(t))
		if err != nil || len(c.asked) != 9 || client.Stats().Throttled != 7 {
			t.Errorf("error %v after %d requests, %+v", err, len(c.asked), client.Stats())
		}
	})
}

func TestNothingElseIsAskedAgain(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{400: ErrRefused, 402: ErrRefused, 404: ErrRefused, 422: ErrRefused, 204: ErrAnswer, 206: ErrAnswer} {
		synctest.Test(t, func(t *testing.T) {
			c, _, err := talk(t, twilio(t), reply{status: status})
			if !errors.Is(err, want) || len(c.asked) != 1 {
				t.Errorf("%d: error %v after %d requests", status, err, len(c.asked))
			}
		})
	}
}

func TestTimeoutOfOneRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := ok(t)
		slow.takes = time.Hour
		c, _, err := talk(t, twilio(t), slow, ok(t))
		if err != nil || len(c.asked) != 2 || c.asked[1] < 2*time.Minute || c.asked[1] > 2*time.Minute+time.Second {
			t.Errorf("error %v, asked at %v; want it again after two minutes", err, c.asked)
		}
	})
}

// TestRate lets requests wait for the rate longer than one request may take.
func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &conversation{replies: []reply{ok(t)}}
		cfg := twilio(t)
		cfg.Transport, cfg.Rate = c, 0.01
		client := mustClient(t, cfg)
		for range 3 {
			if _, _, err := collect(t.Context(), client, hourly(t), ""); err != nil {
				t.Fatal(err)
			}
		}
		for i, asked := range c.asked {
			if want := time.Duration(i) * 100 * time.Second; asked.Round(time.Millisecond) != want {
				t.Errorf("request %d after %s, want %s", i, asked, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := collect(ctx, client, hourly(t), ""); !errors.Is(err, context.DeadlineExceeded) || len(c.asked) != 3 {
			t.Errorf("error %v after %d requests, want the end of the context", err, len(c.asked))
		}
	})
}

func TestWaitsEndWithContext(t *testing.T) {
	t.Parallel()
	slow := ok(t)
	slow.takes = time.Hour
	for name, r := range map[string]reply{
		"retry-after": {status: 429, header: "Retry-After: 60"}, "request": slow,
		"backoff": {status: 503, header: "Retry-After: 30"},
	} {
		synctest.Test(t, func(t *testing.T) {
			cfg := twilio(t)
			cfg.Transport = &conversation{replies: []reply{r}}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			began := time.Now()
			_, _, err := collect(ctx, mustClient(t, cfg), hourly(t), "")
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
				t.Errorf("%s: error %v after %s", name, err, time.Since(began))
			}
		})
	}
}
