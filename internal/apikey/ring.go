package apikey

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Key is a key as it is configured: everything but the key itself.
type Key struct {
	// Name tells people which key it is. It stands in logs and must be unique.
	Name string
	// Project owns what is made with the key, and is all that the key sees.
	Project string
	// Hash is what New returned with the key.
	Hash   string
	Scopes []Scope
	// Expires is when the key stops to work; the zero time is never.
	Expires time.Time
}

// ParseExpiry reads when a key expires: a day such as 2027-01-01, which is its
// beginning in UTC, or a time in the form of RFC 3339. "" is the zero time: never.
func ParseExpiry(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.DateOnly, s)
	if err != nil {
		at, err = time.Parse(time.RFC3339, s)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("expires: %q is neither a day such as 2027-01-01 nor a time such as 2027-01-01T12:00:00Z", s)
	}
	return at.UTC(), nil
}

// Identity is who has shown a key.
type Identity struct {
	// Name is that of the key, for logs.
	Name    string
	Project string

	scopes []Scope
}

// May reports whether the key allows what a scope stands for.
func (i Identity) May(s Scope) bool {
	return slices.Contains(i.scopes, s) || slices.Contains(i.scopes, Admin)
}

// Errors of Find. Logs tell them apart; callers must not be told which it is.
var (
	ErrUnknown = errors.New("no such key")
	ErrExpired = errors.New("the key has expired")
)

// Ring is the keys that there are. It never changes and is safe for concurrent
// use.
type Ring struct{ keys []entry }

type entry struct {
	digest   digest
	identity Identity
	expires  time.Time
}

// NewRing checks keys and returns their ring, nil for no keys: then nobody has to
// show any. A key that has expired is no error, so that a service does not fail
// to start on the day after.
func NewRing(keys []Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	r := &Ring{}
	names, hashes, projects := map[string]bool{}, map[digest]string{}, map[string]string{}
	for i, k := range keys {
		e, err := k.entry()
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.title(i), err)
		}
		fold := folded(k.Project)
		switch {
		case names[k.Name]:
			return nil, fmt.Errorf("key %s: name: another key has it", k.title(i))
		case hashes[e.digest] != "":
			return nil, fmt.Errorf("key %s: hash: it is that of key %q, too", k.title(i), hashes[e.digest])
		case projects[fold] != "" && projects[fold] != k.Project:
			return nil, fmt.Errorf("key %s: project: %q and %q are too much alike: they differ only in case or in '.', '_' and '-'",
				k.title(i), k.Project, projects[fold])
		}
		names[k.Name], hashes[e.digest], projects[fold] = true, k.Name, k.Project
		r.keys = append(r.keys, e)
	}
	return r, nil
}

// title names a key in an error: by its name, or by its place if it has none.
func (k Key) title(i int) string {
	if k.Name == "" || wellFormed(k.Name) {
		return fmt.Sprintf("number %d", i+1)
	}
	return fmt.Sprintf("%q", k.Name)
}

// nameRule says what validName takes.
const nameRule = "1 to 64 letters, digits, '.', '_' and '-', the first one a letter or a digit"

// CheckName refuses what neither a key nor a project can be named. A key that has
// come where a name belongs is not repeated.
func CheckName(name string) error {
	switch {
	case wellFormed(name):
		return errors.New("this is a key, not a name")
	case !validName(name):
		return fmt.Errorf("%q is no name: use %s", name, nameRule)
	}
	return nil
}

func (k Key) entry() (entry, error) {
	var e entry
	if err := CheckName(k.Name); err != nil {
		return e, fmt.Errorf("name: %w", err)
	}
	if err := CheckName(k.Project); err != nil {
		return e, fmt.Errorf("project: %w", err)
	}
	if err := checkScopes(k.Scopes); err != nil {
		return e, err
	}
	var err error
	e.digest, err = parseDigest(k.Hash)
	e.identity = Identity{Name: k.Name, Project: k.Project, scopes: slices.Clone(k.Scopes)}
	e.expires = k.Expires
	return e, err
}

// validName reports whether a key or a project may have a name. Names of projects
// become parts of keys of the store.
func validName(s string) bool {
	const longest = 64
	ok := s != "" && len(s) <= longest && (isLetter(s[0]) || isDigit(s[0]))
	for i := range len(s) {
		ok = ok && (isLetter(s[i]) || isDigit(s[i]) || strings.IndexByte("._-", s[i]) >= 0)
	}
	return ok
}

// folded is the same for projects that would share what should be theirs alone:
// a folder where file names have no case, or the environment variable with the
// secret that signs their webhooks.
func folded(project string) string {
	return strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToUpper(project))
}

// Find returns who has shown a key, or ErrUnknown or ErrExpired; with the latter
// the identity says whose key it was. How long it takes does not depend on which
// key it is, or on how near to one it comes.
func (r *Ring) Find(presented string, now time.Time) (Identity, error) {
	if !wellFormed(presented) {
		return Identity{}, ErrUnknown
	}
	d := digestOf(presented)
	found := -1
	for i := range r.keys {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(d[:], r.keys[i].digest[:]), i, found)
	}
	if found < 0 {
		return Identity{}, ErrUnknown
	}
	e := r.keys[found]
	if !e.expires.IsZero() && !now.Before(e.expires) {
		return e.identity, ErrExpired
	}
	return e.identity, nil
}
