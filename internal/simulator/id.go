package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// bodyKey stands for the raw bytes of a request body. Two of a million
// different bodies share one with a probability of one in thirty million.
type bodyKey uint64

// keyOf hashes a body. The hash is the same in every process.
func keyOf(body []byte) bodyKey {
	sum := sha256.Sum256(body)
	return bodyKey(binary.BigEndian.Uint64(sum[:8]))
}

// Fingerprint returns the 16 hexadecimal digits with which the ids and the
// system_fingerprint of the answer to a request body end.
func Fingerprint(body []byte) string {
	return string(appendHex(nil, uint64(keyOf(body))))
}

// appendHex writes 16 hexadecimal digits.
func appendHex(b []byte, x uint64) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], x)
	return hex.AppendEncode(b, raw[:])
}

// appendID writes an id that depends on the seed and the body.
func (q *request) appendID(b []byte, prefix string) []byte {
	b = append(b, prefix...)
	b = appendHex(b, mix(mix(q.seed, uint64(q.key)), uint64(forID)))
	return appendHex(b, uint64(q.key))
}
