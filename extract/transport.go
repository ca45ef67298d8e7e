package extract

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// newTransport is the default transport. Nothing in it waits for ever and nothing the other side sends is kept
// without bound, because a run that hangs looks like one that works.
func newTransport(connections int) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  time.Minute,
		IdleConnTimeout:        90 * time.Second,
		MaxConnsPerHost:        connections,
		MaxIdleConns:           2 * connections,
		MaxIdleConnsPerHost:    connections,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
}

// CheckURL reads an address that credentials will be sent to: https, except to this machine. What names it in errors.
func CheckURL(what, address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return nil, fmt.Errorf("%s: want an address like https://host", what)
	}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("%s of %s: it contains credentials; give them apart", what, u.Host)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%s of %s: it may not have a query or a fragment", what, u.Host)
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	case u.Scheme == "http":
		return nil, fmt.Errorf("%s of %s: credentials go over https only; http is for this machine", what, u.Host)
	}
	return nil, fmt.Errorf("%s of %s: scheme %q is not https", what, u.Host, u.Scheme)
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// sameList says whether an address is of the list that is being walked: scheme, host, port and path. The credentials
// go with every request, so an answer must not be able to send them elsewhere.
func sameList(base *url.URL, address string) error {
	u, err := url.Parse(address)
	if err != nil || len(address) > 8<<10 {
		return fmt.Errorf("the next page has no address that can be read")
	}
	switch {
	case !u.IsAbs() || u.Host == "":
		return fmt.Errorf("the next page has no absolute address")
	case u.User != nil:
		return fmt.Errorf("the address of the next page contains credentials")
	case !strings.EqualFold(u.Scheme, base.Scheme) || hostPort(u) != hostPort(base):
		return fmt.Errorf("the next page is said to be at %s, not at %s", originOf(address), originOf(base.String()))
	case u.EscapedPath() != base.EscapedPath():
		return fmt.Errorf("the next page is said to be at path %q, not %q", u.Path, base.Path)
	}
	return nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" && strings.EqualFold(u.Scheme, "https") {
		port = "443"
	} else if port == "" {
		port = "80"
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}

// originOf is scheme://host of an address, for messages: no userinfo, no query.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "an address that cannot be read"
	}
	return u.Scheme + "://" + u.Host
}
