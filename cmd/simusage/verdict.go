package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"simusage/extract"
	"simusage/load"
)

// judged is the state of the warehouse with what follows from it: the shape of status --json. Fields are only ever added;
// the tags are their documentation.
type judged struct {
	OK       bool      `json:"ok" doc:"whether nothing is wrong; notes do not count"`
	Verdict  string    `json:"verdict" doc:"the same in words"`
	Problems []problem `json:"problems" doc:"what is wrong, and behind it what is good to know"`
	load.Status
}

// problem is one kind of thing that is wrong, or good to know.
type problem struct {
	Kind   string `json:"kind" doc:"empty, schedule, run, failed, held, hole, difference, rejected; or as a note: running, stopped, lost, names, unattributed, drift, unread"`
	Wrong  bool   `json:"wrong" doc:"false for a note, which asks for nothing"`
	What   string `json:"what" doc:"what it is, in words"`
	Mend   string `json:"mend" doc:"the command that mends it, or shows more; empty where there is none"`
	detail []string
	hint   string
}

// judge says what is wrong and how to mend it. Streams that no view reads (any more, or yet) spoil no verdict. A sync keeps
// complete what is after since; what is older needs a backfill.
func judge(s load.Status, now, since time.Time, refresh time.Duration) judged {
	j := judged{Status: s, Problems: []problem{}} // none is [] in JSON
	if len(s.Streams) == 0 {
		j.Problems = append(j.Problems, problem{Kind: "empty", Wrong: true, What: "nothing was loaded yet", Mend: "simusage sync"})
	}
	j.judgeRun(now, refresh)
	j.judgeSlices(now, since)
	j.judgeAnswers(now)
	slices.SortStableFunc(j.Problems, func(a, b problem) int {
		if a.Wrong == b.Wrong {
			return 0
		}
		if a.Wrong {
			return -1
		}
		return 1
	})
	j.OK = !slices.ContainsFunc(j.Problems, func(p problem) bool { return p.Wrong })
	j.Verdict = j.words(now)
	return j
}

