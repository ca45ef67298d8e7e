package report

import (
	"fmt"
	"time"
)

// statement is a sentence about how far the numbers can be trusted.
type statement struct {
	Kind string // good, note or bad
	Text string
}

// Word is the kind in a word: nobody must see colours.
func (s statement) Word() string {
	return map[string]string{"good": "Good", "note": "Note", "bad": "Check"}[s.Kind]
}

// Trust says how far to trust the numbers of a scope, the most important first.
func (s *scope) Trust() (list []statement) {
	say := func(kind, format string, args ...any) {
		list = append(list, statement{kind, fmt.Sprintf(format, args...)})
	}
	s.sayComplete(say)
	s.sayAgreement(say)
	s.sayBilled(say)
	for _, n := range s.notes {
		s.sayNotes(say, n)
	}
	return list
}

type say func(kind, format string, args ...any)

// sayNotes tells what else there is to know.
func (*scope) sayNotes(say say, n notes) {
	if n := n.Restated; n > 0 {
		say("note", "%s of this time changed after it was final; usage.restatements has the old and the new values.", counted(n, "record"))
	}
	if n := n.Rejected; n > 0 {
		say("bad", "%s of this time could not be understood and is in no sum; simusage rejected shows the text.", counted(n, "record"))
	}
}

// sayComplete tells until when everything is there, and until when it is final.
func (s *scope) sayComplete(say say) {
	var complete, settled time.Time
	var holes, lost int64
	never := false
	for _, st := range s.Streams {
		holes, lost = holes+st.Holes, lost+st.Lost
		if st.CompleteUntil == nil || st.SettledUntil == nil {
			never = true
			continue
		}
		if complete.IsZero() || st.CompleteUntil.Before(complete) {
			complete = *st.CompleteUntil
		}
		if settled.IsZero() || st.SettledUntil.Before(settled) {
			settled = *st.SettledUntil
		}
	}
	switch {
	case len(s.Streams) == 0 || never && complete.IsZero():
		say("bad", "Nothing was loaded yet.")
		return
	case complete.Before(s.to):
		say("bad", "Complete until %s only: what is later may lack usage.", momentText(complete))
	default:
		say("good", "Complete until %s.", momentText(complete))
	}
	if holes > 0 {
		say("bad", "%s never loaded; the next sync or backfill gets them.", plural(holes, "slice was", "slices were"))
	}
	if lost > 0 {
		say("bad", "%s lost: the API forgot them before they were loaded.", plural(lost, "slice is", "slices are"))
	}
	if settled.Before(s.to) {
		say("note", "Final until %s: late usage and billing may still change what is later.", momentText(settled))
	} else {
		say("good", "Final until %s: late usage and billing have arrived.", momentText(settled))
	}
}

// sayAgreement tells whether the breakdowns add up to what the API says without one.
func (s *scope) sayAgreement(say say) {
	var equal, unequal, open, nameless int64
	for _, a := range s.agreement {
		equal, unequal, open = equal+a.Equal, unequal+a.Unequal, open+a.Open
		nameless = max(nameless, a.Unattributed)
		if a.Unequal > 0 {
			what := "too few"
			if a.Difference > 0 {
				what = "too many"
			}
			say("bad", "%s of %s, the first of %s, %s from the API's total: %s %s in all.", plural(a.Unequal, "slice", "slices"), a.Stream,
				dayText(*a.First), map[bool]string{true: "differs", false: "differ"}[a.Unequal == 1], bytesText(max(a.Difference, -a.Difference)), what)
		}
	}
	switch {
	case equal+unequal == 0:
		say("note", "There is no total of the API to compare with.")
	case unequal == 0:
		say("good", "Every slice agrees with the API's total, to the byte: %s of %s.", exact(equal), exact(equal))
	}
	if open > 0 && equal+unequal > 0 {
		say("note", "%s not compared yet, because the total of the same time is not there.", plural(open, "slice is", "slices are"))
	}
	if nameless > 0 {
		say("note", "%s belong to no SIM or country that the API names. They are in the sums, without a name.", bytesText(nameless))
	}
}

// sayBilled tells whether money is missing.
func (s *scope) sayBilled(say say) {
	for _, u := range s.unbilled {
		switch {
		case u.Bytes > 0:
			say("bad", "%s of %s are without a price a day after they should have one, since %s.", bytesText(u.Bytes), counted(u.Sims, "SIM"), dayText(*u.Since))
		case s.Sims.All > 0:
			say("good", "No usage waits for its price longer than a day.")
		}
	}
}

// plural is a number and the words for one and for more.
func plural(n int64, one, more string) string {
	if n == 1 {
		return "1" + nbsp + one
	}
	return exact(n) + nbsp + more
}
