package deploy

import (
	"bytes"
	"cmp"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"

	"simusage/extract/fakeapi"
	"simusage/load/pgtest"
)

// program builds the program that the image has.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "simusage")
	if out, err := exec.Command("go", "build", "-o", path, "../cmd/simusage").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	return path
}

// worker runs pods: their arguments and variables with the real program, their secrets from a folder.
type worker struct {
	t       *testing.T
	program string
	secrets string            // the folder that stands for /secrets
	args    map[string]string // arguments that are given otherwise, by the flag
	env     []string          // what the pods of a cluster do not have: where the simulated API is
}

// run runs a pod to its end, and wants it to end well. It has no variable that the manifest does not give.
func (n *worker) run(name string, pod core.PodSpec) string {
	n.t.Helper()
	c := pod.Containers[0]
	var args []string
	for _, arg := range c.Args {
		flag, _, _ := strings.Cut(arg, "=")
		args = append(args, cmp.Or(n.args[flag], arg))
	}
	cmd := exec.CommandContext(n.t.Context(), n.program, args...)
	cmd.Env = n.env
	for _, e := range c.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+strings.Replace(e.Value, "/secrets", n.secrets, 1))
	}
	cmd.Dir = n.secrets // nothing is written where the program runs
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		n.t.Fatalf("%s: simusage %s: %v\n%s%s", name, strings.Join(args, " "), err, out, log.Bytes())
	}
	return string(out)
}

// What the manifests say runs: the schema, the first sync, a backfill by two pods and a trim, for each vendor.
func TestPodsRun(t *testing.T) {
	t.Parallel()
	simusage := program(t)
	for vendor, secrets := range map[string]map[string]string{
		"twilio": {"TWILIO_AUTH_TOKEN": "fake-auth-token"},
		"kore":   {"KORE_CLIENT_ID": "fake-client", "KORE_CLIENT_SECRET": "fake-secret"},
	} {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			world := fakeapi.NewWorld(fakeapi.WorldConfig{Seed: 50, Sims: 6, Late: -1, Start: daysBefore(6), End: time.Now()})
			server := httptest.NewServer(fakeapi.New(world, fakeapi.Options{Profile: vendor, Clock: time.Now}))
			t.Cleanup(server.Close)
			database := postgres.Database(t, pgtest.Template{})
			n := &worker{t: t, program: simusage, secrets: t.TempDir(),
				args: map[string]string{"--from": "--from=" + daysBefore(6).Format(time.DateOnly), "--to": "--to=" + daysBefore(2).Format(time.DateOnly)},
				env:  []string{"SIMUSAGE_BASE_URL=" + server.URL, "SIMUSAGE_SINCE=" + daysBefore(2).Format(time.DateOnly)}}
			if vendor == "kore" {
				n.env = append(n.env, "SIMUSAGE_TOKEN_URL="+server.URL+fakeapi.TokenPath)
			}
			write := func(folder, key, value string) {
				path := filepath.Join(n.secrets, folder, key)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(value+"\n"), 0o400); err != nil {
					t.Fatal(err)
				}
			}
			write("database", "DATABASE_URL", database)
			if vendor == "twilio" {
				write("api", "TWILIO_ACCOUNT_SID", world.AccountSID())
			}
			for key, value := range secrets {
				write("api", key, value)
			}

			base, backfill := render(t, vendor), render(t, vendor+"-backfill")
			n.run("migrate", base.jobs["simusage-migrate"].Spec.Template.Spec)
			if out := n.run("sync", base.cronJobs["simusage"].Spec.JobTemplate.Spec.Template.Spec); !strings.HasPrefix(out, "done: 9 slices") {
				t.Errorf("sync says %s", out)
			}
			if out := n.run("backfill", backfill.jobs["simusage-backfill"].Spec.Template.Spec); !strings.HasPrefix(out, "done: 12 slices") {
				t.Errorf("the first pod says %s", out)
			}
			if out := n.run("backfill", backfill.jobs["simusage-backfill"].Spec.Template.Spec); !strings.HasPrefix(out, "done: 0 slices") {
				t.Errorf("the second pod says %s", out)
			}
			trim := render(t, "trim").cronJobs["simusage-trim"].Spec.JobTemplate.Spec.Template.Spec
			if out := n.run("trim", trim); !strings.HasPrefix(out, "nothing to trim: no hours are older than") {
				t.Errorf("trim says %s", out)
			}
		})
	}
}
