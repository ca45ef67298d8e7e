package extract

import (
	"fmt"
	"strings"
	"time"
)

// The API ignores a parameter that it does not know, or that a gateway has lost, and answers some other question with
// records of the same shape: the total of an account where one country was asked for, a day where an hour was. Loaded
// under the name of the question, such records would be wrong for ever and look right. So each answer is inspected
// for what it can tell about what was asked.

// question is what an answer is held against.
type question struct {
	Query
	limit int // records that a page may have
}

// inspection is one page being held against its question.
type inspection struct {
	question
	rows    int // that were understood, apart from their bucket
	outside int // of those, the ones in a bucket that was not asked for
	keyed   int // of those, the ones with a value of the group
}

// row inspects one record. A bucket that was not asked for sets aside the record; a dimension that was not asked for
// condemns the page.
func (n *inspection) row(r *row) error {
	if r.reason != "" {
		return nil
	}
	n.rows++
	for _, d := range divisions {
		if err := n.dimension(d, r.record.Get(d)); err != nil {
			return err
		}
	}
	if r.record.Get(n.Group) != "" {
		n.keyed++
	}
	if !n.bucket(r.record.Start, r.end) {
		n.outside++
		r.reject("bucket outside what was asked")
	}
	return nil
}

func (n *inspection) dimension(d Dimension, got string) error {
	want := n.Filter.Get(d)
	switch {
	case want == "" && (got == "" || d == n.Group):
		return nil
	case want == "":
		return fmt.Errorf("%w: records have a %s, which was not asked for: Group was ignored", ErrAnswer, d)
	case got == "":
		return fmt.Errorf("%w: records have no %s: %s was ignored", ErrAnswer, d, d.filterName())
	case tells(d, want) && !strings.EqualFold(got, want):
		return fmt.Errorf("%w: records of %s %q: %s=%s was ignored", ErrAnswer, d, got, d.filterName(), want)
	}
	return nil
}

// bucket says whether a bucket has the width and the alignment that were asked for, and lies in the window.
func (n *inspection) bucket(start, end time.Time) bool {
	w := n.Window
	switch n.Granularity {
	case All:
		return start.Equal(w.Start) && end.Equal(w.End)
	case Day:
		return end.Sub(start) == 24*time.Hour && start.Equal(midnight(start)) && w.Contains(start)
	}
	return end.Sub(start) == time.Hour && start.Equal(start.Truncate(time.Hour)) && w.Contains(start)
}

// page inspects what only all records together can tell. One record without a SIM may be usage of none; if all are,
// the breakdown was ignored. A network or country may well be unknown to the API for a whole page.
func (n *inspection) page() error {
	switch {
	case n.rows == 0:
		return nil
	case n.outside == n.rows:
		return fmt.Errorf("%w: no record is of a %s within %s: Granularity, StartTime or EndTime was ignored",
			ErrAnswer, n.Granularity, n.Window)
	case (n.Group == Sim || n.Group == Fleet) && n.keyed == 0:
		return fmt.Errorf("%w: no record has a %s: Group=%s was ignored", ErrAnswer, n.Group, n.Group.parameter())
	}
	return nil
}

// tells says whether a filter's value can be told from a record: a SID or a country can, a name cannot, because
// records have SIDs only.
func tells(d Dimension, value string) bool {
	switch d {
	case Sim:
		return isSID("HS", value)
	case Fleet:
		return isSID("HF", value)
	}
	return true
}

func isSID(prefix, value string) bool {
	if len(value) != 34 || !strings.HasPrefix(value, prefix) {
		return false
	}
	for _, c := range value[2:] {
		if !strings.ContainsRune("0123456789abcdefABCDEF", c) {
			return false
		}
	}
	return true
}
