package extract

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/valyala/fastjson"
)

// ask sends one request and reads the body of a successful answer into the walk's decoder. Everything else is a failure.
func (c *Client) ask(ctx context.Context, a aim, w *walk) *failure {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.address, nil)
	if err != nil {
		return &failure{remedy: giveUp, err: errors.New(c.plain(err.Error()))}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip") // set here, so that a body is bounded after decompression, not before
	req.Header.Set("User-Agent", c.config.UserAgent)
	token, err := c.auth.sign(ctx, req)
	if err != nil {
		return c.unsigned(err)
	}

	var place ticket
	err = c.pause(func() (err error) { place, err = c.gate.enter(ctx); return err })
	if err != nil {
		return &failure{remedy: askAgain, err: errors.New("wait for a place in flight")}
	}
	defer c.gate.leave()
	if err := c.pause(func() error { return c.paced(ctx) }); err != nil {
		return &failure{remedy: askAgain, err: errors.New("wait for the rate")}
	}
	resp, f := c.send(req, w)
	if f != nil {
		return f
	}
	if resp.StatusCode == http.StatusOK {
		c.gate.served(place)
		return nil
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		c.gate.throttled(place)
		c.count(func(s *Stats) { s.Throttled++ })
	}
	f = c.judge(resp, w.decoder.body.Bytes(), a.first)
	f.token = token
	return f
}

// unsigned is a request that could not be signed.
func (c *Client) unsigned(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return &failure{remedy: askAgain, err: errors.New(c.plain(err.Error()))}
}

// paced waits for the rate. The limiter's own Wait fails at once when ctx would end first, and with an error that
// is not the context's.
func (c *Client) paced(ctx context.Context) error {
	r := c.limiter.Reserve()
	err := sleep(ctx, r.Delay())
	if err != nil {
		r.Cancel()
	}
	return err
}

// pause counts the time that f waits.
func (c *Client) pause(f func() error) error {
	began := time.Now()
	defer func() { c.count(func(s *Stats) { s.Waited += time.Since(began) }) }()
	return f()
}

// send does the exchange. It uses the transport, not an http.Client: that would follow redirects and take the
// credentials along. Errors of the transport are told in words and not wrapped: they carry addresses, also the
// proxy's, with what is in them, and a time-out of one request is not the end of ctx.
func (c *Client) send(req *http.Request, w *walk) (*http.Response, *failure) {
	ctx, cancel := context.WithTimeout(req.Context(), c.config.Timeout)
	defer cancel()
	c.count(func(s *Stats) { s.Requests++ })
	resp, err := c.config.Transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, c.broken(ctx, "send", err)
	}
	defer resp.Body.Close()
	c.count(func(s *Stats) { s.Statuses[resp.StatusCode]++ })
	most := c.config.MaxBody
	if resp.StatusCode != http.StatusOK {
		most = min(most, 64<<10) // an error is a few lines; of a longer one the beginning is enough
	}
	if err := w.hold(ctx); err != nil {
		return nil, c.broken(ctx, "wait for room to read the answer", err)
	}
	d := w.decoder
	d.kind = c.plain(mediaType(resp))
	whole, err := d.read(resp, most)
	switch {
	case resp.StatusCode != http.StatusOK:
		return resp, nil // the status says enough, even if the body broke off
	case err != nil:
		return nil, c.broken(ctx, fmt.Sprintf("read the answer, cut off after %d bytes", d.body.Len()), err)
	case !whole:
		return nil, &failure{remedy: giveUp, status: resp.StatusCode,
			err: fmt.Errorf("%w: it is larger than %d bytes", ErrAnswer, most)}
	}
	return resp, nil
}

func (c *Client) broken(ctx context.Context, doing string, err error) *failure {
	if ctx.Err() != nil {
		return &failure{remedy: askAgain, err: fmt.Errorf("%s: no whole answer within %s", doing, c.config.Timeout)}
	}
	return &failure{remedy: askAgain, err: fmt.Errorf("%s: %s", doing, c.plain(err.Error()))}
}

