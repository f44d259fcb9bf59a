package jsonscan

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unicode/utf8"
)

// Visitor is told of the members of an object.
type Visitor interface {
	// Member returns where the value of the named member goes as it stands in
	// the text, nil for nowhere, and who is told of the value's own members if
	// it is an object, nil for nobody. The name is decoded and valid only
	// during the call. Of a name that is repeated the last value stays.
	Member(name []byte) (value *[]byte, inner Visitor)
}

// Valid reports whether text is one valid JSON value in UTF-8, nested no deeper
// than encoding/json allows.
func Valid(text []byte) bool { return Scan(text, nil) }

// Scan is Valid and, when the value is an object, tells v of its members as
// far as it gets.
func Scan(text []byte, v Visitor) bool {
	if !utf8.Valid(text) {
		return false
	}
	d := document(text)
	i := d.value(d.space(0), 0, v)
	return i > 0 && d.space(i) == len(d)
}

// Unquote decodes a valid JSON string, quotes included. Without escapes the
// result is part of raw. A lone surrogate becomes U+FFFD, as in encoding/json.
func Unquote(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	var s string
	_ = json.Unmarshal(raw, &s) // cannot fail: the scanner has passed raw
	return []byte(s)
}

// maxDepth is how deep arrays and objects may nest, the same as in
// encoding/json: the scanner recurses, and a hostile text must not use up the
// stack.
const maxDepth = 10_000

// invalid is what the scanner returns in place of a position.
const invalid = -1

// document is a JSON text, scanned from left to right. Its methods take the
// position at which something should begin and return the position after it,
// or invalid. They hold the text to the grammar of RFC 8259, except that they
// take any byte from 0x80 on inside strings: UTF-8 is checked beforehand.
type document []byte

// value scans any value. When it is an object, v is told of its members, unless
// v is nil.
func (d document) value(i, depth int, v Visitor) int {
	if i >= len(d) {
		return invalid
	}
	switch d[i] {
	case '"':
		return d.quoted(i)
	case '{':
		return d.object(i, depth+1, v)
	case '[':
		return d.array(i, depth+1)
	case 't':
		return d.literal(i, "true")
	case 'f':
		return d.literal(i, "false")
	case 'n':
		return d.literal(i, "null")
	default:
		return d.number(i)
	}
}

func (d document) object(i, depth int, v Visitor) int {
	if depth > maxDepth {
		return invalid
	}
	if i = d.space(i + 1); i < len(d) && d[i] == '}' {
		return i + 1
	}
	for more := true; more; {
		if i = d.member(i, depth, v); i < 0 {
			return invalid
		}
		i, more = d.follow(i, '}')
	}
	return i
}

// member scans a name, a colon and a value.
func (d document) member(i, depth int, v Visitor) int {
	if i >= len(d) || d[i] != '"' {
		return invalid
	}
	name := i
	if i = d.quoted(i); i < 0 {
		return invalid
	}
	end := i
	if i = d.space(i); i >= len(d) || d[i] != ':' {
		return invalid
	}
	i = d.space(i + 1)
	if v == nil {
		return d.value(i, depth, nil)
	}
	value, inner := v.Member(Unquote(d[name:end]))
	start := i
	if i = d.value(i, depth, inner); i > 0 && value != nil {
		*value = d[start:i:i]
	}
	return i
}

func (d document) array(i, depth int) int {
	if depth > maxDepth {
		return invalid
	}
	if i = d.space(i + 1); i < len(d) && d[i] == ']' {
		return i + 1
	}
	for more := true; more; {
		if i = d.value(i, depth, nil); i < 0 {
			return invalid
		}
		i, more = d.follow(i, ']')
	}
	return i
}

// follow scans what stands after an element. It returns where the next element
// begins, or, with more false, where the array or object ends.
func (d document) follow(i int, closing byte) (next int, more bool) {
	if i = d.space(i); i >= len(d) {
		return invalid, false
	}
	switch d[i] {
	case ',':
		return d.space(i + 1), true
	case closing:
		return i + 1, false
	default:
		return invalid, false
	}
}

func (d document) space(i int) int {
	for i < len(d) && (d[i] == ' ' || d[i] == '\t' || d[i] == '\r' || d[i] == '\n') {
		i++
	}
	return i
}

func (d document) literal(i int, word string) int {
	if len(d)-i < len(word) || string(d[i:i+len(word)]) != word {
		return invalid
	}
	return i + len(word)
}

// Every byte of ones is 1, every byte of tops has only its highest bit.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// quoted scans a string, eight bytes at a time: prompts are most of what is read. A
// top bit set in hits marks a byte that ends the run: a quote, a backslash or
// a control character. Subtracting borrows only from bytes after such a one,
// so that the lowest hit is always right.
func (d document) quoted(i int) int {
	for i++; ; {
		for i+8 <= len(d) {
			w := binary.LittleEndian.Uint64(d[i:])
			hits := ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones) | (w - ' '*ones)
			if hits &= ^w & tops; hits != 0 {
				i += bits.TrailingZeros64(hits) / 8
				break
			}
			i += 8
		}
		if i >= len(d) {
			return invalid
		}
		switch c := d[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = d.escape(i + 1); i < 0 {
				return invalid
			}
		case c < ' ':
			return invalid
		default:
			i++
		}
	}
}

// escape scans what follows a backslash. Surrogates need not be in pairs: the
// grammar does not ask for it, and encoding/json takes them too.
func (d document) escape(i int) int {
	if i >= len(d) {
		return invalid
	}
	switch d[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if len(d)-i < 5 {
			return invalid
		}
		for _, c := range d[i+1 : i+5] {
			if lower := c | 0x20; (c < '0' || c > '9') && (lower < 'a' || lower > 'f') {
				return invalid
			}
		}
		return i + 5
	default:
		return invalid
	}
}

func (d document) number(i int) int {
	if d[i] == '-' {
		i++
	}
	if i < len(d) && d[i] == '0' {
		i++
	} else if i = d.digits(i); i < 0 {
		return invalid
	}
	if i < len(d) && d[i] == '.' {
		if i = d.digits(i + 1); i < 0 {
			return invalid
		}
	}
	if i < len(d) && (d[i] == 'e' || d[i] == 'E') {
		i++
		if i < len(d) && (d[i] == '+' || d[i] == '-') {
			i++
		}
		return d.digits(i)
	}
	return i
}

// digits scans at least one digit.
func (d document) digits(i int) int {
	start := i
	for i < len(d) && '0' <= d[i] && d[i] <= '9' {
		i++
	}
	if i == start {
		return invalid
	}
	return i
}
