package e2e

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
	"unsafe"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/testing"
	"k8s.io/kubernetes/pkg/controller/cronjob"
	"k8s.io/kubernetes/pkg/controller/job"

	"simusage/extract/fakeapi"
)

// controlPlane is a cluster of one node.
type controlPlane struct {
	client     kubernetes.Interface
	kubeconfig string         // file, for kubectl
	clock      *fakeapi.Clock // what the CronJob controller takes for the time; it stands until a test moves it
	node       *kubelet
}

func startControlPlane(t *testing.T) *controlPlane {
	t.Helper()
	began := time.Now()
	if !testing.Verbose() {
		klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // Kubernetes' own log, which is long
	}
	storage := storagebackend.NewDefaultConfig("/registry", nil)
	storage.Transport.ServerList = testserver.RunEtcd(t, nil).Endpoints()
	// It goes with this process. Its own way to end, TearDownFn, takes a minute.
	server := apiserver.StartTestServerOrDie(t, nil, nil, storage)
	t.Cleanup(func() { os.RemoveAll(server.TmpDir) })
	c := &controlPlane{client: kubernetes.NewForConfigOrDie(server.ClientConfig), clock: fakeapi.NewClock(time.Now().UTC())}
	c.kubeconfig = writeKubeconfig(t, server.ClientConfig)

	ctx := t.Context()
	shared := informers.NewSharedInformerFactory(c.client, 0)
	cronJobs, err := cronjob.NewControllerV2(ctx, shared.Batch().V1().Jobs(), shared.Batch().V1().CronJobs(), c.client)
	if err != nil {
		t.Fatal(err)
	}
	setClock(cronJobs, c.clock.Now)
	job.DefaultJobPodFailureBackOff = 100 * time.Millisecond                                                       // instead of ten seconds before the first retry
	jobs, err := job.NewController(ctx, c.client, shared.Core().V1().Pods(), shared.Batch().V1().Jobs(), nil, nil) // nil: nothing here is scheduled in groups
	if err != nil {
		t.Fatal(err)
	}
	c.node = startKubelet(t, c.client, shared.Core().V1().Pods().Informer())
	shared.Start(ctx.Done())
	go cronJobs.Run(ctx, 1)
	go jobs.Run(ctx, 2)
	t.Logf("the control plane is there after %s", time.Since(began).Round(100*time.Millisecond))
	return c
}

// setClock gives the controller another clock. It has a field for one, which only its own tests can reach; without it
// these would have to wait for seven minutes past the hour.
func setClock(c *cronjob.ControllerV2, now func() time.Time) {
	field := reflect.ValueOf(c).Elem().FieldByName("now")
	*(*func() time.Time)(unsafe.Pointer(field.UnsafeAddr())) = now
}

func writeKubeconfig(t *testing.T, config *rest.Config) string {
	t.Helper()
	const name = "e2e"
	file := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{name: {Server: config.Host, CertificateAuthorityData: config.CAData,
			TLSServerName: config.ServerName}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: config.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// await waits until an object is as wanted. The watch tells of those that are there first, then of every change.
func await[T runtime.Object](t *testing.T, what string, all func(context.Context, meta.ListOptions) (watch.Interface, error), is func(T) bool) T {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Minute, errors.New("it took over two minutes"))
	defer cancel()
	changes, err := all(ctx, meta.ListOptions{})
	if err != nil {
		t.Fatalf("wait for %s: %v", what, err)
	}
	defer changes.Stop()
	for change := range changes.ResultChan() {
		if object, ok := change.Object.(T); ok && change.Type != watch.Deleted && is(object) {
			return object
		}
	}
	t.Fatalf("wait for %s: %v", what, context.Cause(ctx))
	panic("unreachable")
}

// named picks the object of that name, for the options of a list.
func named(name string) meta.ListOptions {
	return meta.ListOptions{FieldSelector: fields.OneTermEqualSelector(meta.ObjectNameField, name).String()}
}
