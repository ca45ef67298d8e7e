package main

import (
	"bytes"
	"crypto/x509"
	"debug/buildinfo"
	"debug/elf"
	"encoding/pem"
	"fmt"
	"io/fs"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

const (
	limit   = 25_000_000 // bytes, with the layers of the image that ours begins with
	nobody  = "65532"
	bundle  = "etc/ssl/certs/ca-certificates.crt"
	zones   = "usr/share/zoneinfo/"
	program = "simusage"
)

// look says what can be known of the image without running it.
func (img *image) look(arch string) []finding {
	return []finding{
		{img.weigh(), atMost(img.size(), limit)},
		{"runs simusage sync by itself as user " + nobody, differs(img.start(), "[/simusage] [sync] as 65532:65532")},
		{"is labelled with version and commit", differs(img.labels(), version+" "+commit)},
		{"is for linux/" + arch, differs(img.config.OS+"/"+img.config.Architecture, "linux/"+arch)},
		{"simusage is one static program for " + arch + ", with nothing of the machine that built it", img.binary(arch)},
		{"nothing else in it can be run: no shell, no script without one, nobody's rights but one's own", img.others()},
		{fmt.Sprintf("has %d certificates that HTTPS can trust", len(img.roots())), atLeast(len(img.roots()), 100)},
		{"has the licences of what it is made of", atLeast(strings.Count(string(img.read("licences.txt")), "Permission is hereby granted"), 3)},
		{"has time zones", img.zone("Asia/Kolkata", 5*time.Hour+30*time.Minute)},
	}
}

func (img *image) weigh() string {
	mb := func(n int) float64 { return float64(n) / 1e6 }
	ours := img.layers[len(img.layers)-1]
	return fmt.Sprintf("is %.1f MB in all: %.1f MB simusage, %.1f MB of the image before it; %.1f MB when packed", mb(img.size()), mb(ours), mb(img.size()-ours), mb(img.packed))
}

func (img *image) start() string {
	c := img.config.Config
	return fmt.Sprint(c.Entrypoint, " ", c.Cmd, " as ", c.User)
}

func (img *image) labels() string {
	l := img.config.Config.Labels
	return l["org.opencontainers.image.version"] + " " + l["org.opencontainers.image.revision"]
}

// binary says what is wrong with the program.
func (img *image) binary(arch string) string {
	content := img.files[program].content
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return err.Error()
	}
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]
	if f.Machine != machine {
		return fmt.Sprintf("it is for %s", f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			return "it wants libraries"
		}
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return err.Error()
	}
	for key, want := range map[string]string{"-trimpath": "true", "CGO_ENABLED": "0", "GOARCH": arch} {
		at := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == key })
		if at < 0 || info.Settings[at].Value != want {
			return fmt.Sprintf("it was not built with %s=%s", key, want)
		}
	}
	return ""
}

// others names what is in the image and should not be. A script needs a program that reads it, so looking for programs
// finds every shell, whatever its name.
func (img *image) others() string {
	var names []string
	for name, f := range img.files {
		foreign := name != program && bytes.HasPrefix(f.content, []byte(elf.ELFMAG))
		if foreign || f.mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// roots are the certificates that hold today.
func (img *image) roots() (all []*x509.Certificate) {
	for rest := img.read(bundle); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && time.Now().Before(c.NotAfter) {
			all = append(all, c)
		}
	}
}

// zone says what is wrong with a time zone.
func (img *image) zone(name string, east time.Duration) string {
	there, err := time.LoadLocationFromTZData(name, img.read(zones+name))
	if err != nil {
		return fmt.Sprintf("%s: %v", name, err)
	}
	if _, got := time.Now().In(there).Zone(); got != int(east.Seconds()) {
		return fmt.Sprintf("%s is %d seconds east of UTC", name, got)
	}
	return ""
}

func differs[T comparable](got, want T) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("%v, want %v", got, want)
}

func atMost(got, most int) string {
	if got <= most {
		return ""
	}
	return fmt.Sprintf("more than %d", most)
}

func atLeast(got, least int) string {
	if got >= least {
		return ""
	}
	return fmt.Sprintf("fewer than %d", least)
}
