package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// completions lets shells complete what there is to choose from. The only flag that takes a file is report's.
func (p *program) completions(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.InitDefaultCompletionCmd("completion")
	for _, cmd := range root.Commands() {
		switch {
		case cmd.Flags().Lookup("stream") != nil:
			_ = cmd.RegisterFlagCompletionFunc("stream", p.completeStream) // fails for a flag that is not there
		case cmd.Flags().Lookup("out") != nil:
			_ = cmd.MarkFlagFilename("out", "html") // likewise
		case cmd.Name() == "completion":
			cmd.Long = "completion writes a script that lets a shell complete commands, flags and streams; --help of each says where to put it."
			cmd.Example = "  source <(simusage completion bash)\n  simusage completion fish > ~/.config/fish/completions/simusage.fish"
			cmd.Args, cmd.RunE = cobra.ArbitraryArgs, func(_ *cobra.Command, args []string) error {
				return misusef("completion %s: want bash, zsh, fish or powershell", strings.Join(args, " "))
			}
			for _, shell := range cmd.Commands() {
				shell.Args, shell.Example = noArguments, "  simusage completion "+shell.Name()
			}
		}
	}
}

// completeStream offers the streams that are configured and were not given yet.
func (p *program) completeStream(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	given, _ := cmd.Flags().GetStringArray("stream")
	s := p.source(cmd)
	e, err := s.read("")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	lists := []string{e.Streams}
	if e.Accounts != "" {
		lists = nil
		for name := range strings.SplitSeq(e.Accounts, ",") {
			if own, err := s.read(prefix(strings.TrimSpace(name))); err == nil {
				lists = append(lists, own.Streams)
			}
		}
	}
	var offered []string
	for stream := range strings.SplitSeq(strings.Join(lists, ","), ",") {
		if stream = strings.TrimSpace(stream); stream != "" && !slices.Contains(given, stream) && !slices.Contains(offered, stream) {
			offered = append(offered, stream)
		}
	}
	return offered, cobra.ShellCompDirectiveNoFileComp
}