// words is the verdict in a sentence: what is wrong, and until when the views are complete.
func (j *judged) words(now time.Time) string {
	var what []string
	for _, p := range j.Problems {
		if p.Wrong || p.Kind == "hole" {
			what = append(what, p.What)
		}
	}
	if n := len(what); n > 4 {
		what = append(what[:3], fmt.Sprintf("%d problems more", n-3))
	}
	until, compared := j.completeUntil(), int64(0)
	for _, s := range j.Streams {
		compared += s.Reconciled
	}
	complete := ""
	if !until.IsZero() {
		complete = "complete until " + minute(&until) + " UTC" + ago(now.Sub(until))
	}
	if len(what) == 0 && compared > 0 && !j.has("unattributed") {
		complete += ", all slices agree with the total"
	}
	parts := []string{strings.Join(what, ", "), complete}
	if j.has("running") {
		parts = append(parts, "a "+j.LastRun.Command+" is at work")
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

// completeUntil is until when the views are complete; those of accounts that are over do not get any further.
func (j *judged) completeUntil() (until time.Time) {
	over := !slices.ContainsFunc(j.Streams, func(s load.StreamStatus) bool { return s.Read && !s.Over() })
	for _, s := range j.Streams {
		if s.Read && s.Over() == over && s.CompleteUntil != nil && (until.IsZero() || s.CompleteUntil.Before(until)) {
			until = *s.CompleteUntil
		}
	}
	return until
}

func (j *judged) has(kind string) bool {
	return slices.ContainsFunc(j.Problems, func(p problem) bool { return p.Kind == kind })
}

func (j *judged) add(p problem) { j.Problems = append(j.Problems, p) }

// judgeRun looks at the last run: a warehouse that nobody syncs is the first thing to know.
func (j *judged) judgeRun(now time.Time, refresh time.Duration) {
	r := j.LastRun
	if r == nil {
		return
	}
	p := problem{What: fmt.Sprintf("the last %s %s", r.Command, r.Outcome), Mend: "simusage " + r.Command}
	if r.Command != "sync" {
		p.Mend = "" // it had arguments
	}
	if r.Error != nil {
		p.detail = strings.Split(*r.Error, "\n")
	}
	switch r.Outcome {
	case "running":
		j.add(problem{Kind: "running", What: fmt.Sprintf("a %s is at work since %s", r.Command, minute(&r.StartedAt))})
		return
	case "failed":
		p.Kind, p.Wrong = "run", true
	case "refused":
		p.Kind, p.Wrong, p.What, p.Mend = "run", true, "the last "+r.Command+" was refused", ""
		p.hint = "The same again would end the same: mend what it says first."
	case "killed":
		p.Kind, p.Wrong, p.What = "run", true, "the last "+r.Command+" was killed"
		p.hint = "It gave no sign of life for five minutes. The next one goes on where it was."
	case "stopped", "partly":
		if j.Failed == 0 && j.HeldBack == 0 { // otherwise it is told what that was about
			p.Kind, p.What = "stopped", fmt.Sprintf("the last %s ended before it was done (%s)", r.Command, r.Outcome)
		}
	}
	if p.Kind != "" {
		j.add(p)
	}
	last := r.StartedAt
	if r.FinishedAt != nil {
		last = *r.FinishedAt
	}
	if now.Sub(last) > max(3*refresh, 3*time.Hour) {
		j.add(problem{Kind: "schedule", Wrong: true, What: "no run since " + minute(&last) + ago(now.Sub(last)), Mend: "simusage sync",
			hint: "One is due every SIMUSAGE_REFRESH. Is cron, Kubernetes or simusage schedule still there?"})
	}
}

// days is a range of slices that a command is for.
type days struct{ from, to time.Time }

func (d *days) add(from, to time.Time) {
	if d.from.IsZero() || from.Before(d.from) {
		d.from = from
	}
	if to.After(d.to) {
		d.to = to
	}
}

func (d days) flags() string { return fmt.Sprintf("--from %s --to %s", day(d.from), day(d.to)) }

// reload is the command that reads what is due in the range: sync does, if some of it is in its own.
func (d days) reload(now, since time.Time) string {
	if d.to.After(since) {
		return "simusage sync"
	}
	if wall := extract.Wall(now); d.from.Before(wall) {
		d.from = wall.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	}
	return "simusage backfill " + d.flags()
}

// judgeSlices looks at what failed, is held back, is missing or does not agree.
func (j *judged) judgeSlices(now, since time.Time) {
	read := func(account, name string) bool {
		return slices.ContainsFunc(j.Streams, func(s load.StreamStatus) bool { return s.Account == account && s.Stream == name && s.Read })
	}
	var failed, held days
	p := problem{Kind: "failed", What: count(j.Failed, "slice") + " failed"}
	for _, f := range j.Failures {
		failed.add(f.Window, f.End)
		p.Wrong = p.Wrong || read(f.Account, f.Stream)
		p.detail = append(p.detail, fmt.Sprintf("%s %s, %s, last at %s: %s", stream(f.Account, f.Stream), day(f.Window), count(int64(f.Times), "time"), minute(&f.At), f.Error))
	}
	if p.Mend = failed.reload(now, since); j.Failed > 0 {
		j.add(p)
	}
	waiting := j.HeldBack
	p = problem{Kind: "held"}
	for _, h := range j.Held {
		accepted := ""
		if h.Accepted {
			accepted, waiting = ", accepted", waiting-1
		} else {
			held.add(h.Window, h.End)
			p.Wrong = p.Wrong || read(h.Account, h.Stream)
		}
		p.detail = append(p.detail, fmt.Sprintf("%s %s, since %s: %s published, now %d%s", stream(h.Account, h.Stream), day(h.Window), minute(&h.Since), count(h.Rows, "row"), h.NowRows, accepted))
	}
	p.What, p.Mend = are(waiting, "slice")+" held back", "simusage accept "+held.flags()+" && simusage sync"
	p.hint = "The API says much less now. A later sync that finds the same takes it over; or the next, after:"
	if waiting == 0 {
		p.hint, p.What, p.Mend = "", are(j.HeldBack, "slice")+" held back and accepted", "simusage sync"
	}
	if j.HeldBack > 0 {
		j.add(p)
	}
	j.judgeHoles(now, since)
	j.judgeProof()
}

// judgeHoles looks at slices that were never loaded. Those that the API has forgotten nobody can mend: they are told, and
// are nothing to do.
func (j *judged) judgeHoles(now, since time.Time) {
	var open days
	p, lost := problem{Kind: "hole", Wrong: !j.has("running")}, problem{Kind: "lost"}
	var missing, gone int64
	for _, s := range j.Streams {
		if s.Lost > 0 && s.Read {
			gone += s.Lost
			lost.detail = append(lost.detail, stream(s.Account, s.Stream)+": "+count(s.Lost, "slice"))
		}
		if s.Holes == 0 || s.OldestHole == nil || s.HolesUntil == nil {
			continue
		}
		text := fmt.Sprintf("%s: %s, the oldest %s", stream(s.Account, s.Stream), count(s.Holes, "slice"), day(*s.OldestHole))
		switch {
		case !s.Read:
			text += "; no view reads this stream"
		case s.DaysUntilWall != nil && *s.DaysUntilWall < 30:
			text += fmt.Sprintf(", which the API forgets in %s", count(int64(*s.DaysUntilWall), "day"))
		}
		p.detail = append(p.detail, text)
		if s.Read {
			missing += s.Holes
			open.add(*s.OldestHole, *s.HolesUntil)
		}
	}
	if missing > 0 {
		p.What = count(missing, "slice") + " never loaded"
		if p.Mend = open.reload(now, since); !p.Wrong {
			p.What, p.Mend = count(missing, "slice")+" not loaded yet", ""
		}
		j.add(p)
	}
	if lost.What = are(gone, "slice") + " lost: the API forgot them before they were loaded"; gone > 0 {
		j.add(lost)
	}
}

// judgeProof looks at what does not agree with the total.
func (j *judged) judgeProof() {
	var off days
	p, explained := problem{Kind: "difference", Wrong: true, hint: "usage.reconciliation has the sums. To read these days again:"}, problem{Kind: "unattributed"}
	var differ, unattributed int64
	for _, s := range j.Streams {
		n := s.Unreconciled - s.Unattributed
		if unattributed += s.Unattributed; n == 0 || !s.Read || s.UnreconciledFrom == nil || s.UnreconciledUntil == nil {
			continue
		}
		differ += n
		off.add(*s.UnreconciledFrom, *s.UnreconciledUntil)
		p.detail = append(p.detail, stream(s.Account, s.Stream)+": "+count(n, "slice"))
	}
	if p.What, p.Mend = "the sums of "+count(differ, "slice")+" differ from the total", "simusage backfill --again "+off.flags(); differ > 0 {
		j.add(p)
	}
	if explained.What = "usage that only the total has, in " + count(unattributed, "slice") + ": views show it without SIM and country"; unattributed > 0 {
		j.add(explained)
	}
}

// judgeAnswers looks at what the API's answers were like, and at what is not kept up to date.
func (j *judged) judgeAnswers(now time.Time) {
	if j.Rejected > 0 {
		p := problem{Kind: "rejected", Wrong: true, What: count(j.Rejected, "record") + " set aside, not understood", Mend: "simusage rejected"}
		for _, reason := range slices.Sorted(maps.Keys(j.RejectedByReason)) {
			p.detail = append(p.detail, fmt.Sprintf("%d: %s", j.RejectedByReason[reason], reason))
		}
		j.add(p)
	}
	for _, a := range j.Accounts {
		if ended := a.EndsAt != nil && a.EndsAt.Before(now); !ended && a.NamesAt != nil && now.Sub(*a.NamesAt) > 24*time.Hour {
			j.add(problem{Kind: "names", What: "the names of SIMs, fleets and networks" + of(a.Account) + " are those of " + minute(a.NamesAt), Mend: "simusage names"})
		}
	}
	if len(j.Drift) > 0 {
		p := problem{Kind: "drift", What: count(int64(len(j.Drift)), "field") + " of the API's answers new or missing"}
		for _, d := range j.Drift {
			p.detail = append(p.detail, fmt.Sprintf("%s %s: %s, first %s, last %s", d.Kind, stream(d.Account, d.Resource), d.Field, minute(&d.FirstSeenAt), minute(&d.LastSeenAt)))
		}
		j.add(p)
	}
	p := problem{Kind: "unread", What: "streams are stored that no view reads now; usage.feeds shows what is read"}
	for _, s := range j.Streams {
		if !s.Read {
			p.detail = append(p.detail, stream(s.Account, s.Stream))
		}
	}
	if len(p.detail) > 0 {
		j.add(p)
	}
}

func of(account string) string {
	if account == "" {
		return ""
	}
	return " of " + account
}

// are is a number of things with the verb.
func are(n int64, of string) string {
	if n == 1 {
		return "1 " + of + " is"
	}
	return fmt.Sprintf("%d %ss are", n, of)
}

// ago is a time that has passed, roughly; nothing for one that has not.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return ""
	case d < 2*time.Hour:
		return " (" + count(int64(d/time.Minute), "minute") + " ago)"
	case d < 48*time.Hour:
		return " (" + count(int64(d/time.Hour), "hour") + " ago)"
	}
	return " (" + count(int64(d/(24*time.Hour)), "day") + " ago)"
}
