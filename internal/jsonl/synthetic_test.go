package jsonl_test

import (
	"bytes"
	"io"
	"strings"
)

// request is a good line for chat completions whose prompt is the JSON string
// content.
func request(content string) string {
	return `{"custom_id":"request-1","method":"POST","url":"/v1/chat/completions",` +
		`"body":{"model":"gpt-4o-mini","messages":[{"role":"user","content":"` + content + `"}],"max_tokens":100}}`
}

// requestWithID is a good line with a custom_id, given as JSON.
func requestWithID(id string) string {
	return strings.Replace(request("Hi"), `"request-1"`, id, 1)
}

// file joins lines to a file.
func file(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

// synthetic is a file of good lines of equal length, each with its own
// custom_id, that is made while it is read.
type synthetic struct {
	text  []byte // one line
	lines int
	begun int
	rest  []byte // of the current line
}

func newSynthetic(lines, length int) *synthetic {
	text := requestWithID(`"request-00000000"`) + "\n"
	prompt := strings.Repeat("Lorem ipsum, dolor sit amet. ", length/20)
	text = strings.Replace(text, `"Hi"`, `"`+prompt[:max(length-len(text), 0)]+`"`, 1)
	return &synthetic{text: []byte(text), lines: lines}
}

func (s *synthetic) size() int64 { return int64(s.lines) * int64(len(s.text)) }

func (s *synthetic) line() []byte { return bytes.TrimSpace(s.text) }

// Read implements io.Reader.
func (s *synthetic) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		if len(s.rest) == 0 {
			if s.begun == s.lines {
				break
			}
			s.next()
		}
		k := copy(b[n:], s.rest)
		s.rest = s.rest[k:]
		n += k
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// next counts the custom_id up by one.
func (s *synthetic) next() {
	s.begun++
	digits := s.text[len(`{"custom_id":"request-`):][:8]
	for i := len(digits) - 1; ; i-- {
		if digits[i]++; digits[i] <= '9' {
			break
		}
		digits[i] = '0'
	}
	s.rest = s.text
}

// repeated reads as n times the byte b, without holding them.
func repeated(b byte, n int64) io.Reader { return io.LimitReader(same(b), n) }

type same byte

// Read implements io.Reader.
func (s same) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s)
	}
	return len(b), nil
}
