package extract

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// list is one kind of list that the API serves: where it is, how its first page is asked for, how a page is read.
type list struct {
	base *url.URL
	size *size // of the pages that lists of this kind begin with
	most int   // records on a page whose address does not say how many
	// first is the query of the first page, with at most size records, and how many records that are.
	first func(size int) (query string, limit int)
	// read takes in the page that the decoder holds: how many records it had, and the address of the next page.
	read func(d *decoder, limit int) (records int, next string, err error)
}

// walk is one way through one list.
type walk struct {
	client  *Client
	list    list
	decoder *decoder

	cursor string // address of the page that comes now; empty for the first
	number int    // pages yielded by this walk

	// seen are the addresses this walk was sent to, hashed: a list of a million SIMs has tens of thousands of pages.
	seen map[uint64]struct{}
	seed maphash.Seed
}

func (c *Client) walk(l list) *walk {
	return &walk{client: c, list: l, seen: make(map[uint64]struct{}), seed: maphash.MakeSeed()}
}

// hold takes a decoder for the answer that has begun to arrive; drop gives it back when its page is done with. Most of its
// time a walk waits for the API and needs none.
func (w *walk) hold(ctx context.Context) (err error) {
	w.decoder, err = w.client.decoders.take(ctx)
	return err
}

func (w *walk) drop() {
	if w.decoder != nil {
		w.client.decoders.put(w.decoder)
		w.decoder = nil
	}
}

// begin sets the walk behind a page. A cursor that was kept from another base URL can never be asked for, but the
// list it belongs to can: it is refused like a token that is too old.
func (w *walk) begin(cursor string) error {
	if cursor == "" {
		return nil
	}
	if err := sameList(w.list.base, cursor); err != nil {
		return fmt.Errorf("resume the list at page %d: %w: %w", PageOf(cursor), ErrTokenRefused, err)
	}
	w.visit(cursor)
	w.cursor = cursor
	return nil
}

// visit notes an address, and says whether the walk was there before.
func (w *walk) visit(address string) (before bool) {
	h := maphash.String(w.seed, address)
	_, before = w.seen[h]
	w.seen[h] = struct{}{}
	return before
}

// next asks for the page that comes now, again and again if need be, and moves behind it; false when it was the last.
func (w *walk) next(ctx context.Context) (more bool, err error) {
	w.drop()
	t := w.client.config.Retry.begin()
	for {
		a := w.aim()
		next, f := w.try(ctx, a)
		if f == nil {
			return next != "", nil
		}
		w.drop()
		if err := w.again(ctx, t, a, f); err != nil {
			return false, fmt.Errorf("ask GET %s: %w", a.where, err)
		}
	}
}

// aim is one request that will be sent.
type aim struct {
	address string
	where   string // the address for messages
	first   bool   // page of its list
	limit   int    // records that its answer may have
}

// aim works out what to send. Only a first page can follow a page size that was halved; every other page comes with
// its size, which the token is bound to.
func (w *walk) aim() aim {
	if w.cursor == "" {
		query, limit := w.list.first(w.list.size.now())
		return aim{w.list.base.String() + "?" + query, w.list.base.EscapedPath() + "?" + query, true, limit}
	}
	limit := pageSizeOf(w.cursor)
	if limit == 0 {
		limit = w.list.most
	}
	return aim{w.cursor, pathOf(w.cursor), false, limit}
}

// try asks once, and moves behind the page. Why it is refused is told with the drift that it has.
func (w *walk) try(ctx context.Context, a aim) (next string, f *failure) {
	c := w.client
	began := time.Now()
	if f := c.ask(ctx, a, w); f != nil {
		return "", f
	}
	records, next, err := w.list.read(w.decoder, a.limit)
	if err == nil {
		err = w.move(next)
	}
	if err != nil {
		return "", unreadable(w.decoder.condemned(err))
	}
	w.list.size.served()
	w.number++
	c.log.Debug("page", slog.String("ask", a.where), slog.Int("page", w.number), slog.Int("records", records),
		slog.Int("bytes", w.decoder.body.Len()), slog.Duration("took", time.Since(began)))
	return next, nil
}

// move goes on to the next page's address, unless that leads away from the list or around in a circle. A page with
// such an address is not handed out: its cursor would be stored, and lead there again in the next run.
func (w *walk) move(next string) error {
	if next == "" {
		return nil
	}
	if err := sameList(w.list.base, next); err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if w.visit(next) {
		return fmt.Errorf("%w: the next page is one that was there before", ErrAnswer)
	}
	w.cursor = next
	return nil
}

// again waits until the page may be asked for again; an error ends the walk.
func (w *walk) again(ctx context.Context, t *tries, a aim, f *failure) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := w.client
	if f.remedy == signAgain && !c.auth.renew(f.token) {
		return fmt.Errorf("%w: %w", ErrCredentials, f.err)
	}
	wait, err := t.after(f)
	if err != nil {
		if t.failed >= t.retry.Attempts {
			w.list.size.restore() // pages of every size failed alike, so it is not the size
		}
		return w.atOrigin(err)
	}
	if t.heavy >= 2 && a.limit > 1 {
		t.heavy = 0
		w.list.size.halve(a.limit)
		if !a.first {
			return fmt.Errorf("%w: %w", ErrSmallerPages, f.err)
		}
	}
	c.count(func(s *Stats) { s.Retries++ })
	c.log.Warn("ask again", slog.String("ask", a.where), slog.String("because", f.err.Error()), slog.Duration("in", wait))
	return c.pause(func() error { return sleep(ctx, wait) })
}

// atOrigin says which API it was that could not be reached.
func (w *walk) atOrigin(err error) error {
	return fmt.Errorf("%s: %w", originOf(w.list.base.String()), err)
}

// unreadable is what can be done about an answer that could not be decoded. A body that is not JSON was cut off or
// comes from something in between; one that is, but answers another question, would do so again.
func unreadable(err error) *failure {
	if isAnswer(err) {
		return &failure{remedy: giveUp, err: err, status: http.StatusOK}
	}
	return &failure{remedy: askAgain, err: err, status: http.StatusOK}
}

// pathOf is an address for messages: its path and a shortened query.
func pathOf(address string) string {
	path, query := address, ""
	for i := range len(address) {
		if address[i] == '?' {
			path, query = address[:i], address[i:]
			break
		}
	}
	path = path[min(len(path), len(originOf(address))):]
	if len(query) > 1<<10 {
		return path + "?" + strconv.Itoa(len(query)) + " bytes"
	}
	return path + brief(query)
}
