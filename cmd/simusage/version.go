package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version, and what it was built from",
		Long:    "version shows the version of the program, its commit, and the Go and the system that it was built with and for.",
		Example: "  simusage version",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(p.stdout, "simusage %s (%s, %s, %s/%s)\n", version, builtFrom(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// builtFrom is the commit: as the linker was told, because an image is built without the repository, or else as the
// toolchain noted it.
func builtFrom() string {
	if commit != "" {
		return "commit " + commit
	}
	text := "commit unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				text = "commit " + s.Value
			case s.Key == "vcs.modified" && s.Value == "true": // comes after the revision
				text += ", modified"
			}
		}
	}
	return text
}
