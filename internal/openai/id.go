package openai

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"math"
	"strings"
	"time"
)

// Prefixes of the ids that NewID makes, as the OpenAI API spells them.
const (
	PrefixFile    = "file-"
	PrefixBatch   = "batch_"
	PrefixRequest = "req_"
)

// idEncoding is lower-case base32 whose digits sort like the numbers they
// stand for, so that the order of ids is the order of their bytes.
var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// idLength is the number of characters after an id's prefix.
const idLength = 26

// NewID returns prefix and 26 characters: 64 bits of inverted time and 64
// random bits. Ids sort newest first, which is the order in which listings are
// wanted and in which object stores list keys; nobody can guess one.
func NewID(prefix string) string {
	var b [16]byte
	now := time.Now().UnixNano()
	// The clock is not a secret and the order need not be strict: two ids of
	// one nanosecond fall in random order.
	binary.BigEndian.PutUint64(b[:8], math.MaxUint64-uint64(now))
	_, _ = rand.Read(b[8:]) // never fails, see crypto/rand
	return DerivedID(prefix, b)
}

// DerivedID returns prefix and 26 characters that stand for the given bits. It
// is as valid as one of NewID, and sorts as its bits do.
func DerivedID(prefix string, bits [16]byte) string {
	return prefix + idEncoding.EncodeToString(bits[:])
}

// ValidID reports whether id is prefix and 26 characters as NewID makes them.
// Every id that comes from outside is checked before it becomes part of a
// store key.
func ValidID(prefix, id string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	if !ok || len(rest) != idLength {
		return false
	}
	// The decoder passes over line breaks and surplus bits; the same text comes
	// back of an id alone.
	b, err := idEncoding.DecodeString(rest)
	return err == nil && idEncoding.EncodeToString(b) == rest
}

// TimeOf returns when an id without its prefix was made, false for one that
// NewID has not made.
func TimeOf(id string) (time.Time, bool) {
	if !ValidID("", id) {
		return time.Time{}, false
	}
	b, _ := idEncoding.DecodeString(id) // it is valid
	ago := math.MaxUint64 - binary.BigEndian.Uint64(b[:8])
	if ago > math.MaxInt64 {
		return time.Time{}, false
	}
	return time.Unix(0, int64(ago)), true
}
