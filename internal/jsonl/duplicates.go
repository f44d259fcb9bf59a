package jsonl

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
)

// sightingSize is the size of a sighting in memory and in a file.
const sightingSize = 24

// idBudget is how many bytes of sightings are kept in memory. More are sorted
// and go to a temporary file: 24 bytes for a request.
const idBudget = 8 << 20

// sighting is a custom_id that stood on a line, as a hash of 128 bits. Hashes
// are taken for the ids: they are seeded anew for every file, and among a
// billion ids the odds of any two equal hashes are below 10⁻²⁰.
type sighting struct {
	high, low uint64
	// at is the number of the line, shifted left by one to make room for a bit
	// that says whether the line has an error already.
	at uint64
}

func (s sighting) line() int64    { return int64(s.at >> 1) }
func (s sighting) reported() bool { return s.at&1 != 0 }

func (s sighting) sameID(o sighting) bool { return s.high == o.high && s.low == o.low }

// compare puts equal ids together, the earliest line first.
func (s sighting) compare(o sighting) int {
	if s.high != o.high { // nearly always
		return cmp.Compare(s.high, o.high)
	}
	return cmp.Or(cmp.Compare(s.low, o.low), cmp.Compare(s.at, o.at))
}

func (s sighting) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, s.high)
	b = binary.LittleEndian.AppendUint64(b, s.low)
	return binary.LittleEndian.AppendUint64(b, s.at)
}

func decodeSighting(b []byte) sighting {
	return sighting{
		high: binary.LittleEndian.Uint64(b),
		low:  binary.LittleEndian.Uint64(b[8:]),
		at:   binary.LittleEndian.Uint64(b[16:]),
	}
}

// duplicates finds the custom_ids that stand on several lines, in memory that
// does not grow with their number. Close it after use.
type duplicates struct {
	seeds [2]maphash.Seed
	most  int        // sightings in memory
	seen  []sighting // those not in runs yet
	runs  *runs      // sorted sightings in a file
}

// newDuplicates makes a finder that keeps up to budget bytes of sightings in
// memory and the others in a file in dir, os.TempDir() if empty.
func newDuplicates(dir string, budget int) *duplicates {
	return &duplicates{
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		most:  max(budget/sightingSize, 1),
		runs:  &runs{dir: dir, budget: budget},
	}
}

// add notes that id stands on a line, and whether the line has an error
// already. Lines come in ascending order.
func (d *duplicates) add(id []byte, line int64, reported bool) error {
	if len(d.seen) == d.most {
		if err := d.spill(); err != nil {
			return err
		}
	}
	at := uint64(line) << 1 //nolint:gosec // lines are counted from 1
	if reported {
		at |= 1
	}
	d.seen = append(d.seen, sighting{
		high: maphash.Bytes(d.seeds[0], id),
		low:  maphash.Bytes(d.seeds[1], id),
		at:   at,
	})
	return nil
}

func (d *duplicates) spill() error {
	slices.SortFunc(d.seen, sighting.compare)
	err := d.runs.write(d.seen)
	d.seen = d.seen[:0]
	return err
}

// each calls found for every line whose id stands on an earlier line too, in no
// particular order, unless the line has an error already. First is the line on
// which the id stands first. Pulse is called now and then; its error ends the
// search.
func (d *duplicates) each(pulse func() error, found func(line, first int64)) error {
	var first sighting
	note := func(s sighting) {
		switch {
		case first.at == 0 || !s.sameID(first):
			first = s
		case !s.reported():
			found(s.line(), first.line())
		}
	}
	if d.runs.empty() {
		slices.SortFunc(d.seen, sighting.compare)
		for _, s := range d.seen {
			note(s)
		}
		return nil
	}
	if err := d.spill(); err != nil {
		return err
	}
	d.seen = nil // the merge has its own buffers
	return d.runs.merge(pulse, note)
}

// close removes the file.
func (d *duplicates) close() error { return d.runs.close() }
