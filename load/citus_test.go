package load

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"simusage/load/pgtest"
	"simusage/migrations"
	"simusage/sql"
)

// What Citus refuses of SQL that plain Postgres takes. The tests of this package and of package pipeline run on a Citus
// cluster where there is one (pgtest.Cluster); where there is none, these rules are what keeps the SQL fit for it.

// spreadName matches a table that is distributed or replicated, writes a statement that changes one.
var (
	spreadName = `simusage\.(` + strings.Join(slices.Concat(distributed, replicated), "|") + `)\b`
	writes     = `(insert into|update|delete from|merge into|truncate) ` + spreadName
	factsName  = `simusage\.(` + strings.Join(distributed, "|") + `)\b`
)

// rule is a way in which a statement may not be written.
type rule struct {
	name   string
	broken func(statement string) bool
	bad    []string // statements that break it, and no other rule
}

func matches(pattern string) func(string) bool { return regexp.MustCompile(pattern).MatchString }

func both(a, b string) func(string) bool {
	one, other := matches(a), matches(b)
	return func(s string) bool { return one(s) && other(s) }
}

var rules = []rule{
	{"no MERGE", matches(`\bmerge into\b`),
		[]string{`MERGE INTO pg_temp.x USING change c ON true WHEN MATCHED THEN DELETE`}},
	{"no triggers, no rules", matches(`\bcreate (or replace )?(constraint )?(trigger|rule)\b`),
		[]string{`CREATE TRIGGER t AFTER INSERT ON simusage.usage_daily EXECUTE FUNCTION f()`, `CREATE RULE r AS ON DELETE TO simusage.slice DO NOTHING`}},
	{"no clock in DO UPDATE SET", both(writes, `do update set [^;]*?(now\(\)|clock_timestamp\(\)|current_timestamp)`),
		[]string{`INSERT INTO simusage.usage_daily SELECT * FROM change ON CONFLICT (stream_id, series_id) DO UPDATE SET changed_at = now()`}},
	{"the key of ON CONFLICT has series_id", func(s string) bool {
		keys := regexp.MustCompile(`insert into ` + factsName + `.* on conflict \(([^)]*)\)`).FindStringSubmatch(s)
		return keys != nil && !strings.Contains(keys[2], "series_id")
	}, []string{`INSERT INTO {facts} SELECT * FROM change ON CONFLICT (stream_id, period_start) DO NOTHING`}},
	{"no EXISTS of what is not spread", func(s string) bool {
		if !matches(writes)(s) {
			return false
		}
		for _, from := range regexp.MustCompile(`exists \(select.*? from ([^ )]+)`).FindAllStringSubmatch(s, -1) {
			if !matches(`^` + spreadName)(from[1]) {
				return true
			}
		}
		return false
	}, []string{`DELETE FROM simusage.usage_monthly m WHERE NOT EXISTS (SELECT FROM month n WHERE n.series_id = m.series_id)`,
		`UPDATE {facts} SET data_total = 0 WHERE EXISTS (SELECT 1 FROM pg_temp.stage)`}},
	{"no two tables written by one statement", func(s string) bool {
		return matches(writes)(s) && len(regexp.MustCompile(`\b(insert into|update|delete from) [a-z_{][a-z_.{}]*`).FindAllString(strings.ReplaceAll(s, "do update set", ""), -1)) > 1
	}, []string{`WITH day AS (SELECT 1), r AS (INSERT INTO simusage.usage_daily SELECT * FROM day) INSERT INTO simusage.slice_sum SELECT * FROM day`}},
	{"no row locks, no LOCK TABLE", func(s string) bool {
		return matches(`\bfor (no key update|update|share|key share)\b`)(s) && matches(spreadName)(s) || matches(`lock table [^;]*`+spreadName)(s)
	}, []string{`SELECT FROM simusage.series WHERE id = 1 FOR KEY SHARE`, `SELECT 1 FROM {facts} FOR UPDATE SKIP LOCKED`, `LOCK TABLE simusage.billed_unit IN SHARE MODE`}},
	{"no subquery of facts in SET", both(`^(with .*)?update .* set .*= ?\(select`, factsName),
		[]string{`UPDATE simusage.slice SET remainder_size = (SELECT sum(data_total) FROM {facts} WHERE stream_id = 1) WHERE id = 2`}},
	{"series_id is never changed", matches(`update ` + factsName + `( as \w+| \w+)? set ([^;]*, ?)?series_id =`),
		[]string{`UPDATE simusage.usage_hourly f SET series_id = 1`, `UPDATE simusage.usage_hourly SET data_total = 0, series_id = 1`}},
}

