package fakeapi

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// answer is the response on its way out: it remembers the status for the log and compresses the body for a client
// that accepts that. It lies outside of the faults, so that a body that a fault has cut short is still sound gzip.
type answer struct {
	http.ResponseWriter
	bare   bool // errors without code and more_info
	zip    bool
	gzips  *sync.Pool
	writer *gzip.Writer
	status int
}

func acceptsGzip(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
}

// WriteHeader sends the status and headers.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	if a.zip {
		a.Header().Set("Content-Encoding", "gzip")
		a.writer = a.gzips.Get().(*gzip.Writer)
		a.writer.Reset(a.ResponseWriter)
	}
	a.Header().Set("Vary", "Accept-Encoding")
	a.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.writer != nil {
		return a.writer.Write(b)
	}
	return a.ResponseWriter.Write(b)
}

// Flush sends what was written so far.
func (a *answer) Flush() {
	if a.writer != nil {
		if a.writer.Flush() != nil {
			return // the client has gone
		}
	}
	if f, ok := a.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// close ends a body that is whole. It is not called for one that a fault has cut.
func (a *answer) close() {
	if a.writer == nil {
		return
	}
	if a.writer.Close() == nil {
		a.gzips.Put(a.writer)
	}
	a.writer = nil
}

// refusal is an error answer.
type refusal struct {
	status  int
	code    int
	message string
}

// write sends the refusal in the form that both vendors use.
func (f refusal) write(w http.ResponseWriter) {
	body := map[string]any{"message": f.message, "status": f.status}
	if a, ok := w.(*answer); !ok || !a.bare {
		body["code"] = f.code
		body["more_info"] = fmt.Sprintf("https://www.twilio.com/docs/errors/%d", f.code)
	}
	writeJSON(w, f.status, body)
}

// writeJSON sends a small body.
func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // every body here is made of strings and numbers
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has gone needs no answer
}
