package extract

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sethvargo/go-retry"
)

// Retry says how often and how patiently a page is asked for again. Reading changes nothing at the API, so asking
// again is always safe; what has to be told apart is when it can help.
type Retry struct {
	// Attempts is how often one page is asked for before its list is given up; default 8.
	Attempts int

	// Base is the longest wait before the second attempt, and doubles from there; default 500 ms. The wait is drawn
	// between nothing and that, so that many processes do not come back at the same moment.
	Base time.Duration

	// Cap is the longest wait between two attempts when the API does not name one; default 30 s.
	Cap time.Duration
}

const (
	// patience is how many answers of 429 in a row are borne for each attempt. Such an answer was never processed
	// and says that others are being served, so it is not held against the attempts.
	patience = 10

	// longestPause bounds what a Retry-After may ask for: beyond it the run had better end and say so.
	longestPause = 5 * time.Minute
)

func (r Retry) withDefaults() Retry {
	if r.Attempts == 0 {
		r.Attempts = 8
	}
	if r.Base == 0 {
		r.Base = 500 * time.Millisecond
	}
	if r.Cap == 0 {
		r.Cap = 30 * time.Second
	}
	return r
}

func (r Retry) check() error {
	if r.Attempts < 0 || r.Base < 0 || r.Cap < 0 {
		return fmt.Errorf("retry: attempts %d, base %s and cap %s may not be negative", r.Attempts, r.Base, r.Cap)
	}
	return nil
}

func (r Retry) backoff() retry.Backoff {
	return retry.WithFullJitter(retry.WithCappedDuration(r.Cap, retry.NewExponential(r.Base)))
}

// remedy is what can be done about a failed attempt.
type remedy int

const (
	giveUp    remedy = iota // asking again gets the same
	askAgain                // the network or the API failed
	comeLater               // 429
	signAgain               // 401 or 403: a token may have expired
)

// failure is a failed attempt and what can be done about it.
type failure struct {
	remedy remedy
	err    error
	status int
	pause  time.Duration // as the API asked for
	token  string        // that was refused
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// heavy says whether the failure may come from a page that is too big to be made in time. 503 is left out: it says
// that the service is away, whatever the size.
func (f *failure) heavy() bool { return f.status >= 500 && f.status != http.StatusServiceUnavailable }

// tries counts the attempts at one page.
type tries struct {
	retry   Retry
	backoff retry.Backoff
	pauses  retry.Backoff // for 429: short, because the gate knows how many requests are too many
	failed  int
	late    int
	heavy   int
	signed  bool
}

func (r Retry) begin() *tries {
	return &tries{retry: r, backoff: r.backoff(), pauses: retry.WithFullJitter(retry.NewConstant(r.Base))}
}

// after says how long to wait after a failure, or that this was the end of it.
func (t *tries) after(f *failure) (time.Duration, error) {
	switch f.remedy {
	case comeLater:
		t.heavy, t.signed = 0, false
		if t.late++; t.late >= t.retry.Attempts*patience {
			return 0, fmt.Errorf("%w: still throttled after %d attempts: %w", ErrUnreachable, t.late, f.err)
		}
		wait, _ := t.pauses.Next()
		if f.pause > 0 {
			wait = f.pause
		}
		return wait, nil
	case askAgain:
		t.late, t.signed = 0, false
		if !f.heavy() {
			t.heavy = 0
		} else {
			t.heavy++
		}
		if t.failed++; t.failed >= t.retry.Attempts {
			return 0, fmt.Errorf("%w: gave up after %d attempts: %w", ErrUnreachable, t.failed, f.err)
		}
		wait, _ := t.backoff.Next()
		return max(wait, f.pause), nil
	case signAgain:
		if t.signed {
			return 0, fmt.Errorf("%w: %w", ErrCredentials, f.err)
		}
		t.signed = true
		return 0, nil
	}
	return 0, f.err
}

// pauseOf reads a Retry-After, which is a number of seconds or a date; 0 when there is none that can be read.
func pauseOf(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return min(max(time.Duration(min(seconds, 1<<20))*time.Second, 0), longestPause)
	} else if errors.Is(err, strconv.ErrRange) {
		return longestPause
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longestPause)
}
