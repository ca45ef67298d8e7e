package fakeapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// listing is one list as its page is asked for: which parameters it knows, in the order in which the vendors' own
// URLs have them, and where the page lies.
type listing struct {
	path  string
	key   string   // of the records in the envelope
	names []string // of its parameters, without the three of paging
	max   int      // of PageSize

	base  string // scheme, host and path
	query url.Values
	size  int
	at    position
}

// meta is the envelope's description of the page.
type meta struct {
	FirstPageURL    string  `json:"first_page_url"`
	Key             string  `json:"key"`
	NextPageURL     *string `json:"next_page_url"`
	Page            int     `json:"page"`
	PageSize        int     `json:"page_size"`
	PreviousPageURL *string `json:"previous_page_url"`
	URL             string  `json:"url"`
}

// open reads the paging parameters. Parameters that the list does not know are ignored, silently.
func (s *Server) open(l listing, r *http.Request) (listing, *refusal) {
	now := s.now()
	l.base = s.opts.BaseURL + l.path
	if s.opts.BaseURL == "" {
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		l.base = scheme + r.Host + l.path
	}
	l.query = url.Values{}
	asked := r.URL.Query()
	for _, name := range l.names {
		if v := asked.Get(name); v != "" {
			l.query.Set(name, v)
		}
	}
	refused := l.readSize(asked, s.opts.ClampPageSize)
	if refused != nil {
		return l, refused
	}
	l.at = position{start: now, issued: now}
	page, token := asked.Get("Page"), asked.Get("PageToken")
	if token != "" {
		if l.at, refused = s.decode(token, l.path+"?"+l.canonical(), now); refused != nil {
			return l, refused
		}
		l.at.offset = max(0, l.at.offset-shiftOf(r))
	}
	if page != "" {
		n, err := strconv.Atoi(page)
		if err != nil || n < 0 || (n > 0 && token == "") {
			return l, &refusal{http.StatusBadRequest, 20001, "Invalid Page: it must come with its PageToken"}
		}
		l.at.page = n
	}
	return l, nil
}

func (l *listing) readSize(asked url.Values, clamp bool) *refusal {
	l.size = 50
	if text := asked.Get("PageSize"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || (n > l.max && !clamp) {
			return &refusal{http.StatusBadRequest, 20001, "PageSize must be between 1 and " + strconv.Itoa(l.max)}
		}
		l.size = n
	}
	l.size = min(l.size, l.max)
	return nil
}

// canonical is the query in the vendors' order, with the page size and without the position.
func (l *listing) canonical() string {
	var b strings.Builder
	for _, name := range l.names {
		if v := l.query.Get(name); v != "" {
			b.WriteString(name + "=" + url.QueryEscape(v) + "&")
		}
	}
	return b.String() + "PageSize=" + strconv.Itoa(l.size)
}

// link is the URL of a page; the first page has no token.
func (s *Server) link(l *listing, p position) string {
	query := l.canonical()
	u := l.base + "?" + query + "&Page=" + strconv.Itoa(p.page)
	if p.page == 0 && p.offset == 0 {
		return u
	}
	return u + "&PageToken=" + url.QueryEscape(s.encode(p, l.path+"?"+query))
}

// describe is the meta of the page, in a list that has total records now.
func (s *Server) describe(l *listing, total int) meta {
	now := s.now()
	at := func(offset, page int) *string {
		u := s.link(l, position{offset: max(0, offset), page: max(0, page), start: l.at.start, issued: now})
		return &u
	}
	m := meta{FirstPageURL: s.link(l, position{}), Key: l.key, Page: l.at.page, PageSize: l.size, URL: *at(l.at.offset, l.at.page)}
	if l.at.offset+l.size < total {
		m.NextPageURL = at(l.at.offset+l.size, l.at.page+1)
	}
	if l.at.page > 0 {
		m.PreviousPageURL = at(l.at.offset-l.size, l.at.page-1)
	}
	return m
}

// send writes the page of a list that has total records, of which add appends the one of an index.
func (s *Server) send(w http.ResponseWriter, l *listing, total int, add func(b []byte, i int) []byte) {
	from := min(l.at.offset, total)
	to := min(from+l.size, total)
	body := make([]byte, 0, 1024+(to-from)*400)
	body = append(body, `{"`+l.key+`":[`...)
	for i := from; i < to; i++ {
		if i > from {
			body = append(body, ',')
		}
		body = add(body, i)
	}
	body = append(body, `],"meta":`...)
	body = append(body, encodeMeta(s.describe(l, total))...)
	body = append(body, '}')
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // a client that has gone needs no answer
}

// encodeMeta keeps the ampersands of the URLs as they are.
func encodeMeta(m meta) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		panic(err) // a struct of strings and numbers
	}
	return bytes.TrimSpace(b.Bytes())
}

// shiftKey carries, in a request's context, by how many rows a fault moves its page towards the start of the list.
type shiftKey struct{}

func shiftOf(r *http.Request) int {
	n, _ := r.Context().Value(shiftKey{}).(int)
	return n
}

func withShift(r *http.Request, rows int) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), shiftKey{}, rows))
}
