package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// script is the one thing in the binary that go does not know as a module: what draws the report's charts. make fetches it from
// npm, and builds without it where it cannot be had.
const script = "echarts.min.js"

var fetched = regexp.MustCompile(`(?m)^version=(\S+)$`)

// echarts finds the script in the bytes of the binary, or says nil. Its folder has the licence too.
func echarts(program []byte, folder string) (*module, error) {
	text, err := os.ReadFile(filepath.Join(folder, script))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Contains(program, text) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	how, err := os.ReadFile(filepath.Join(folder, "fetch.sh"))
	if err != nil {
		return nil, err
	}
	version := fetched.FindSubmatch(how)
	if version == nil {
		return nil, fmt.Errorf("read version of ECharts: not in %s/fetch.sh", folder)
	}
	return &module{Path: "echarts", Version: string(version[1]), Dir: folder, script: text}, nil
}
