package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"simusage/extract"
	"simusage/load"
)

// namesAge is how old the names may get before sync reads them again. Whole lists are read, so not every hour.
const namesAge = 6 * time.Hour

// Names reads the names of SIMs, fleets and networks of every account, however fresh they are. One account's failure does
// not stop the others.
func (j *Job) Names(ctx context.Context) error {
	var problems []error
	now := j.Now()
	for _, a := range j.Accounts {
		account, err := j.Store.Account(ctx, a.Name, a.SID, now)
		if err == nil {
			err = j.names(ctx, account, a.Client, now, now.Add(time.Second))
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// names reads the lists of an account if they were read before freshFrom, and nobody else reads them now.
func (j *Job) names(ctx context.Context, account load.Account, client *extract.Client, now, freshFrom time.Time) error {
	began := time.Now()
	n, err := j.Store.ClaimNames(ctx, account, now, freshFrom, j.ICCID)
	if n == nil || err != nil {
		return err
	}
	err = readList(ctx, "SIMs", client.Sims, n.Sims)
	if err == nil {
		err = readList(ctx, "fleets", client.Fleets, n.Fleets)
	}
	if err == nil {
		err = readList(ctx, "networks", client.Networks, n.Networks)
	}
	if err == nil {
		err = n.Publish(ctx)
	}
	if err != nil {
		back, cancel := inOrder(ctx)
		defer cancel()
		if failed := n.Fail(back, err); failed != nil {
			j.Log.Warn("failure of the names not noted; the claim runs out by itself", "error", failed)
		}
		return err
	}
	j.Log.Info("names", "account", account.Name, "rows", n.Rows(), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// readList stages a list. When the API does not take its page token any more, it is read again from its first page: rows
// that were staged already are the same.
func readList[T any](ctx context.Context, what string, pages func(context.Context) iter.Seq2[*extract.Page[T], error], stage func(context.Context, *extract.Page[T]) error) error {
	var err error
	for range 12 { // a page size may halve itself ten times
		if err = readOnce(ctx, pages, stage); !errors.Is(err, extract.ErrRestart) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("read the names of %s: %w", what, err)
	}
	return nil
}

func readOnce[T any](ctx context.Context, pages func(context.Context) iter.Seq2[*extract.Page[T], error], stage func(context.Context, *extract.Page[T]) error) error {
	for page, err := range pages(ctx) {
		if err == nil {
			err = stage(ctx, page)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
