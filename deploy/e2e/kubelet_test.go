package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// kubelet stands in for the scheduler and the node: it takes every pod, runs its command as a process of this machine,
// and reports what the kubelet would. A pod that is deleted gets SIGTERM, and after its grace period SIGKILL.
type kubelet struct {
	t       *testing.T
	client  kubernetes.Interface
	dir     string // what the pods see of this machine
	program string // that the image has

	mu   sync.Mutex
	ends map[types.UID]context.CancelFunc
	log  []exit
}

// exit is how a pod ended.
type exit struct {
	namespace, job string
	code           int
	disrupted      bool   // something took its node away, and said so
	said           string // its last line that is not the log
}

const nodeName = "node"

func startKubelet(t *testing.T, client kubernetes.Interface, pods cache.SharedIndexInformer) *kubelet {
	t.Helper()
	dir, err := os.MkdirTemp("", "simusage-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // pods run as a user of their own
		t.Fatal(err)
	}
	k := &kubelet{t: t, client: client, dir: dir, program: filepath.Join(dir, "simusage"), ends: map[types.UID]context.CancelFunc{}}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", k.program, "./cmd/simusage")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	_, err = pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(added any) {
			pod := added.(*core.Pod)
			ctx, end := context.WithCancel(t.Context())
			k.mu.Lock()
			k.ends[pod.UID] = end
			k.mu.Unlock()
			running.Go(func() {
				defer end()
				if err := k.run(t.Context(), ctx, pod); err != nil && t.Context().Err() == nil {
					t.Errorf("run pod %s/%s: %v", pod.Namespace, pod.Name, err)
				}
			})
		},
		UpdateFunc: func(_, updated any) {
			if pod := updated.(*core.Pod); pod.DeletionTimestamp != nil {
				k.mu.Lock()
				defer k.mu.Unlock()
				k.ends[pod.UID]()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// run takes a pod through its life. The pod is stopped when alive ends.
func (k *kubelet) run(ctx, alive context.Context, pod *core.Pod) error {
	pods := k.client.CoreV1().Pods(pod.Namespace)
	bound := &core.Binding{ObjectMeta: meta.ObjectMeta{Name: pod.Name}, Target: core.ObjectReference{Kind: "Node", Name: nodeName}}
	if err := pods.Bind(ctx, bound, meta.CreateOptions{}); err != nil {
		return err
	}
	c, err := k.create(ctx, pod)
	if err != nil {
		return err
	}
	began := meta.Now()
	if _, err := k.report(ctx, pod, core.PodRunning, core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: began}}); err != nil {
		return err
	}
	code, said, err := c.run(alive)
	if err != nil {
		return err
	}
	ended, err := k.finish(ctx, pod, code, said, began)
	if err != nil {
		return err
	}
	if ended.DeletionTimestamp == nil {
		return nil
	}
	// The API server has waited for the node; now the pod may go.
	return pods.Delete(ctx, pod.Name, meta.DeleteOptions{GracePeriodSeconds: new(int64), Preconditions: meta.NewUIDPreconditions(string(pod.UID))})
}

// report tells the API server how the pod is, and leaves alone what others have said about it.
func (k *kubelet) report(ctx context.Context, pod *core.Pod, phase core.PodPhase, state core.ContainerState) (*core.Pod, error) {
	c := pod.Spec.Containers[0]
	patch, err := json.Marshal(map[string]any{"status": core.PodStatus{Phase: phase,
		ContainerStatuses: []core.ContainerStatus{{Name: c.Name, Image: c.Image, State: state}}}})
	if err != nil {
		return nil, err
	}
	return k.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, meta.PatchOptions{}, "status")
}

// finish reports how a pod ended, and notes it. Nobody gets to see the one without the other.
func (k *kubelet) finish(ctx context.Context, pod *core.Pod, code int, said string, began meta.Time) (*core.Pod, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	phase, reason := core.PodSucceeded, "Completed"
	if code != 0 {
		phase, reason = core.PodFailed, "Error"
	}
	ended, err := k.report(ctx, pod, phase, core.ContainerState{Terminated: &core.ContainerStateTerminated{
		ExitCode: int32(code), Reason: reason, StartedAt: began, FinishedAt: meta.Now()}})
	if err != nil {
		return nil, err
	}
	x := exit{pod.Namespace, pod.Labels[batch.JobNameLabel], code, false, said}
	for _, c := range ended.Status.Conditions {
		x.disrupted = x.disrupted || c.Type == core.DisruptionTarget && c.Status == core.ConditionTrue
	}
	k.log = append(k.log, x)
	k.t.Logf("%s/%s: exit code %d, disrupted %t: %s", pod.Namespace, pod.Name, code, x.disrupted, said)
	return ended, nil
}

// ended are the pods of a Job that have ended, in that order.
func (k *kubelet) ended(namespace, job string) []exit {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(k.log), func(x exit) bool { return x.namespace != namespace || x.job != job })
}
