package dispatch

import (
	"fmt"
	"path"
	"strings"
)

// Pattern names models as path.Match does, except that * and ? match slashes too:
// "gpt-4*", "*/llama-3-70b", "o[134]*". The zero Pattern matches every model.
type Pattern struct {
	text   string
	hidden string // for path.Match, which treats slashes as something else
}

// ParsePattern reads a pattern.
func ParsePattern(s string) (Pattern, error) {
	p := Pattern{text: s, hidden: hide(s)}
	if _, err := path.Match(p.hidden, ""); err != nil || s == "" {
		return Pattern{}, fmt.Errorf("%q is no pattern such as \"gpt-4*\": *, ? and [a-z] have a meaning, and \\ takes it away", s)
	}
	return p, nil
}

// Match reports whether a model is meant.
func (p Pattern) Match(model string) bool {
	if p.text == "" {
		return true
	}
	ok, err := path.Match(p.hidden, hide(model))
	return ok && err == nil
}

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// hide puts something in the place of slashes that no name of a model has.
func hide(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
