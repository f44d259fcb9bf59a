package config

import (
	"fmt"
	"time"

	"github.com/headrace/headrace/internal/batch"
)

// Duration is a span of time as the file spells it: 90s, 1h30m, 7d, or 0s.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	if s := string(text); s == "0" || s == "0s" {
		*d = 0
		return nil
	}
	v, err := batch.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String implements fmt.Stringer.
func (d Duration) String() string {
	const day = 24 * time.Hour
	if v := time.Duration(d); v > 0 && v%day == 0 {
		return fmt.Sprintf("%dd", v/day)
	}
	return time.Duration(d).String()
}