// brokenRules are the rules that a statement does not keep to.
func brokenRules(statement string) (broken []string) {
	for _, r := range rules {
		if r.broken(plainSQL(statement)) {
			broken = append(broken, r.name)
		}
	}
	return broken
}

// plainSQL is SQL in small letters and one line, without comments and texts, with our placeholders filled in.
func plainSQL(text string) string {
	text = regexp.MustCompile(`--[^\n]*`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`'[^']*'`).ReplaceAllString(text, "''")
	text = strings.NewReplacer("{facts}", "simusage.usage_hourly", "{days}", "simusage.usage_daily").Replace(text)
	return strings.ToLower(strings.Join(strings.Fields(text), " "))
}

// crowded says whether a migration alters a table that is spread in a text of several statements, which it is together with the
// note of its version. Citus sends the workers the text as it came, and they refuse more than one; in a DO block each
// statement is a text of its own. A migration as old as oldestDistributed never meets such a table.
func crowded(migration string) bool {
	blocks := regexp.MustCompile(`do \$\$ begin [^$]* end;? \$\$`)
	return matches(`alter table (if exists )?(only )?` + spreadName)(blocks.ReplaceAllString(plainSQL(migration), ""))
}

func TestMigrationsAreFitForCitus(t *testing.T) {
	t.Parallel()
	facts, books := `ALTER TABLE simusage.usage_hourly ADD COLUMN x integer;`, `ALTER TABLE simusage.slice ADD COLUMN x integer;`
	for text, want := range map[string]bool{facts: true, books: false, facts + books: true, "-- why\nDO $$ BEGIN " + facts + books + " END $$;" + books: false,
		"DO $$ BEGIN " + books + " END; $$; " + facts: true} {
		if got := crowded(text); got != want {
			t.Errorf("crowded: %t, want %t: %s", got, want, text)
		}
	}
	files, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := fs.ReadFile(migrations.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		if number(name) > oldestDistributed && crowded(string(text)) {
			t.Errorf("%s alters a table that may be distributed: do that in a DO block", name)
		}
	}
}

func TestRulesCatchWhatCitusRefuses(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		for _, bad := range r.bad {
			equal(t, bad, brokenRules(bad), r.name)
		}
	}
}

func TestSQLIsFitForCitus(t *testing.T) {
	t.Parallel()
	texts := maps.Collect(goStrings(t, "../load", "../pipeline", "../report", "../cmd/simusage"))
	for folder, files := range map[string]fs.FS{"load": publishSQL, "load ": monthSQL, "load  ": namesSQL, "sql": sql.Files, "migrations": migrations.Files} {
		err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(name, ".down.sql") {
				return err
			}
			text, err := fs.ReadFile(files, name)
			texts[folder+"/"+name] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	statements := 0
	for where, text := range texts {
		for statement := range strings.SplitSeq(text, ";") {
			if matches(spreadName)(plainSQL(statement)) {
				statements++
			}
			for _, name := range brokenRules(statement) {
				t.Errorf("%s: %s:\n%s", where, name, statement)
			}
		}
	}
	if statements < 40 {
		t.Errorf("only %d statements name a table that is distributed: the others were not found", statements)
	}
}

// goStrings are the texts of the folders' Go files by where they stand, put together where they are concatenated.
func goStrings(t *testing.T, folders ...string) func(yield func(string, string) bool) {
	t.Helper()
	return func(yield func(string, string) bool) {
		for _, folder := range folders {
			files, err := filepath.Glob(folder + "/*.go")
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %d files, %v", folder, len(files), err)
			}
			for _, name := range files {
				if strings.HasSuffix(name, "_test.go") {
					continue
				}
				set := token.NewFileSet()
				file, err := parser.ParseFile(set, name, nil, 0)
				if err != nil {
					t.Fatal(err)
				}
				ast.Inspect(file, func(n ast.Node) bool {
					e, ok := n.(ast.Expr)
					if !ok {
						return true
					}
					text, found := goText(e)
					if found {
						yield(set.Position(e.Pos()).String(), text)
					}
					return !found
				})
			}
		}
	}
}

