package fakeapi

import (
	"slices"
	"sync"
	"time"
)

// listCache keeps computed lists, so that a walk sums its events once and not for every page. It holds a bounded
// number of rows and lets the list go that was asked for longest ago.
type listCache struct {
	limit int // of rows

	mu    sync.Mutex
	lists map[cacheKey]*usageList
	order []cacheKey // oldest use first
	rows  int
}

// cacheKey keeps lists of the same question apart that show different moments, as the walks of Options.Snapshot do.
type cacheKey struct {
	query  usageQuery
	moment time.Time
}

// get is the list of a question if it still holds at a time and for a version of the world, otherwise nil.
func (c *listCache) get(key cacheKey, version uint64, at time.Time) *usageList {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.lists[key]
	if list == nil {
		return nil
	}
	if list.version != version || at.Before(list.from) || !at.Before(list.until) {
		c.drop(key)
		return nil
	}
	i := slices.Index(c.order, key)
	c.order = append(slices.Delete(c.order, i, i+1), key)
	return list
}

// put keeps a list in the place of an older one.
func (c *listCache) put(key cacheKey, list *usageList) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(key)
	if len(list.rows) > c.limit {
		return
	}
	for len(c.order) > 0 && (c.rows+len(list.rows) > c.limit || len(c.order) >= 256) {
		c.drop(c.order[0])
	}
	if c.lists == nil {
		c.lists = map[cacheKey]*usageList{}
	}
	c.lists[key] = list
	c.order = append(c.order, key)
	c.rows += len(list.rows)
}

// drop forgets a list. The caller holds the lock.
func (c *listCache) drop(key cacheKey) {
	list := c.lists[key]
	if list == nil {
		return
	}
	delete(c.lists, key)
	i := slices.Index(c.order, key)
	c.order = slices.Delete(c.order, i, i+1)
	c.rows -= len(list.rows)
}
