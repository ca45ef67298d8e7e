package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// confined asks the kernel how far the process in a container can go: what the engine was asked for and what it did need
// not be the same.
func (c *container) confined(ctx context.Context) ([]finding, error) {
	pid, err := c.engine.do(ctx, nil, "inspect", "--format", "{{.State.Pid}}", c.id)
	if err != nil {
		return nil, err
	}
	proc := "/proc/" + pid + "/"
	files := make(map[string]string)
	for _, name := range []string{"status", "uid_map", "gid_map", "mountinfo"} {
		text, err := os.ReadFile(proc + name)
		if err != nil {
			return nil, fmt.Errorf("look at the container's process: %w", err)
		}
		files[name] = string(text)
	}
	status := fields(files["status"])
	var capable []string
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		if strings.Trim(status[set], "0") != "" {
			capable = append(capable, set+" "+status[set])
		}
	}
	root, writable := mounts(files["mountinfo"])
	return []finding{
		{"its user and group are " + nobody, differs(identity(status["Uid"], files["uid_map"])+" "+identity(status["Gid"], files["gid_map"]), nobody+" "+nobody)},
		{"it has no capabilities", strings.Join(capable, ", ")},
		{"it can get none", differs("NoNewPrivs "+status["NoNewPrivs"], "NoNewPrivs 1")},
		{"its root is read-only", differs(root, "ro")},
		{"no place to write to is mounted into it", strings.Join(writable, ", ")},
	}, nil
}

// fields reads lines such as "Uid:	65532	65532".
func fields(text string) map[string]string {
	all := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		all[name] = strings.TrimSpace(value)
	}
	return all
}

// identity is who the process is (its real, effective, saved and file system id, when they are one) in the container's own
// count: an engine that is not root's gives it another one outside.
func identity(ids, table string) string {
	list := strings.Fields(ids)
	if len(slices.Compact(slices.Clone(list))) != 1 {
		return ids
	}
	outside, err := strconv.Atoi(list[0])
	if err != nil {
		return ids
	}
	for line := range strings.Lines(table) {
		var first, begins, length int
		if n, _ := fmt.Sscan(line, &first, &begins, &length); n == 3 && begins <= outside && outside < begins+length {
			return strconv.Itoa(first + outside - begins)
		}
	}
	return ids
}

// mounts reads how the root is mounted, and what can be written to besides what the kernel itself shows.
func mounts(text string) (root string, writable []string) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 6 {
			continue
		}
		access, _, _ := strings.Cut(f[5], ",")
		kernels := slices.ContainsFunc([]string{"/proc", "/sys", "/dev"}, func(dir string) bool { return f[4] == dir || strings.HasPrefix(f[4], dir+"/") })
		switch {
		case f[4] == "/":
			root = access
		case access != "ro" && !kernels:
			writable = append(writable, f[4])
		}
	}
	return root, writable
}
