package apikey

import (
	"fmt"
	"slices"
	"strings"
)

// Scope is a kind of thing that a key allows. No scope but Admin includes another.
type Scope string

// The scopes there are. docs/security.md has what each allows of the API.
const (
	// Submit is making calls, tasks and batches, uploading what they need, and
	// cancelling and deleting what was made.
	Submit Scope = "submit"
	// Read is seeing what there is, and results.
	Read Scope = "read"
	// Operate is steering what others have submitted, and seeing how busy the
	// service is.
	Operate Scope = "operate"
	// Admin is changing what all projects share. It includes all other scopes.
	Admin Scope = "admin"
)

// Scopes returns all scopes, the weakest first.
func Scopes() []Scope { return []Scope{Submit, Read, Operate, Admin} }

// ParseScopes reads scopes with commas between them, as a flag or a variable has
// them.
func ParseScopes(s string) ([]Scope, error) {
	var scopes []Scope
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name != "" {
			scopes = append(scopes, Scope(name))
		}
	}
	return scopes, checkScopes(scopes)
}

// checkScopes refuses an empty list, and scopes that there are not.
func checkScopes(scopes []Scope) error {
	if len(scopes) == 0 {
		return fmt.Errorf("scopes: the key allows nothing; give it some of %s", scopeNames())
	}
	for _, s := range scopes {
		if wellFormed(string(s)) {
			return fmt.Errorf("scopes: this is a key, not a scope; there are %s", scopeNames())
		}
		if !slices.Contains(Scopes(), s) {
			return fmt.Errorf("scopes: there is no scope %q; there are %s", string(s), scopeNames())
		}
	}
	return nil
}

func scopeNames() string {
	names := make([]string, len(Scopes()))
	for i, s := range Scopes() {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
