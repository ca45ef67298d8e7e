package fakeapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// position is where a page begins in its list. A page token is a signed position, bound to the query that it was
// given out for: with other parameters it is refused, which is what makes deriving or reusing tokens fail in a test
// rather than at the vendor.
type position struct {
	offset int
	page   int
	start  time.Time // when the first page was asked for: a window that defaults to "until now" keeps its now
	issued time.Time
}

// encode is the token of a position in the list of a query.
func (s *Server) encode(p position, query string) string {
	body := fmt.Sprintf("%s.%s.%s.%s", strconv.FormatInt(int64(p.offset), 36), strconv.FormatInt(int64(p.page), 36),
		strconv.FormatInt(p.start.UnixNano(), 36), strconv.FormatInt(p.issued.UnixNano(), 36))
	return "PT:" + body + ":" + s.sign(query+" "+body)
}

// decode reads a token back.
func (s *Server) decode(token, query string, now time.Time) (position, *refusal) {
	invalid := &refusal{http.StatusBadRequest, 20001, "Invalid page token"}
	parts := strings.Split(token, ":")
	if len(parts) != 3 || parts[0] != "PT" || !hmac.Equal([]byte(parts[2]), []byte(s.sign(query+" "+parts[1]))) {
		return position{}, invalid
	}
	var numbers [4]int64
	for i, text := range strings.Split(parts[1], ".") {
		n, err := strconv.ParseInt(text, 36, 64)
		if err != nil {
			return position{}, invalid
		}
		numbers[i] = n
	}
	p := position{offset: int(numbers[0]), page: int(numbers[1]), start: time.Unix(0, numbers[2]).UTC(), issued: time.Unix(0, numbers[3]).UTC()}
	if s.opts.TokenLife > 0 && now.Sub(p.issued) > s.opts.TokenLife {
		return position{}, s.staleToken()
	}
	return p, nil
}

// staleToken is the answer to a token that was good once.
func (s *Server) staleToken() *refusal {
	return &refusal{http.StatusBadRequest, s.opts.StaleTokenCode, "Page token has expired"}
}

// sign is a signature that only a server of the same world makes, so that tokens outlive a restart of the server.
func (s *Server) sign(text string) string {
	mac := hmac.New(sha256.New, fmt.Appendf(nil, "%s %d", s.world.account, s.world.seed))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
