package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"simusage/extract"
	"simusage/load"
)

// namesAge is how old the names may get before sync reads them again. Whole lists are read, so not every hour.
const namesAge = 6 * time.Hour

// Names reads the names of SIMs, fleets and networks of every account, however fresh they are; where another process reads
// them, after that. One account's failure does not stop the others.
func (j *Job) Names(ctx context.Context) error {
	var problems []error
	for _, a := range j.Accounts {
		account, err := j.Store.Account(ctx, a.Name, a.SID, j.Now())
		if err == nil {
			err = j.namesInTurn(ctx, account, a.Client)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// namesInTurn waits for whoever reads the names of the account now; a process that was killed is waited for until its lease
// has run out.
func (j *Job) namesInTurn(ctx context.Context, account load.Account, client *extract.Client) error {
	for told := false; ; told = true {
		now := j.Now()
		read, err := j.names(ctx, account, client, now, now.AddDate(1, 0, 0)) // nothing is as fresh as that
		if read || err != nil {
			return err
		}
		if !told {
			j.Log.Info("another process reads the names; waiting for it", "account", account.Name)
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

// names reads the lists of an account if they were read before freshFrom, and nobody else reads them now, and says whether it did.
func (j *Job) names(ctx context.Context, account load.Account, client *extract.Client, now, freshFrom time.Time) (read bool, err error) {
	began := time.Now()
	n, err := j.Store.ClaimNames(ctx, account, now, freshFrom, j.ICCID)
	if n == nil || err != nil {
		return false, err
	}
	alive, end := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { n.KeepAlive(alive) })
	err = readNames(ctx, client, n)
	end()
	keeper.Wait()
	if err != nil {
		back, cancel := inOrder(ctx)
		defer cancel()
		if failed := n.Fail(back, err); failed != nil {
			j.Log.Warn("failure of the names not noted; their lease runs out by itself", "error", failed)
		}
		return false, err
	}
	j.Log.Info("names", "account", account.Name, "rows", n.Rows(), "took", time.Since(began).Round(time.Millisecond))
	return true, nil
}

func readNames(ctx context.Context, client *extract.Client, n *load.Names) error {
	err := readList(ctx, "SIMs", client.Sims, n.Sims)
	if err == nil {
		err = readList(ctx, "fleets", client.Fleets, n.Fleets)
	}
	if err == nil {
		err = readList(ctx, "networks", client.Networks, n.Networks)
	}
	if err == nil {
		err = n.Publish(ctx)
	}
	return err
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
