package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// list runs go list.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, problem.String())
	}
	return strings.Fields(string(out))
}

// Imports are one straight line: extract ◀─ load ◀─ pipeline ◀─ cmd/simusage. The report knows the views and nothing of ours.
func TestImportsAreAStraightLine(t *testing.T) {
	t.Parallel()
	for room, may := range map[string][]string{
		"extract":         nil,
		"extract/fakeapi": nil,
		"load/pgtest":     nil,
		"migrations":      nil,
		"sql":             nil,
		"load":            {"extract", "migrations", "sql"},
		"pipeline":        {"extract", "load", "migrations", "sql"},
		"report":          nil,
		"cmd/simusage":    {"extract", "load", "pipeline", "report", "migrations", "sql"},
	} {
		for _, dep := range list(t, "-deps", "./"+room) {
			ours, found := strings.CutPrefix(dep, "simusage/")
			if found && ours != room && !slices.Contains(may, ours) {
				t.Errorf("%s depends on %s", room, ours)
			}
			if strings.HasPrefix(dep, "github.com/getkin/") || strings.HasPrefix(dep, "github.com/Shopify/") || strings.HasPrefix(dep, "github.com/creack/") || strings.HasPrefix(dep, "k8s.io/") {
				t.Errorf("%s depends on %s, which is for tests", room, dep)
			}
			if room == "extract" && strings.HasPrefix(dep, "github.com/jackc/") {
				t.Errorf("extract depends on the database: %s", dep)
			}
		}
		if slices.Contains(list(t, "-f", `{{join .Imports "\n"}}`, "./"+room), "testing") && room != "load/pgtest" {
			t.Errorf("%s imports testing", room)
		}
	}
	for _, dep := range list(t, "-f", `{{join .Imports "\n"}}`, "./load") {
		if dep == "net/http" {
			t.Error("load imports net/http")
		}
	}
}

// The rules that a machine can check: short files, one os.Exit, the environment in cmd only, no init.
func TestRulesOfTheHouse(t *testing.T) {
	t.Parallel()
	var exits []string
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel("../..", path)
		if lines := files.Position(file.FileEnd).Line - 1; lines > 400 {
			t.Errorf("%s has %d lines", name, lines)
		}
		test, command := strings.HasSuffix(name, "_test.go"), strings.HasPrefix(name, "cmd/")
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				called := regexp.MustCompile(`^os\.(Exit|Getenv|LookupEnv|Environ)$`).FindString(selector(n))
				if called == "os.Exit" && !test {
					exits = append(exits, name)
				} else if called != "" && !test && !command {
					t.Errorf("%s: %s calls %s", name, files.Position(n.Pos()), called)
				}
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					t.Errorf("%s has an init function", name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	exits = slices.DeleteFunc(exits, func(name string) bool { return strings.HasPrefix(name, "cmd/") && strings.HasSuffix(name, "/main.go") })
	if len(exits) > 0 {
		t.Errorf("os.Exit in %v", exits)
	}
}

func selector(s *ast.SelectorExpr) string {
	if x, ok := s.X.(*ast.Ident); ok {
		return x.Name + "." + s.Sel.Name
	}
	return ""
}
