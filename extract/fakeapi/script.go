package fakeapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Script adds faults in words, one each:
//
//	after 3: 429 retry-after 2      the fourth request, once
//	after 3 times 2: 500            the fourth and the fifth
//	every 3: html 502               the third, the sixth, …
//	on sims after 1: cut            counting only requests for /v1/Sims
//	always: slow 200ms
//
// The turn is made of "after N", "every N", "times N", "always" and "on" with one of usage, sims, fleets, networks,
// token, next (a page behind the first) or a path; N may be followed by requests or pages, for the reader. What happens
// is a status with or without "retry-after S", or one of: html STATUS, cut, drop, truncate, slow DURATION, shift N, repeat,
// bad-row JSON, wrong-host HOST, loop, redirect URL, huge BYTES, ignore PARAMETER, refuse-token. Commas and case do
// not matter in the words.
func (s *Server) Script(lines ...string) error {
	var list []Fault
	for _, line := range lines {
		turn, action, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("fault %q: want turn: action, for example after 3: 500", line)
		}
		f, err := parseTurn(turn)
		if err == nil {
			f.Do, err = s.parseAction(strings.TrimSpace(action))
		}
		if err != nil {
			return fmt.Errorf("fault %q: %w", line, err)
		}
		list = append(list, f)
	}
	s.Inject(list...)
	return nil
}

func parseTurn(text string) (Fault, error) {
	var f Fault
	words := strings.Fields(strings.ToLower(strings.ReplaceAll(text, ",", " ")))
	for i := 0; i < len(words); i++ {
		word, value := words[i], ""
		switch word {
		case "always":
			f.Every = 1
			continue
		case "request", "requests", "page", "pages":
			continue
		}
		if i++; i < len(words) {
			value = words[i]
		}
		if word == "on" {
			f.Match = parseTarget(value)
			continue
		}
		field := map[string]*int{"after": &f.After, "every": &f.Every, "times": &f.Times}[word]
		n, err := strconv.Atoi(value)
		if field == nil || err != nil || n < 1 {
			return f, fmt.Errorf("turn %q: want after N, every N, times N, always or on …", word+" "+value)
		}
		*field = n
	}
	return f, nil
}

func parseTarget(name string) func(*http.Request) bool {
	path := map[string]string{"usage": "/v1/UsageRecords", "sims": "/v1/Sims", "fleets": "/v1/Fleets", "networks": "/v1/Networks", "token": TokenPath}[name]
	switch {
	case name == "next":
		return WithToken
	case path != "":
		return OnPath(path)
	}
	return func(r *http.Request) bool { return strings.EqualFold(r.URL.Path, name) }
}

func (s *Server) parseAction(text string) (Action, error) {
	word, rest, _ := strings.Cut(text, " ")
	word, rest = strings.ToLower(strings.TrimSuffix(word, ",")), strings.TrimSpace(rest)
	if status, err := strconv.Atoi(word); err == nil && status >= 200 && status <= 599 {
		return parseStatus(status, rest)
	}
	plain := map[string]Action{"cut": Cut(), "drop": Drop(), "truncate": Truncate(), "repeat": RepeatPreviousPage(), "loop": LoopNextURL(), "refuse-token": s.RefuseToken()}
	if do := plain[word]; do != nil && rest == "" {
		return do, nil
	}
	texts := map[string]func(string) Action{"bad-row": BadRow, "wrong-host": WrongHostNextURL, "redirect": Redirect, "ignore": IgnoreParameter}
	if do := texts[word]; do != nil && rest != "" {
		return do(rest), nil
	}
	numbers := map[string]func(int) Action{"html": HTML, "shift": ShiftRows, "huge": HugeBody}
	if do := numbers[word]; do != nil {
		n, err := strconv.Atoi(rest)
		if err != nil {
			return nil, fmt.Errorf("action %q: want a number", text)
		}
		return do(n), nil
	}
	if d, err := time.ParseDuration(rest); word == "slow" && err == nil {
		return Slow(d), nil
	}
	return nil, fmt.Errorf("action %q is not known", text)
}

func parseStatus(status int, rest string) (Action, error) {
	if rest == "" {
		return Status(status), nil
	}
	name, seconds, _ := strings.Cut(rest, " ")
	if !strings.EqualFold(name, "retry-after") || seconds == "" {
		return nil, fmt.Errorf("action %d %q: want retry-after and seconds", status, rest)
	}
	return Status(status, "Retry-After", strings.TrimSpace(seconds)), nil
}
