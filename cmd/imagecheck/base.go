package main

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// base is an image that the Dockerfile begins a stage with, and how to make one that can stand in for it.
type base struct {
	name, arch string
	standIn    func(ctx context.Context, dir string, tree *tree) (made string, changes []string, err error)
}

// provide sees to it that the image is there, and returns what the build must be told about it. A stand-in has a name of
// its own, so that no other build on this machine ever takes it for the real one.
func (e *engine) provide(ctx context.Context, b base) ([]string, error) {
	platform := "linux/" + b.arch
	_, absent := e.do(ctx, nil, "pull", "--quiet", "--platform", platform, b.name)
	if absent == nil {
		fmt.Printf("%s for %s: pulled\n", b.name, platform)
		return nil, nil
	}
	if here, err := e.do(ctx, nil, "image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", b.name); err == nil && here == platform {
		fmt.Printf("%s for %s: as it is here; not pulled, because %s\n", b.name, platform, lastLine(absent))
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name, made, err := e.makeStandIn(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("make a stand-in for %s: %w", b.name, err)
	}
	fmt.Printf("%s for %s: NOT the real one, but %s; because %s\n", b.name, platform, made, lastLine(absent))
	scheme := map[string]string{"docker": "docker-image", "podman": "container-image"}[e.name]
	return []string{"--build-context", b.name + "=" + scheme + "://" + name}, nil
}

func lastLine(err error) string {
	lines := strings.Split(err.Error(), "\n")
	return lines[len(lines)-1]
}

// makeStandIn makes an image of files of this machine.
func (e *engine) makeStandIn(ctx context.Context, b base) (name, made string, err error) {
	name = fmt.Sprintf("localhost/%s-%d", filepath.Base(e.dir), len(e.images))
	file, err := os.CreateTemp(e.dir, "stand-in-")
	if err != nil {
		return "", "", err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	t := &tree{to: tar.NewWriter(file)}
	made, changes, err := b.standIn(ctx, e.dir, t)
	if err != nil {
		return "", "", err
	}
	if err := t.to.Close(); err != nil {
		return "", "", err
	}
	args := []string{"import", "--platform", "linux/" + b.arch}
	if e.name == "podman" {
		args = []string{"import", "--quiet", "--arch", b.arch}
	}
	for _, change := range changes {
		args = append(args, "--change", change)
	}
	id, err := e.do(ctx, nil, append(args, file.Name(), name)...)
	e.images = append(e.images, id)
	return name, made, err
}

// goTree is what building needs: Go, a shell for RUN, and the modules of the program, because where no registry of images can be reached
// there may be none of modules either.
func goTree(ctx context.Context, dir string, t *tree) (string, []string, error) {
	root, err := output(ctx, nil, "go", "env", "GOROOT")
	if err != nil {
		return "", nil, err
	}
	modules, err := programModules(ctx, dir)
	if err != nil {
		return "", nil, err
	}
	for _, part := range []string{"VERSION", "go.env", "bin", "lib", "pkg", "src"} {
		t.add(filepath.Join(root, part), "usr/local/go/"+part)
	}
	t.add(modules, "modules")
	t.add("/bin/sh", "bin/sh")
	libraries, _ := output(ctx, nil, "ldd", "/bin/sh", filepath.Join(root, "bin/go")) // says by its exit code that one is static
	for _, found := range regexp.MustCompile(`(/\S+) \(0x`).FindAllStringSubmatch(libraries, -1) {
		t.add(found[1], found[1])
	}
	t.mkdir("tmp", 0o1777)
	t.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	return "this machine's " + runtime.Version() + " and modules", []string{"ENV PATH=/usr/local/go/bin:/bin", "ENV GOPATH=/go", "ENV GOPROXY=file:///modules", "ENV GOTOOLCHAIN=local"}, t.err
}

// programModules downloads, from this machine's cache where they are there, just the modules that the program is built of,
// and returns a directory that Go takes for a proxy.
func programModules(ctx context.Context, dir string) (string, error) {
	settings, err := output(ctx, nil, "go", "env", "GOMODCACHE", "GOPROXY")
	if err != nil {
		return "", err
	}
	cache, proxy, _ := strings.Cut(settings, "\n")
	fresh := filepath.Join(dir, "modules")
	_, err = output(ctx, []string{"GOMODCACHE=" + fresh, "GOFLAGS=-modcacherw", "GOPROXY=file://" + filepath.Join(cache, "cache/download") + "," + proxy},
		"go", "list", "-deps", "./cmd/simusage")
	return filepath.Join(fresh, "cache/download"), err
}

// static is what running needs, as far as the real one has it.
func static(_ context.Context, _ string, t *tree) (string, []string, error) {
	t.add("/etc/ssl/certs/ca-certificates.crt", "etc/ssl/certs/ca-certificates.crt")
	t.add("/usr/share/zoneinfo", "usr/share/zoneinfo")
	t.mkdir("tmp", 0o1777)
	t.write("etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")
	t.write("etc/group", "root:x:0:\nnonroot:x:65532:\n")
	return "this machine's certificates and time zones", []string{"USER 65532"}, t.err
}

// output is what a command prints.
func output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		var said []byte
		if exit, ok := err.(*exec.ExitError); ok {
			said = exit.Stderr
		}
		err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, said)
	}
	return strings.TrimSpace(string(out)), err
}

// tree writes files into an archive, all of them root's. Its first error is its last.
type tree struct {
	to  *tar.Writer
	err error
}

// add adds a file or directory of this machine. Links become what they lead to.
func (t *tree) add(path, as string) {
	if t.err != nil {
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		if _, link := os.Readlink(path); link != nil || !os.IsNotExist(err) { // a link that leads nowhere is left out
			t.err = err
		}
	case info.IsDir():
		entries, err := os.ReadDir(path)
		if t.err = err; err != nil {
			return
		}
		for _, entry := range entries {
			t.add(filepath.Join(path, entry.Name()), as+"/"+entry.Name())
		}
	case info.Mode().IsRegular():
		t.copy(path, as, info)
	}
}

func (t *tree) copy(path, as string, info fs.FileInfo) {
	file, err := os.Open(path)
	if err != nil {
		t.err = err
		return
	}
	defer file.Close()
	t.put(as, info.Mode().Perm(), info.Size(), file)
}

func (t *tree) write(as, text string) { t.put(as, 0o644, int64(len(text)), strings.NewReader(text)) }

func (t *tree) mkdir(as string, mode int64) {
	if t.err == nil {
		t.err = t.to.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: as + "/", Mode: mode})
	}
}

func (t *tree) put(as string, mode fs.FileMode, size int64, content io.Reader) {
	if t.err == nil {
		t.err = t.to.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(as, "/"), Mode: int64(mode), Size: size})
	}
	if t.err == nil {
		_, t.err = io.CopyN(t.to, content, size)
	}
}
