//go:build !linux

package pgtest

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// endWithParent has no counterpart outside Linux: there a server whose parent
// was killed runs until the next Start sweeps it up.
func endWithParent(*syscall.SysProcAttr) {}

// children lists the processes whose parent is pid.
func children(pid int) []int {
	out, _ := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=").Output()
	var pids []int
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) == 2 && fields[1] == strconv.Itoa(pid) {
			n, _ := strconv.Atoi(fields[0])
			pids = append(pids, n)
		}
	}
	return pids
}

// commandLine is how a process was started; empty if there is no such process.
func commandLine(pid int) string {
	out, _ := exec.Command("ps", "-ww", "-p", strconv.Itoa(pid), "-o", "command=").Output()
	return strings.TrimSpace(string(out))
}
