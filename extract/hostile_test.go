package extract

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"simusage/extract/fakeapi"
)

// hostile is an API that wants to harm its client.
func hostile(t *testing.T, answer http.HandlerFunc) (*Client, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	cfg := twilio(t)
	cfg.Provider.BaseURL = server.URL
	cfg.Retry = Retry{Attempts: 2, Base: time.Nanosecond, Cap: time.Nanosecond}
	cfg.Timeout = 300 * time.Millisecond
	transport := newTransport(4)
	t.Cleanup(transport.CloseIdleConnections)
	cfg.Transport = transport
	return mustClient(t, cfg), &asked
}

// Promise 10: whatever address an answer names, the credentials go to no other host. A second server would see them.
func TestPromise10NothingReachesAnotherHost(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(thief.Close)
	u, err := url.Parse(thief.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, profile := range []string{fakeapi.Twilio, fakeapi.Kore} {
		scripts := []string{"after 1: wrong-host " + u.Host, "after 1: redirect " + thief.URL + "/v1/UsageRecords", "times 1: redirect " + thief.URL}
		if profile == fakeapi.Kore {
			scripts = append(scripts, "on token: redirect "+thief.URL+fakeapi.TokenPath)
		}
		for _, script := range scripts {
			a := startAPI(t, fakeapi.Options{Profile: profile})
			a.script(t, script)
			if _, _, err := collect(t.Context(), mustClient(t, a.config), bySim(t), ""); err == nil {
				t.Errorf("%s, %s: no error", profile, script)
			}
		}
		a := startAPI(t, fakeapi.Options{Profile: profile})
		if _, _, err := collect(t.Context(), mustClient(t, a.config), bySim(t), thief.URL+"/v1/UsageRecords?Page=1&PageToken=x"); !errors.Is(err, ErrTokenRefused) {
			t.Errorf("%s, a stored cursor of another host: %v", profile, err)
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("%d requests reached another host", n)
	}
}

// Redirects without end, to the API itself, are not followed either, by whatever status.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		c, asked := hostile(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), status) })
		_, _, err := collect(t.Context(), c, bySim(t), "")
		if err == nil || asked.Load() != 1 || !strings.Contains(err.Error(), "not followed") {
			t.Errorf("%d: %d requests, error %v", status, asked.Load(), err)
		}
	}
}

// A body of a gigabyte, and one that becomes a gigabyte when it is decompressed, cost neither their memory nor the time
// to read them. Not in parallel: what others allocate would count.
func TestGigabyteBodies(t *testing.T) {
	const gigabyte = 1 << 30
	blank := []byte(strings.Repeat(" ", 1<<20))
	for name, answer := range map[string]func(w http.ResponseWriter) (sent int){
		"plain": func(w http.ResponseWriter) (sent int) {
			for sent < gigabyte {
				n, err := w.Write(blank)
				if sent += n; err != nil {
					break
				}
			}
			return sent
		},
		"bomb": func(w http.ResponseWriter) (sent int) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for sent < gigabyte {
				n, err := z.Write(blank)
				if sent += n; err != nil {
					break
				}
				if z.Flush() != nil {
					break
				}
			}
			return sent
		},
		"an error": func(w http.ResponseWriter) (sent int) {
			w.WriteHeader(http.StatusBadRequest)
			for sent < gigabyte {
				n, err := w.Write(blank)
				if sent += n; err != nil {
					break
				}
			}
			return sent
		},
	} {
		sent := make(chan int, 10)
		c, _ := hostile(t, func(w http.ResponseWriter, _ *http.Request) { sent <- answer(w) })
		c.config.Timeout = time.Minute
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := collect(t.Context(), c, bySim(t), "")
		runtime.ReadMemStats(&after)
		took, read := after.TotalAlloc-before.TotalAlloc, <-sent
		// All doublings of the one buffer together; it ends at a few times the 16 MiB that a body may have.
		if err == nil || took > 200<<20 || read > gigabyte/4 {
			t.Errorf("%s: %d MiB allocated, %d MiB sent, error %v", name, took>>20, read>>20, err)
		}
	}
}

