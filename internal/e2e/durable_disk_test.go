package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// smallDisk mounts a file system of so many bytes in memory, or skips the test
// where that is not allowed.
func smallDisk(t *testing.T, dir, size string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput()
	if err != nil {
		t.Skipf("a small disk cannot be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", "-l", dir).Run()) })
}

// fill leaves so many bytes of a disk free, and returns the file that takes up
// the rest.
func fill(t *testing.T, dir string, free int64) string {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	require.NoError(t, err)
	block := make([]byte, 4<<10)
	var size int64
	for {
		n, err := f.Write(block)
		size += int64(n)
		if err != nil {
			break
		}
	}
	require.NoError(t, f.Truncate(size-free))
	require.NoError(t, f.Close())
	return path
}

// longRequests is a batch of n lines like requests, with answers long enough to
// fill a small disk.
func longRequests(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(request(fmt.Sprintf("r-%d", i+1), fmt.Sprintf("Question number %d?", i+1), `,"user":"sim:bytes=8192"`))
		b.WriteByte('\n')
	}
	return b.String()
}

// fullDisk is a dev in the middle of a batch whose store has no room left.
type fullDisk struct {
	*process
	witness *witness
	dir     string
	url     string
	batch   string
	filler  string

	upstream string
}

// fullDiskBatch is the number of its requests.
const fullDiskBatch = 2000

func newFullDisk(t *testing.T) *fullDisk {
	t.Helper()
	d := &fullDisk{dir: t.TempDir()}
	disk := filepath.Join(d.dir, "store")
	smallDisk(t, disk, "64m")
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	d.witness, d.upstream = watch(t, up.Simulator), up.URL()
	d.process, d.url = dev(t, d.dir, up.URL())
	d.batch = submit(t, d.url, longRequests(fullDiskBatch), concurrently(laneHands)).ID
	d.witness.awaitCalls(0, fullDiskBatch/10)
	d.filler = fill(t, disk, 1<<20)
	o := awaitBatch(t, d.url, d.batch, func(o batch.Object) bool { return o.Headrace.WaitingOn != nil })
	require.Equal(t, batch.StorageFailing, o.Headrace.WaitingOn.Reason)
	require.Contains(t, o.Headrace.WaitingOn.Message, "no space left")
	poll(t, "calls to stop", func() bool { return up.Stats().InFlight == 0 })
	t.Logf("calls stop after %d", up.Stats().Calls)
	require.Less(t, up.Stats().Calls, int64(fullDiskBatch/2), "calls whose results cannot be kept are not made")
	return d
}

func (d *fullDisk) requireComplete() {
	d.t.Helper()
	o := awaitEnd(d.t, d.url, d.batch, openai.Completed)
	answers, _ := requireEach(d.t, d.url, o, fullDiskBatch)
	require.Len(d.t, answers, fullDiskBatch)
}

func TestABatchWaitsWhileTheDiskIsFull(t *testing.T) {
	t.Parallel()
	d := newFullDisk(t)
	require.NoError(t, os.Remove(d.filler))
	d.requireComplete()
	d.witness.requireRepeatedAtMost(0, fullDiskBatch)
}

func TestAKillWhileTheDiskIsFullRepeatsNoMoreThanAnother(t *testing.T) {
	t.Parallel()
	d := newFullDisk(t)
	allowed := d.witness.lostIfKilled(laneHands)
	d.kill()
	require.NoError(t, os.Remove(d.filler))
	_, d.url = dev(t, d.dir, d.upstream)
	d.requireComplete()
	d.witness.requireRepeatedAtMost(allowed, fullDiskBatch)
}

func TestABatchOutlivesAFullDiskThatTemporalShares(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(t.TempDir(), "data")
	smallDisk(t, disk, "128m")
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:50ms,150ms")})
	w := watch(t, up.Simulator)
	_, url := dev(t, disk, up.URL())
	o := submit(t, url, longRequests(fullDiskBatch), concurrently(laneHands))
	w.awaitCalls(0, fullDiskBatch/10)
	filler := fill(t, disk, 0)
	poll(t, "calls to stop", func() bool { return up.Stats().InFlight == 0 })
	calls := up.Stats().Calls
	t.Logf("calls stop after %d", calls)
	allowed := w.lostIfKilled(laneHands)
	lasts(t, longOutage)
	require.Equal(t, calls, up.Stats().Calls)
	require.NoError(t, os.Remove(filler))
	o = awaitEnd(t, url, o.ID, openai.Completed)
	answers, _ := requireEach(t, url, o, fullDiskBatch)
	require.Len(t, answers, fullDiskBatch)
	w.requireRepeatedAtMost(allowed, fullDiskBatch)
}

// TestWhatKilledProcessesLeftInTheStoreIsDeletedWhenTheAPIStarts finds files as
// writes leave them that were cut off by a kill.
func TestWhatKilledProcessesLeftInTheStoreIsDeletedWhenTheAPIStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	leftover := func(key string, ago time.Duration) string {
		path, at := filepath.Join(dir, "store", key), time.Now().Add(-ago)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("half"), 0o600))
		require.NoError(t, os.Chtimes(path, at, at))
		return path
	}
	var old []string
	for _, folder := range []string{"files/default/data/file-1", "batches/default/runs/batch_1/index", "tasks/default/00000/1-00.000000.results"} {
		old = append(old, leftover(folder+".123.tmp", 25*time.Hour))
	}
	fresh := leftover("tasks/default/00000/2-00.000000.results.123.tmp", 23*time.Hour)
	dev(t, dir, "http://127.0.0.1:1/v1")
	for _, path := range old {
		eventually(t, func() bool {
			_, err := os.Stat(path)
			return os.IsNotExist(err)
		}, "%s is still there", path)
	}
	require.FileExists(t, fresh, "somebody may still write it")
}
