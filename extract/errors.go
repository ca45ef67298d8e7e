package extract

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// What a caller does after an error depends on which of these it is. An error that is none of them (and not the end
// of the context) is about this one list and this one time: the list is left as it is and asked for again later.
var (
	// ErrCredentials is an account that the API does not know or does not let in: a matter of configuration, not
	// to be tried again.
	ErrCredentials = errors.New("the API refuses the credentials")

	// ErrRestart is a list that cannot go on where it stands and must be walked again from its first page.
	ErrRestart = errors.New("the list must be walked again from its first page")

	// ErrTokenRefused is an ErrRestart: the API no longer takes the page token.
	ErrTokenRefused = fmt.Errorf("the page token is refused: %w", ErrRestart)

	// ErrSmallerPages is an ErrRestart: the API kept failing at this page size, the Client has halved it, and a page
	// token is bound to the size it was given for.
	ErrSmallerPages = fmt.Errorf("the pages are too big for the API: %w", ErrRestart)

	// ErrRefused is a question that the API will never answer: its stream must be set aside.
	ErrRefused = errors.New("the API refuses the question")

	// ErrAnswer is an answer to another question than the one asked, for example because a parameter was ignored.
	// Its records must not be used.
	ErrAnswer = errors.New("the answer is not to what was asked")

	// ErrUnreachable is an API that could not be reached, or kept failing, through all attempts.
	ErrUnreachable = errors.New("the API is unreachable")
)

// APIError is an answer other than success, in the API's own words.
type APIError struct {
	Status    int    // of HTTP
	Code      int    // the API's own, 0 when it gave none
	Message   string // one line, at most 300 bytes; empty when the body was not the API's JSON
	RequestID string // for the vendor's support; may be empty
	Kind      string // media type of an answer that was not the API's JSON, from a gateway for instance
}

// Error is one plain line: what the answer means, what to do, and what the API said.
func (e *APIError) Error() string {
	var b strings.Builder
	if advice := adviceFor(e.Code); advice != "" {
		b.WriteString(advice)
		fmt.Fprintf(&b, " (status %d, code %d", e.Status, e.Code)
	} else {
		fmt.Fprintf(&b, "answer %d", e.Status)
		if e.Code != 0 {
			fmt.Fprintf(&b, ", code %d", e.Code)
		}
		b.WriteString(" (" + http.StatusText(e.Status))
	}
	if e.Kind != "" {
		b.WriteString(", a body of " + e.Kind)
	}
	if e.RequestID != "" {
		b.WriteString(", request " + e.RequestID)
	}
	b.WriteByte(')')
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	return b.String()
}

func adviceFor(code int) string {
	switch code {
	case 83600:
		return "these parameters conflict: the API does not take this group with this filter, so leave the stream out"
	case 83601:
		return "StartTime and EndTime must be whole UTC days: ask for whole days"
	case 83602:
		return "StartTime and EndTime must be whole UTC hours: ask for whole hours"
	case 83603:
		return "a breakdown by SIM may cover at most 31 days: ask for less at a time"
	case 83604:
		return "the time range is too long: hour may cover 31 days, day 3 months, all 18 months; ask for less at a time"
	case 83605:
		return "StartTime is older than the 18 months that the API keeps: begin later"
	case 20001, 21481:
		return "the API does not take this page or its token"
	case 20003:
		return "the account or its secret is wrong: check the credentials"
	case 20404:
		return "there is nothing at this address: check the base URL, and that the account has Super SIM"
	case 20429:
		return "too many requests at the same time: lower the concurrency if this lasts"
	}
	return ""
}