// read takes the body in, decompressed, up to most bytes; it says whether that was all of it.
func (d *decoder) read(resp *http.Response, most int64) (whole bool, err error) {
	d.body.Reset()
	var body io.Reader = resp.Body
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		if d.unzip == nil {
			d.unzip = new(gzip.Reader)
		}
		if err := d.unzip.Reset(resp.Body); err != nil {
			return false, err
		}
		body = d.unzip
	}
	n, err := d.body.ReadFrom(io.LimitReader(body, most+1))
	return n <= most, err
}

// judge says what an answer other than 200 means.
func (c *Client) judge(resp *http.Response, body []byte, first bool) *failure {
	e := c.apiError(resp, body)
	f := &failure{remedy: giveUp, err: e, status: e.Status, pause: pauseOf(resp.Header, time.Now())}
	switch {
	case e.Status == http.StatusTooManyRequests:
		f.remedy = comeLater
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		f.remedy = signAgain
	case e.Status >= 500 || e.Status == http.StatusRequestTimeout || e.Status == http.StatusTooEarly:
		f.remedy = askAgain
	case e.Status >= 400 && (first || e.Code/10 == 8360):
		f.err = fmt.Errorf("%w: %w", ErrRefused, e)
	case e.Status >= 400:
		f.err = fmt.Errorf("%w: %w", ErrTokenRefused, e)
	case e.Status >= 300:
		f.err = fmt.Errorf("redirected to %s, which is not followed because the credentials would travel: %w",
			c.plain(target(resp)), e)
	default:
		f.err = fmt.Errorf("%w: %w", ErrAnswer, e)
	}
	return f
}

func target(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil {
		return "nowhere"
	}
	return u.Scheme + "://" + u.Host
}

// apiError reads the API's error body; a gateway in between may have sent something else.
func (c *Client) apiError(resp *http.Response, body []byte) *APIError {
	e := &APIError{Status: resp.StatusCode}
	for _, name := range []string{"Twilio-Request-Id", "X-Request-Id"} {
		if e.RequestID == "" {
			e.RequestID = c.plain(resp.Header.Get(name))
		}
	}
	value, err := fastjson.ParseBytes(body)
	if err != nil || value.Type() != fastjson.TypeObject {
		if len(bytes.TrimSpace(body)) > 0 {
			e.Kind = c.plain(mediaType(resp))
		}
		return e
	}
	if code := value.Get("code"); code != nil {
		e.Code, _ = strconv.Atoi(strings.Trim(code.String(), `"`))
	}
	e.Message = c.plain(string(value.GetStringBytes("message")))
	if detail := c.plain(string(value.GetStringBytes("error"))); detail != "" && detail != e.Message {
		e.Message = strings.TrimPrefix(e.Message+"; "+detail, "; ")
	}
	return e
}

// mediaType is what a body says it is.
func mediaType(resp *http.Response) string {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || len(kind) > 64 {
		return "an unknown type"
	}
	return kind
}

// plain is foreign text made fit for a message: one line, not long, without secrets and without the userinfo of
// addresses in it.
func (c *Client) plain(text string) string {
	for _, secret := range c.auth.secrets() {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[secret]")
		}
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	text = withoutUserinfo(strings.ToValidUTF8(text, "?"))
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// withoutUserinfo cuts user:password@ out of the addresses in a text.
func withoutUserinfo(text string) string {
	var b strings.Builder
	for {
		at := strings.Index(text, "://")
		if at < 0 {
			b.WriteString(text)
			return b.String()
		}
		at += len("://")
		b.WriteString(text[:at])
		text = text[at:]
		end := strings.IndexAny(text, "/?# \"'")
		if end < 0 {
			end = len(text)
		}
		if user := strings.LastIndexByte(text[:end], '@'); user >= 0 {
			text = text[user+1:]
		}
	}
}
