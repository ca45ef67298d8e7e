package fakeapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// bearers are the tokens that the token endpoint has given out.
type bearers struct {
	mu     sync.Mutex
	issued int
	until  map[string]time.Time
}

// ExpireTokens makes every bearer token given out so far expired.
func (s *Server) ExpireTokens() {
	s.bearer.mu.Lock()
	defer s.bearer.mu.Unlock()
	s.bearer.until = nil
}

// TokensIssued is how many bearer tokens were given out.
func (s *Server) TokensIssued() int {
	s.bearer.mu.Lock()
	defer s.bearer.mu.Unlock()
	return s.bearer.issued
}

// authenticate is nil when the request carries valid credentials. The refusal does not say what was wrong with them.
func (s *Server) authenticate(r *http.Request) *refusal {
	if s.opts.Profile == Kore {
		token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if isBearer && s.bearer.valid(token, s.now()) {
			return nil
		}
		if s.opts.Expired401 {
			return &refusal{http.StatusUnauthorized, 20003, "Authentication Error - invalid or expired token"}
		}
		return &refusal{http.StatusForbidden, 0, "User is not authorized to access this resource with an explicit deny"}
	}
	user, password, _ := r.BasicAuth()
	byAccount := user == s.world.account && password == s.opts.AuthToken
	byKey := s.opts.APIKey != "" && user == s.opts.APIKey && password == s.opts.APISecret
	if byAccount || byKey {
		return nil
	}
	return &refusal{http.StatusUnauthorized, 20003, "Authentication Error - invalid username"}
}

// writeUnauthorized sends the refusal; the 403 of kore comes from its gateway and has a form of its own.
func (s *Server) writeUnauthorized(w http.ResponseWriter, f refusal) {
	if f.status == http.StatusForbidden {
		writeJSON(w, f.status, map[string]string{"message": f.message, "error": "Invalid or expired token"})
		return
	}
	if s.opts.Profile == Twilio {
		w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
	}
	f.write(w)
}

// giveBearer is the token endpoint: OAuth2 client credentials, in the form or in the Authorization header.
func (s *Server) giveBearer(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		refusal{http.StatusMethodNotAllowed, 20004, "Method not allowed"}.write(w)
		return
	}
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	switch {
	case r.PostFormValue("grant_type") != "client_credentials":
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "unsupported_grant_type"})
		return
	case id != s.opts.ClientID || secret != s.opts.ClientSecret:
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client", "error_description": "Invalid client or Invalid client credentials"})
		return
	}
	seconds := int(s.opts.BearerLife / time.Second)
	body := map[string]any{"access_token": s.bearer.give(s, s.now().Add(s.opts.BearerLife)), "token_type": "Bearer", "scope": "email profile", "expires_in": seconds}
	if s.opts.ExpiresInText {
		body["expires_in"] = strconv.Itoa(seconds)
	}
	writeJSON(w, http.StatusOK, body)
}

func (b *bearers) give(s *Server, until time.Time) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until == nil {
		b.until = map[string]time.Time{}
	}
	b.issued++
	token := "eyJ" + s.sign(fmt.Sprintf("bearer %d", b.issued))
	b.until[token] = until
	return token
}

func (b *bearers) valid(token string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, known := b.until[token]
	return known && now.Before(until)
}
