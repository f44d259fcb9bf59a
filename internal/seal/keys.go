package seal

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/headrace/headrace/internal/secret"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// Key is a key as it is configured.
type Key struct {
	// ID names the key in all that it seals: up to 24 small letters, digits,
	// "-", "_" and ".", beginning with a letter or digit. An id must never be
	// given to another key.
	ID string
	// Secret is 32 random bytes in base64, of either alphabet and with or
	// without padding, or in hex.
	Secret secret.String
}

// Keys are the keys that are configured. The first seals, all open. A nil *Keys
// has none. It is safe for concurrent use.
type Keys struct {
	first string
	byID  map[string][]byte
}

// idSize is the longest id.
const idSize = 24

var validID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

// New returns keys of which the first seals. There must be at least one. No
// error contains anything of a key.
func New(keys ...Key) (*Keys, error) {
	if len(keys) == 0 {
		return nil, errors.New("no encryption key is given")
	}
	k := &Keys{first: keys[0].ID, byID: make(map[string][]byte, len(keys))}
	seen := make(map[string]string, len(keys))
	for i, key := range keys {
		if len(key.ID) > idSize || !validID.MatchString(key.ID) {
			return nil, fmt.Errorf(
				"id of encryption key %d is not valid: want 1 to %d small letters, digits, '-', '_' and '.', beginning with a letter or digit",
				i+1, idSize)
		}
		if _, twice := k.byID[key.ID]; twice {
			return nil, fmt.Errorf("two encryption keys have the id %q: give each an id of its own", key.ID)
		}
		raw, err := parseKey(key.Secret.Reveal())
		if err != nil {
			return nil, fmt.Errorf("encryption key %q: %w", key.ID, err)
		}
		if other, twice := seen[string(raw)]; twice {
			return nil, fmt.Errorf("encryption keys %q and %q are the same key: remove one", other, key.ID)
		}
		k.byID[key.ID], seen[string(raw)] = raw, key.ID
	}
	return k, nil
}

// errKey names no part of what it complains about, which may be nearly a key.
var errKey = fmt.Errorf("is not %d bytes in base64 or hex: make one with seal.NewKey or 'openssl rand -base64 %d'", KeySize, KeySize)

func parseKey(s string) ([]byte, error) {
	s = strings.TrimSpace(s)
	if len(s) == 2*KeySize {
		if raw, err := hex.DecodeString(s); err == nil {
			return notTrivial(raw)
		}
	}
	text := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(raw) != KeySize {
		return nil, errKey
	}
	return notTrivial(raw)
}

// notTrivial refuses what is a placeholder rather than a key.
func notTrivial(raw []byte) ([]byte, error) {
	if strings.Count(string(raw), string(raw[:1])) == len(raw) {
		return nil, errors.New("is one byte repeated, which anybody can guess: use random bytes")
	}
	return raw, nil
}

// NewKey returns a new random key in base64, fit for Key.Secret.
func NewKey() secret.String {
	raw := make([]byte, KeySize)
	_, _ = rand.Read(raw) // never fails
	return secret.New(base64.StdEncoding.EncodeToString(raw))
}

// Sealing returns the id of the key that seals, or "" if there is none.
func (k *Keys) Sealing() string {
	if k == nil {
		return ""
	}
	return k.first
}

// UnknownKeyError is returned for what was sealed with a key that is not among
// those that are configured.
type UnknownKeyError struct {
	// ID is the key's.
	ID string
}

// Error implements error.
func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("sealed with key %q, which is not configured: add it to encryption.keys", e.ID)
}

// ErrForged is returned for what no key of ours has sealed in this form: it was
// changed, shortened, or put in another's place, or a key has been given the id
// of another one.
var ErrForged = errors.New("sealed data is damaged or is not what was sealed here")

// derive makes the key of one value or object.
func (k *Keys) derive(id string, salt []byte, purpose string) ([]byte, error) {
	if k == nil || k.byID[id] == nil {
		return nil, &UnknownKeyError{ID: id}
	}
	return hkdf.Key(sha256.New, k.byID[id], salt, purpose, KeySize)
}
