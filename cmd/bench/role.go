package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"

	"simusage/extract"
)

// A role is a process that bench starts of itself, so that the API costs the program nothing and bench stays small: the
// kernel takes the memory of a parent for a child's peak where it is more. It reads its order as JSON from stdin and
// prints what came of it.
const roleFlag = "-role"

func roleOf(args []string) string {
	if len(args) == 2 && args[0] == roleFlag {
		return args[1]
	}
	return ""
}

// play does what a role is for.
func play(ctx context.Context, role string, stdin io.Reader, stdout io.Writer) error {
	in := json.NewDecoder(stdin)
	var o order
	if err := in.Decode(&o); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	switch role {
	case "api":
		return serve(ctx, o.Fleet, stdin, stdout)
	case "ceiling":
		return report(stdout)(ceiling(ctx, o))
	case "script":
		return report(stdout)(script(ctx, o))
	}
	return fmt.Errorf("no such role: %q", role)
}

// order is what a role is to do.
type order struct {
	Fleet    fleet
	Window   extract.Window
	Database string
	API      string
	Rows     int
}

// loaded is what came of loading.
type loaded struct {
	Rows int64
	Took time.Duration
}

// rate is rows a second.
func (l loaded) rate() float64 { return float64(l.Rows) / l.Took.Seconds() }

func report(w io.Writer) func(loaded, error) error {
	return func(l loaded, err error) error {
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(l)
	}
}

// serve is the API until stdin ends, which it does with bench, however that ends.
func serve(ctx context.Context, f fleet, stdin io.Reader, stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open a port: %w", err)
	}
	base := "http://" + listener.Addr().String()
	server := &http.Server{Handler: newAPI(f, base).handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	go func() {
		io.Copy(io.Discard, stdin)
		server.Close()
	}()
	context.AfterFunc(ctx, func() { server.Close() })
	fmt.Fprintln(stdout, base)
	if err := <-ended; err != http.ErrServerClosed {
		return err
	}
	return nil
}

// role prepares a process of ourselves. It is in a group of its own: Ctrl-C is for bench, which ends its children itself.
func role(ctx context.Context, name string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, roleFlag, name)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, nil
}

// comparand lets a role load, and says what came of it.
func comparand(ctx context.Context, name string, o order) (loaded, error) {
	var l loaded
	cmd, err := role(ctx, name)
	if err != nil {
		return l, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return l, err
	}
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &l)
	}
	if err != nil {
		return l, fmt.Errorf("run %s: %w", name, err)
	}
	return l, nil
}

// simulated is the API's process, seen from bench.
type simulated struct {
	fleet fleet
	url   string
	end   func()
}

// simulate starts an API for a fleet.
func simulate(ctx context.Context, f fleet) (*simulated, error) {
	cmd, err := role(ctx, "api")
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the API: %w", err)
	}
	s := &simulated{fleet: f, end: func() { in.Close(); cmd.Wait() }}
	err = json.NewEncoder(in).Encode(order{Fleet: f})
	if err == nil {
		_, err = fmt.Fscanln(out, &s.url)
	}
	if err != nil {
		s.end()
		return nil, fmt.Errorf("start the API: %w", err)
	}
	return s, nil
}

// set says how the API behaves from now on, and begins to count anew.
func (s *simulated) set(ctx context.Context, st state) error {
	body, err := json.Marshal(st)
	if err == nil {
		err = s.call(ctx, http.MethodPut, "/bench/state", body, nil)
	}
	return err
}

// counts is what was asked since.
func (s *simulated) counts(ctx context.Context) (counts, error) {
	var c counts
	err := s.call(ctx, http.MethodGet, "/bench/counts", nil, &c)
	return c, err
}

func (s *simulated) call(ctx context.Context, method, path string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}