// goText is a text as Go has it, with an ellipsis for what is no constant.
func goText(e ast.Expr) (text string, found bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, err := strconv.Unquote(e.Value)
			return text, err == nil
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			left, one := goText(e.X)
			right, other := goText(e.Y)
			return left + right, one || other
		}
	}
	return "…", false
}

// What the database says of the tables that are distributed.
func TestTablesAreFitForCitus(t *testing.T) {
	t.Parallel()
	conn := MustConnect(t, postgres.Database(t, pgtest.Template{Name: "plain", Prepare: migrated}))
	of := slices.Concat(replicated, distributed)
	equal(t, "keys without series_id", MustRows(t, conn, `SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
		WHERE c.relnamespace = 'simusage'::regnamespace AND c.relname = ANY('{`+strings.Join(distributed, ",")+`}') AND i.indisunique
			AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'series_id' AND a.attnum = ANY(i.indkey))`))
	equal(t, "tables that views read and readers may not", MustRows(t, conn, `WITH RECURSIVE r AS (
			SELECT oid FROM pg_class WHERE relnamespace = 'usage'::regnamespace
			UNION
			SELECT d.refobjid FROM r JOIN pg_rewrite w ON w.ev_class = r.oid
				JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass)
		SELECT c.relname FROM r JOIN pg_class c USING (oid) WHERE c.relkind IN ('r', 'p') AND c.relname <> ALL('{`+strings.Join(slices.Concat(of, lent), ",")+`}')`))
	var keys, numbers []string
	for _, c := range crossings {
		keys = append(keys, c.table+" "+c.table+"_"+c.column+"_fkey "+c.to)
	}
	slices.Sort(keys)
	equal(t, "foreign keys, which Distribute drops and Undistribute makes again", MustRows(t, conn, `SELECT a.relname, conname, b.relname
		FROM pg_constraint JOIN pg_class a ON a.oid = conrelid JOIN pg_class b ON b.oid = confrelid
		WHERE contype = 'f' AND a.relnamespace = 'simusage'::regnamespace AND (a.relname = ANY('{`+strings.Join(of, ",")+`}') OR b.relname = ANY('{`+strings.Join(of, ",")+`}')) ORDER BY 1, 2`), keys...)
	for _, n := range numbered {
		numbers = append(numbers, n.table+" id "+n.kind)
	}
	equal(t, "identities, which a sequence replaces", MustRows(t, conn, `SELECT relname, attname, format_type(atttypid, NULL) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
		WHERE relnamespace = 'simusage'::regnamespace AND relname = ANY('{`+strings.Join(of, ",")+`}') AND attidentity <> '' ORDER BY 1`), numbers...)
	equal(t, "triggers", MustRows(t, conn, `SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal AND relnamespace = 'simusage'::regnamespace`))
}

// The views that are other ones on Citus show the same as those that they replace.
func TestViewsForCitusShowTheSame(t *testing.T) {
	t.Parallel()
	h := openWarehouse(t, postgres.Database(t, pgtest.Template{Name: "plain", Prepare: migrated}))
	seedQuestions(t, h)
	h.months("hour/total", "hour/country", "hour/sim@country")
	names, err := fs.Glob(sql.Files, "citus/*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	before := h.contents()
	for _, name := range names {
		if view := "usage." + strings.TrimSuffix(filepath.Base(name), ".sql"); before[view] != nil && len(before[view]) == 0 {
			t.Errorf("%s shows nothing", view)
		}
	}
	views := func() []string {
		return slices.DeleteFunc(MustSchema(t, h.conn), func(line string) bool { return strings.Contains(line, "simusage.calendar_") })
	}
	comments := views()
	for _, citus := range []bool{true, false} {
		if err := installViews(t.Context(), h.conn, citus); err != nil {
			t.Fatal(err)
		}
		sameContents(t, fmt.Sprint("on Citus: ", citus), h.contents(), before)
		equal(t, "columns, comments, rights", views(), comments...)
	}
}
