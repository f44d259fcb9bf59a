//go:build cluster

package store_test

import (
	"crypto/rand"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/testbed"
)

// faulty is a store on a server of its own, which can be made to fail.
func faulty(t *testing.T) (*store.Store, *testbed.VersityGW) {
	t.Helper()
	s3(t) // whose credentials are in the environment
	v := testbed.StartVersityGW(t)
	return open(t, v.URL("")), v
}

func TestAWriteThatIsRefusedLeavesNothingAndSucceedsLater(t *testing.T) {
	t.Parallel()
	s, v := faulty(t)
	v.Refuse(testbed.RefuseWrites)
	require.Error(t, s.Put(t.Context(), "k", []byte("x")))
	require.Error(t, s.PutNew(t.Context(), "k", []byte("x")))
	require.ErrorContains(t, s.Ready(t.Context()), "writing fails")
	_, err := s.Get(t.Context(), "k")
	require.ErrorIs(t, err, store.ErrNotFound)
	failed := make(chan struct{})
	var patience store.Patience
	go func() {
		defer close(failed)
		for {
			if _, err := patience.Trouble(); err != nil {
				v.Refuse(testbed.RefuseNothing)
				return
			}
			runtime.Gosched()
		}
	}()
	require.NoError(t, patience.Persist(t.Context(), func() error { return s.PutNew(t.Context(), "k", []byte("x")) }))
	<-failed
	got, err := s.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
	require.NoError(t, s.Ready(t.Context()))
}

func TestAccessThatIsDeniedIsNamed(t *testing.T) {
	t.Parallel()
	s, v := faulty(t)
	v.Refuse(testbed.DenyWrites)
	require.ErrorContains(t, s.Check(t.Context()), "cannot write to it: access is denied")
	require.ErrorContains(t, s.Ready(t.Context()), "writing fails: access is denied", "Check's own failure is a write like any other")
	v.Refuse(testbed.DenyAll)
	require.ErrorContains(t, s.Ready(t.Context()), "access is denied")
	_, err := s.Get(t.Context(), "k")
	require.NotErrorIs(t, err, store.ErrNotFound)
}

func TestAServerThatHangsIsReportedInTime(t *testing.T) {
	t.Parallel()
	s, v := faulty(t)
	v.Refuse(testbed.Hang)
	start := time.Now()
	require.ErrorContains(t, s.Check(t.Context()), "the store cannot be reached")
	require.Less(t, time.Since(start), time.Minute, "with much to spare")
	require.ErrorContains(t, s.Ready(t.Context()), "the store cannot be reached")
}

func TestABucketThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	v := s3(t)
	s := open(t, strings.Replace(v.URL(""), v.Bucket, "nobodys-bucket", 1))
	require.ErrorContains(t, s.Check(t.Context()), "the bucket does not exist: create it, or correct store.url")
	_, err := s.Get(t.Context(), "k")
	require.NotErrorIs(t, err, store.ErrNotFound)
}

// TestAnUploadThatIsBrokenOffLeavesNothing breaks uploads of many parts off:
// that of an owner who gives up and that of a server that refuses the rest.
func TestAnUploadThatIsBrokenOffLeavesNothing(t *testing.T) {
	t.Parallel()
	s, v := faulty(t)
	piece := make([]byte, 1<<20)
	w, err := s.Create(t.Context(), "aborted")
	require.NoError(t, err)
	for range 40 {
		_, err := w.Write(piece)
		require.NoError(t, err)
	}
	w.Abort()

	w, err = s.Create(t.Context(), "refused")
	require.NoError(t, err)
	for i := range 200 {
		if i == 40 {
			v.Refuse(testbed.RefuseWrites)
		}
		if _, err = w.Write(piece); err != nil {
			break
		}
	}
	require.Error(t, err, "the server's refusal is heard long before the end")
	v.Refuse(testbed.RefuseNothing)
	w.Abort()
	require.Empty(t, collect(t, s.Keys(t.Context(), "")))
	for _, key := range []string{"aborted", "refused"} {
		_, err := s.Get(t.Context(), key)
		require.ErrorIs(t, err, store.ErrNotFound)
	}
	var left []string
	require.NoError(t, filepath.WalkDir(v.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			left = append(left, path)
		}
		return err
	}))
	t.Logf("parts that the server keeps of broken uploads: %d", len(left))
}

// TestAnUploadOfAGigabyteTakesBoundedMemory measures, and takes half a minute.
func TestAnUploadOfAGigabyteTakesBoundedMemory(t *testing.T) {
	for name, o := range map[string]store.Options{"plain": {}, "sealed": {Keys: keys(t, "k1")}} {
		t.Run(name, func(t *testing.T) {
			s := openWith(t, s3(t).URL(rand.Text()), o)
			const size = 1 << 30
			runtime.GC()
			before := resident(t)
			start := time.Now()
			w, err := s.Create(t.Context(), "large")
			require.NoError(t, err)
			peak := before
			piece := make([]byte, 32<<10)
			for i := range size / len(piece) {
				_, err := w.Write(piece)
				require.NoError(t, err)
				if i%256 == 0 {
					peak = max(peak, resident(t))
				}
			}
			require.NoError(t, w.Commit())
			t.Logf("1 GiB in %v; resident: %d MiB before, %d MiB at most", time.Since(start), before>>20, peak>>20)
			require.Less(t, peak-before, int64(400<<20))
			got, err := s.Range(t.Context(), "large", size-10, 10)
			require.NoError(t, err)
			require.Equal(t, make([]byte, 10), got)
			r, err := s.Reader(t.Context(), "large", 0, -1)
			require.NoError(t, err)
			start = time.Now()
			n, err := io.Copy(io.Discard, r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			require.Equal(t, int64(size), n)
			t.Logf("read in %v", time.Since(start))
			require.NoError(t, s.Delete(t.Context(), "large"))
		})
	}
}

// resident is the memory of this process, as the system counts it.
func resident(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	fields := strings.Fields(string(data))
	pages := int64(0)
	for _, digit := range fields[1] {
		pages = pages*10 + int64(digit-'0')
	}
	return pages * int64(os.Getpagesize())
}

// TestSmallObjectsAreWrittenQuickly measures.
func TestSmallObjectsAreWrittenQuickly(t *testing.T) {
	s := open(t, s3(t).URL(rand.Text()))
	data := make([]byte, 1<<10)
	measure := func(name string, do func(key string) error) {
		var took []time.Duration
		for range 300 {
			key := rand.Text()
			start := time.Now()
			require.NoError(t, do(key))
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		t.Logf("%s of 1 KiB: median %v, 99th of 100 %v", name, took[150], took[297])
	}
	measure("Put", func(key string) error { return s.Put(t.Context(), key, data) })
	measure("PutNew", func(key string) error { return s.PutNew(t.Context(), key, data) })
	measure("Put and Get", func(key string) error {
		if err := s.Put(t.Context(), key, data); err != nil {
			return err
		}
		_, err := s.Get(t.Context(), key)
		return err
	})
	measure("Put and Delete", func(key string) error {
		if err := s.Put(t.Context(), key, data); err != nil {
			return err
		}
		return s.Delete(t.Context(), key)
	})
}
