package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/headrace/headrace/internal/secret"
)

// Prefix begins every key, so that people and scanners of leaked secrets know one
// when they see it.
const Prefix = "hr_"

// What follows the prefix: 256 random bits as digits of base 62, which any shell,
// header and YAML file takes without quotes.
const (
	keyBytes  = 32
	keyDigits = 43 // 62^43 is a little more than 2^256
	keyBase   = 62
)

// hashPrefix begins the text of a hash. It names how the rest was made, so that
// there can be another way one day.
const hashPrefix = "sha256:"

// digest is the hash of a key.
type digest [sha256.Size]byte

// New makes a key and its hash, as ParseHash takes it. The key is shown to whoever
// is to have it and kept nowhere; only the hash is configured.
//
// One round of SHA-256 without a salt suffices, which for passwords would be
// gravely wrong: slow hashes and salts make it hard to guess what people choose,
// and of 2^256 random keys nobody guesses one.
func New() (key secret.String, hash string) {
	var b [keyBytes]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	digits := new(big.Int).SetBytes(b[:]).Text(keyBase)
	text := Prefix + strings.Repeat("0", keyDigits-len(digits)) + digits
	return secret.New(text), digestOf(text).String()
}

// ErrNoKey is returned for a text that New has not made. It does not repeat the
// text, which may be a key of something else.
var ErrNoKey = errors.New("not a key of headrace: those begin with " + Prefix + " and are made by 'headrace key new'")

// HashOf returns the hash of a key. It refuses any other text, since a plain hash
// hides only what is random.
func HashOf(key secret.String) (string, error) {
	if !wellFormed(key.Reveal()) {
		return "", ErrNoKey
	}
	return digestOf(key.Reveal()).String(), nil
}

// ParseHash checks a hash, and returns it as New writes it.
func ParseHash(s string) (string, error) {
	d, err := parseDigest(s)
	if err != nil {
		return "", err
	}
	return d.String(), nil
}

// parseDigest reads a hash. Its error does not repeat a text that is no hash: it
// may be the key itself, put in the wrong place.
func parseDigest(s string) (digest, error) {
	var d digest
	text, ok := strings.CutPrefix(s, hashPrefix)
	switch {
	case strings.HasPrefix(s, Prefix):
		return d, errors.New("hash: this is a key; configure what 'headrace key hash' makes of it, and keep the key out of the file")
	case !ok:
		return d, fmt.Errorf("hash: expected %s and %d hexadecimal digits, as 'headrace key new' prints them", hashPrefix, 2*len(d))
	}
	if n, err := hex.Decode(d[:], []byte(text[:min(len(text), 2*len(d))])); err != nil || n != len(d) || len(text) != 2*len(d) {
		return d, fmt.Errorf("hash: expected %d hexadecimal digits after %s", 2*len(d), hashPrefix)
	}
	return d, nil
}

func digestOf(key string) digest { return sha256.Sum256([]byte(key)) }

// String returns the text that parseDigest reads.
func (d digest) String() string { return hashPrefix + hex.EncodeToString(d[:]) }

// wellFormed reports whether a text looks as New makes keys.
func wellFormed(key string) bool {
	digits, ok := strings.CutPrefix(key, Prefix)
	if !ok || len(digits) != keyDigits {
		return false
	}
	for i := range len(digits) {
		if !isLetter(digits[i]) && !isDigit(digits[i]) {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
