package devserver

import (
	"context"
	"slices"
	"strings"
)

// Tuning is tuning, for measurements.
type Tuning = tuning

// Tuned is the tuning of Start.
func Tuned() Tuning { return tuned() }

// StartWith is Start with another tuning.
func StartWith(ctx context.Context, o Options, t Tuning) (*Server, error) { return start(ctx, o, t) }

// Without returns t without the settings and pragmas whose name contains one of
// the given parts; "indexes" brings all of Temporal's indexes back.
func (t tuning) Without(parts ...string) Tuning {
	left := func(name string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(strings.ToLower(name), strings.ToLower(p)) })
	}
	t.dynamic = slices.DeleteFunc(slices.Clone(t.dynamic), func(s setting) bool { return left(s.setting.Key().String()) })
	t.pragmas = slices.DeleteFunc(slices.Clone(t.pragmas), func(p pragma) bool { return left(p.name) })
	t.indexes = t.indexes || left("indexes")
	return t
}

// WithPragma returns t with the pragma set to the value.
func (t tuning) WithPragma(name, value string) Tuning {
	t = t.Without(name)
	t.pragmas = append(t.pragmas, pragma{name, value})
	return t
}

// WithShards returns t with another number of history shards.
func (t tuning) WithShards(n int32) Tuning {
	t.shards = n
	return t
}
