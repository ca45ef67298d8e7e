package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// source is where settings come from: the flags that were given stand above the variables of one account, and those
// above the plain ones.
type source struct {
	flags map[string]string // variable → value
	env   *files
}

func newSource(flags map[string]string, env envconfig.Lookuper) *source {
	return &source{flags: flags, env: &files{env: env}}
}

// read is the environment as it is for all accounts (empty prefix) or for one.
func (s *source) read(prefix string) (environment, error) {
	lookups := []envconfig.Lookuper{envconfig.MapLookuper(s.flags)}
	var plain envconfig.Lookuper = s.env
	if prefix != "" {
		own := envconfig.PrefixLookuper(prefix, s.env)
		lookups = append(lookups, own)
		plain = s.without(prefix)
	}
	var e environment
	err := envconfig.ProcessWith(context.Background(), &envconfig.Config{Target: &e, Lookuper: envconfig.MultiLookuper(append(lookups, plain)...)})
	if s.env.err != nil {
		err = s.env.err
	}
	if err != nil {
		return e, misuse{err}
	}
	return e, nil
}

// without is the plain environment as an account sees it. Credentials are one set: an account that has some of its own
// gets none of the others. Were they mixed, an account with an auth token of its own and another's API key would load
// the other's usage under its name.
func (s *source) without(prefix string) envconfig.Lookuper {
	credentials := credentialNames()
	own := slices.ContainsFunc(credentials, func(name string) bool { _, given := s.env.Lookup(prefix + name); return given })
	return envconfig.LookuperFunc(func(name string) (string, bool) {
		if own && slices.Contains(credentials, name) {
			return "", false
		}
		return s.env.Lookup(name)
	})
}

// label is what the user calls a setting: the flag or the variable that it came from.
func (s *source) label(prefix, name string) string {
	if _, given := s.flags[name]; given {
		for _, v := range variables() {
			if v.Name == name {
				return "--" + v.Flag
			}
		}
	}
	if _, given := s.env.Lookup(prefix + name); given {
		name = prefix + name
	}
	if s.env.fromFile(name) {
		name += "_FILE"
	}
	return name
}

func credentialNames() []string {
	return []string{"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY", "TWILIO_API_SECRET", "KORE_CLIENT_ID", "KORE_CLIENT_SECRET"}
}

// files is the environment with NAME_FILE for secrets, which orchestrators mount as files. Empty variables count as not
// set, because that is how templates write a variable that is not wanted.
type files struct {
	env envconfig.Lookuper
	err error // the first file that could not be read
}

// Lookup is the variable, or what the file says that NAME_FILE names.
func (f *files) Lookup(name string) (string, bool) {
	value, given := f.plain(name)
	if !f.fromFile(name) {
		return value, given
	}
	if given {
		f.fail(fmt.Errorf("%[1]s and %[1]s_FILE are both set: keep one of them", name))
		return value, given
	}
	path, _ := f.plain(name + "_FILE")
	text, err := readSecret(path)
	switch {
	case err != nil:
		f.fail(fmt.Errorf("%s_FILE: read the file: %w", name, err))
	case text == "":
		f.fail(fmt.Errorf("%s_FILE: the file is empty", name))
	}
	return text, text != ""
}

func (f *files) plain(name string) (string, bool) {
	value, _ := f.env.Lookup(name)
	value = strings.TrimSpace(value)
	return value, value != ""
}

// fromFile says whether the variable is a secret that a file is named for.
func (f *files) fromFile(name string) bool {
	for _, v := range variables() {
		if v.File && strings.HasSuffix(name, v.Name) {
			_, given := f.plain(name + "_FILE")
			return given
		}
	}
	return false
}

func (f *files) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// readSecret reads a file that holds a secret. Its errors do not repeat the path: the secret itself is what people put
// there by mistake.
func readSecret(path string) (string, error) {
	const most = 64 << 10
	file, err := os.Open(path)
	var text []byte
	if err == nil {
		defer file.Close()
		text, err = io.ReadAll(io.LimitReader(file, most+1))
	}
	if in := (*fs.PathError)(nil); errors.As(err, &in) {
		err = in.Err
	}
	if err == nil && len(text) > most {
		err = errors.New("it is longer than a secret")
	}
	return strings.TrimSpace(string(text)), err
}