// Headers without end, interim answers without end, and an answer that drips byte by byte, in its headers or its body,
// all end.
func TestAnswersWithoutEnd(t *testing.T) {
	t.Parallel()
	raw := func(w http.ResponseWriter, begin, again string, pause time.Duration) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, err = io.WriteString(conn, begin)
		for err == nil {
			time.Sleep(pause)
			_, err = io.WriteString(conn, again)
		}
	}
	const begin = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct {
		begin, again string
		pause        time.Duration
	}{
		"headers":          {begin, "X-Flood: " + strings.Repeat("x", 1000) + "\r\n", 0},
		"one header":       {begin + "X-Flood: ", strings.Repeat("x", 1000), 0},
		"interim answers":  {"", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0},
		"dripping headers": {begin + "X-Drip: ", "x", time.Millisecond},
		"dripping body":    {begin + "Content-Type: application/json\r\nContent-Length: 9999999\r\n\r\n{", " ", time.Millisecond},
		"chunks":           {begin + "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, asked := hostile(t, func(w http.ResponseWriter, _ *http.Request) { raw(w, c.begin, c.again, c.pause) })
			began := time.Now()
			_, _, err := collect(t.Context(), client, bySim(t), "")
			if !errors.Is(err, ErrUnreachable) || asked.Load() != 2 || time.Since(began) > 20*time.Second {
				t.Errorf("%d requests in %v, error %v", asked.Load(), time.Since(began), err)
			}
		})
	}
}

// Promise 10: a server that nobody vouches for gets no credentials, and the default transport is the one that says so.
func TestPromise10TLSIsVerified(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	for _, p := range []Provider{
		{Name: "twilio", BaseURL: server.URL, PageSize: 1000},
		{Name: "kore", BaseURL: server.URL, TokenURL: server.URL + fakeapi.TokenPath, PageSize: 249},
	} {
		c := mustClient(t, Config{Provider: p, Retry: Retry{Attempts: 2, Base: time.Nanosecond, Cap: time.Nanosecond},
			Credentials: Credentials{AccountSID: "AC1", AuthToken: "very-secret", ClientID: "me", ClientSecret: "very-secret"}})
		_, _, err := collect(t.Context(), c, bySim(t), "")
		if !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), "very-secret") {
			t.Errorf("%s: an unknown authority: %v", p.Name, err)
		}
		if p.TokenURL == "" && !strings.Contains(fmt.Sprint(err), "certificate") {
			t.Errorf("%s: the error does not name the reason: %v", p.Name, err)
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("%d requests reached a server that nobody vouches for", n)
	}
}

// And there is no switch to turn that off, in any room.
func TestPromise10TLSHasNoSwitch(t *testing.T) {
	t.Parallel()
	files := 0
	err := filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		for _, word := range []string{"InsecureSkip" + "Verify", "VerifyPeer" + "Certificate", "VerifyConnection", "RootCAs"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s has %s", path, word)
			}
		}
		return err
	})
	if err != nil || files < 50 {
		t.Errorf("%d files, %v", files, err)
	}
}

// FuzzPromise10SameList lets nothing through that would make a request go elsewhere.
func FuzzPromise10SameList(f *testing.F) {
	for _, seed := range []string{"https://supersim.twilio.com/v1/UsageRecords?Page=1", "https://supersim.twilio.com@evil.example/v1/UsageRecords",
		"//evil.example/v1/UsageRecords", "https://supersim.twilio.com:443/v1/UsageRecords", "HTTPS://SUPERSIM.twilio.com/v1/UsageRecords#x", "https://supersim.twilio.com%2eevil.example/v1/UsageRecords"} {
		f.Add(seed)
	}
	base, err := url.Parse("https://supersim.twilio.com/v1/UsageRecords")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if sameList(base, address) != nil {
			return
		}
		req, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			return // it is never sent
		}
		host, port := strings.ToLower(req.URL.Hostname()), req.URL.Port()
		if req.URL.Scheme != "https" || host != "supersim.twilio.com" || port != "" && port != "443" || req.URL.User != nil || req.URL.EscapedPath() != base.Path {
			t.Errorf("%q leads to %s", address, req.URL)
		}
	})
}
