package simulator

import (
	"sync"
	"sync/atomic"
)

// bodies counts calls per request body. It keeps nothing of a body but a hash
// and three counts: 29 to 40 bytes, with the free places of the maps, from half
// a million to two million bodies.
type bodies struct {
	shards [shardCount]shard
}

const (
	shardCount = 64 // so that calls seldom wait for each other's lock
	slabSize   = 64 // counts that are allocated at once
)

type shard struct {
	mu     sync.Mutex
	places map[halves]uint32 // into slabs, counted through
	slabs  []*[slabSize]bodyCounts
}

// halves is a bodyKey in a form that needs no alignment to eight bytes, which
// would cost four bytes of every entry.
type halves [2]uint32

// bodyCounts counts the calls with one body.
type bodyCounts struct {
	arrived   atomic.Uint32
	admitted  atomic.Uint32 // past the limits
	succeeded atomic.Uint32 // answered in full and without a fault
}

func newBodies() *bodies {
	b := &bodies{}
	for i := range b.shards {
		b.shards[i].places = make(map[halves]uint32)
	}
	return b
}

// entry returns the counts of a body, and makes them where there are none.
func (b *bodies) entry(key bodyKey) *bodyCounts {
	s, h := b.find(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	place, ok := s.places[h]
	if !ok {
		place = uint32(len(s.places)) //nolint:gosec // memory ends before
		s.places[h] = place
		if place%slabSize == 0 {
			s.slabs = append(s.slabs, new([slabSize]bodyCounts))
		}
	}
	return &s.slabs[place/slabSize][place%slabSize]
}

// peek returns the counts of a body, nil where there are none.
func (b *bodies) peek(key bodyKey) *bodyCounts {
	s, h := b.find(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	place, ok := s.places[h]
	if !ok {
		return nil
	}
	return &s.slabs[place/slabSize][place%slabSize]
}

func (b *bodies) find(key bodyKey) (*shard, halves) {
	return &b.shards[key%shardCount], halves{uint32(key >> 32), uint32(key)} //nolint:gosec // halves are meant
}

// bodySummary is what Stats tells of all bodies.
type bodySummary struct {
	distinct           int64
	duplicateCalls     int64
	duplicateSuccesses int64
	calls, successes   map[int64]int64 // how often: how many bodies
}

// summarize visits all bodies, holding up calls for the time of one shard.
func (b *bodies) summarize() bodySummary {
	sum := bodySummary{calls: make(map[int64]int64), successes: make(map[int64]int64)}
	for i := range b.shards {
		b.shards[i].addTo(&sum)
	}
	return sum
}

func (s *shard) addTo(sum *bodySummary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum.distinct += int64(len(s.places))
	for i := range len(s.places) {
		c := &s.slabs[i/slabSize][i%slabSize]
		arrived, succeeded := int64(c.arrived.Load()), int64(c.succeeded.Load())
		sum.calls[arrived]++
		sum.successes[succeeded]++
		sum.duplicateCalls += max(arrived-1, 0)
		sum.duplicateSuccesses += max(succeeded-1, 0)
	}
}
