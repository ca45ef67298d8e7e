package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"simusage/load"
)

// noRoom lets every write to a file fail as on a full disk, until the returned function makes room. The file becomes
// Linux' /dev/full, where there is nothing to read and no room to write (ENOSPC); it takes no rights and no mount.
func noRoom(t *testing.T, file string) (makeRoom func()) {
	t.Helper()
	must := func(err error) {
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
	}
	must(os.Rename(file, file+".aside"))
	must(os.Symlink("/dev/full", file))
	return func() {
		must(os.Remove(file))
		must(os.Rename(file+".aside", file))
	}
}

// The data volume is full: Postgres refuses statement by statement, and stays. The run ends and says so; when there is
// room again, the next one finishes.
func TestDataVolumeFull(t *testing.T) {
	b := smallBench(t, 67)
	b.ownServer()
	b.exec(`CREATE TABLE simusage.usage_hourly_2026_03 PARTITION OF simusage.usage_hourly FOR VALUES FROM ('2026-03-01Z') TO ('2026-04-01Z')`)
	facts := b.query(`SELECT current_setting('data_directory') || '/' || pg_relation_filepath('simusage.usage_hourly_2026_03')`)[0]
	makeRoom := noRoom(t, facts)
	s, err := b.process().Sync(t.Context(), load.RunStart{Command: "sync"})
	if err == nil || !strings.Contains(err.Error(), "53100") || s.Outcome == Done || s.LeftDue == 0 {
		t.Errorf("data volume full: %+v, %v", s, err)
	}
	if s.Failed > 2 {
		t.Errorf("%d slices were tried on a full disk, want one for each worker", s.Failed)
	}
	makeRoom()
	b.sync()
	b.equal("total", "country", "sim", "sim_country")
}

// The volume of the WAL is full: Postgres panics, and does not come back as long as there is no room. The run waits for it
// for a while; somebody makes room and starts it, and the work is done.
func TestWALVolumeFull(t *testing.T) {
	for _, moment := range []int{3, 15} {
		t.Run(fmt.Sprint("request ", moment), func(t *testing.T) {
			b := smallBench(t, uint64(68+moment))
			server := b.ownServer()
			mended := make(chan struct{})
			b.around = before(moment, func() {
				makeRoom := b.fillWAL(10_000)
				ended := server.Ended()
				go func() {
					defer close(mended)
					<-ended
					log, err := os.ReadFile(filepath.Join(server.Home(), "log"))
					if err != nil || !strings.Contains(string(log), "PANIC") || !strings.Contains(string(log), "No space left on device") {
						t.Errorf("Postgres ended: %s, %v", log, err)
					}
					makeRoom()
					if err := server.Restart(t.Context()); err != nil {
						t.Error(err)
					}
				}()
			})
			t.Logf("%d runs", b.untilDone(2))
			<-mended
			b.around = nil
			b.equal("total", "country", "sim", "sim_country")
		})
	}
}

// fillWAL leaves this much room in the WAL, and none behind it.
func (b *bench) fillWAL(room int) (makeRoom func()) {
	b.t.Helper()
	next := b.query(`SELECT current_setting('data_directory') || '/pg_wal/' || pg_walfile_name(pg_current_wal_insert_lsn() + pg_size_bytes(current_setting('wal_segment_size')))`)[0]
	makeRoom = noRoom(b.t, next)
	b.exec(`SELECT pg_logical_emit_message(false, 'fill', repeat('.', (pg_size_bytes(current_setting('wal_segment_size'))
		- mod(pg_current_wal_insert_lsn() - '0/0', pg_size_bytes(current_setting('wal_segment_size'))) - $1)::int))`, room)
	return makeRoom
}
