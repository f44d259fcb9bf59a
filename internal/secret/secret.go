// Package secret holds values that must not be printed, such as provider keys.
package secret

import "log/slog"

const mask = "***"

// String is a secret. It is printed, encoded and logged as "***", and never as
// its value; only Reveal gives that.
//
// Two secrets of one value are not equal by ==.
type String struct {
	// value is behind a pointer since fmt prints a String in an unexported
	// field without asking its methods: then it prints an address.
	value *string
}

// New makes a secret of value.
func New(value string) String { return String{&value} }

// Reveal returns the value, to be handed to what needs it and nowhere else.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty reports whether there is no value.
func (s String) Empty() bool { return s.Reveal() == "" }

// String implements fmt.Stringer.
func (s String) String() string {
	if s.Empty() {
		return ""
	}
	return mask
}

// GoString implements fmt.GoStringer, for %#v.
func (s String) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
