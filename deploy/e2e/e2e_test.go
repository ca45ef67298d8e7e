// Package e2e lets a real Kubernetes control plane judge the manifests: an API server with its etcd, the controllers of
// CronJobs and Jobs, and kubectl, all of them Kubernetes' own code in this one process, without docker. It is a module
// of its own, so that nobody who only builds the program has to download Kubernetes.
//
// What it prevents: a manifest that reads well and is refused, or whose rules do not mean what its comments say. What a
// rule about exit codes does, the Job controller decides; what the exit code is, the program. Only the node between
// them is a stand-in, see kubelet_test.go: it runs the pods' commands for real, against a throwaway Postgres and the
// simulated API.
//
// Each test has a namespace, and an overlay on top of ours, as people are told to write one.
package e2e

import (
	"os"
	"testing"

	"simusage/load/pgtest"
)

var postgres = pgtest.NewCluster(os.Getenv)

func TestMain(m *testing.M) {
	if os.Getenv(asKubectl) != "" {
		beKubectl()
		return
	}
	os.Exit(postgres.Run(m))
}

// All tests share one control plane, which lives as long as this test.
func TestKubernetes(t *testing.T) {
	c := startControlPlane(t)
	for name, test := range map[string]func(*testing.T, *controlPlane){
		"accepted": testAccepted,
		"schedule": testSchedule,
		"stopped":  testStopped,
		"backfill": testBackfill,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}
