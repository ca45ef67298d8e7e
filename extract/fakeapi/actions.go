package fakeapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Status answers with an error status in the vendors' form; header is names and values in turn.
func Status(status int, header ...string) Action {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		refusal{status, 20000 + status, http.StatusText(status)}.write(w)
	}
}

// Throttle answers 429 with code 20429; retryAfter is the header of that name, none when empty.
func Throttle(retryAfter string) Action {
	if retryAfter == "" {
		return Status(http.StatusTooManyRequests)
	}
	return Status(http.StatusTooManyRequests, "Retry-After", retryAfter)
}

// HTML answers with a page of a gateway, which is no JSON.
func HTML(status int) Action {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<html><head><title>%d %s</title></head><body><center><h1>%d</h1></center></body></html>\n", status, http.StatusText(status), status)
	}
}

// Cut sends half of the body and then closes the connection.
func Cut() Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		kept := record(w, r, next)
		kept.send(w, kept.half())
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

// Drop closes the connection without an answer. Go's own client repeats such a request by itself when the connection
// was used before, which the request log shows.
func Drop() Action {
	return func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }
}

// Truncate sends half of the JSON as if it were all.
func Truncate() Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		kept := record(w, r, next)
		kept.send(w, kept.half())
	}
}

// Slow waits before the answer, or until the client gives up.
func Slow(d time.Duration) Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if wait(r, d) {
			next.ServeHTTP(w, r)
		}
	}
}

// ShiftRows begins a page n rows earlier, as if n rows had been added at the start of the list since the page before:
// n rows repeat, all later pages follow on, and none is lost.
func ShiftRows(n int) Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, withShift(r, n)) }
}

// RepeatPreviousPage shows the rows of the page before once more, and then goes on behind them.
func RepeatPreviousPage() Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		var size int
		if _, err := fmt.Sscan(r.URL.Query().Get("PageSize"), &size); err != nil {
			size = 50
		}
		next.ServeHTTP(w, withShift(r, size))
	}
}

// BadRow puts a record into the page, behind its first, that is raw JSON of any kind.
func BadRow(raw string) Action {
	return rewrite(func(e *envelope) {
		at := min(1, len(e.records))
		e.records = append(e.records[:at:at], append([]json.RawMessage{json.RawMessage(raw)}, e.records[at:]...)...)
	})
}

// Replace changes a text of the answer wherever it stands, for example the name of a field.
func Replace(old, text string) Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		kept := record(w, r, next)
		kept.send(w, bytes.ReplaceAll(kept.body, []byte(old), []byte(text)))
	}
}

// WrongHostNextURL sends the client to another host for the next page.
func WrongHostNextURL(host string) Action {
	return rewrite(func(e *envelope) {
		if e.meta.NextPageURL == nil {
			return
		}
		if u, err := url.Parse(*e.meta.NextPageURL); err == nil {
			u.Host = host
			*e.meta.NextPageURL = u.String()
		}
	})
}

// LoopNextURL makes the page its own next page.
func LoopNextURL() Action {
	return rewrite(func(e *envelope) { e.meta.NextPageURL = &e.meta.URL })
}

// Redirect answers 302 to a URL.
func Redirect(to string) Action {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}
}

// HugeBody answers with n bytes of JSON that does not end.
func HugeBody(n int) Action {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"usage_records":[`)
		chunk := []byte(strings.Repeat(" ", 64*1024))
		for n > 0 {
			wrote, err := w.Write(chunk[:min(n, len(chunk))])
			if err != nil {
				return // the client has had enough
			}
			n -= wrote
		}
	}
}

// IgnoreParameter answers as if a parameter had not been sent, as the API does with one whose name is misspelt.
func IgnoreParameter(name string) Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		asked := r.Clone(r.Context())
		query := asked.URL.Query()
		query.Del(name)
		asked.URL.RawQuery = query.Encode()
		next.ServeHTTP(w, asked)
	}
}

// RefuseToken answers as a page token that has become too old, with Options.StaleTokenCode, to a request that has one.
func (s *Server) RefuseToken() Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if WithToken(r) {
			s.staleToken().write(w)
			return
		}
		next.ServeHTTP(w, r)
	}
}

// envelope is a page taken apart.
type envelope struct {
	records []json.RawMessage
	meta    meta
}

// rewrite changes a page on its way out; errors pass as they are.
func rewrite(change func(*envelope)) Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		kept := record(w, r, next)
		var parts map[string]json.RawMessage
		var e envelope
		sound := kept.status == http.StatusOK && json.Unmarshal(kept.body, &parts) == nil &&
			json.Unmarshal(parts["meta"], &e.meta) == nil && json.Unmarshal(parts[e.meta.Key], &e.records) == nil
		if sound {
			change(&e)
			body := append([]byte(`{"`+e.meta.Key+`":[`), bytes.Join(rawBytes(e.records), []byte(","))...)
			body = append(append(append(body, `],"meta":`...), encodeMeta(e.meta)...), '}')
			kept.body = body
		}
		kept.send(w, kept.body)
	}
}

func rawBytes(records []json.RawMessage) [][]byte {
	parts := make([][]byte, len(records))
	for i, r := range records {
		parts[i] = r
	}
	return parts
}

// keeper is a ResponseWriter that keeps the answer.
type keeper struct {
	header http.Header
	status int
	body   []byte
}

func (k *keeper) Header() http.Header    { return k.header }
func (k *keeper) WriteHeader(status int) { k.status = status }
func (k *keeper) Write(b []byte) (int, error) {
	k.body = append(k.body, b...)
	return len(b), nil
}

// record keeps the answer that next would have sent to w.
func record(w http.ResponseWriter, r *http.Request, next http.Handler) *keeper {
	kept := &keeper{header: http.Header{}}
	inner := &answer{ResponseWriter: kept}
	if outer, ok := w.(*answer); ok {
		inner.bare = outer.bare
	}
	next.ServeHTTP(inner, r)
	return kept
}

// send sends a part of the kept answer on.
func (k *keeper) send(w http.ResponseWriter, body []byte) {
	for name, values := range k.header {
		w.Header()[name] = values
	}
	w.WriteHeader(k.status)
	_, _ = w.Write(body) // a client that has gone needs no answer
}

// half is the first half of the kept body.
func (k *keeper) half() []byte { return k.body[:len(k.body)/2] }
