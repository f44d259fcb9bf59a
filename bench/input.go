package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tidwall/gjson"
)

// input returns the path of an input file with so many lines.
func (b *bench) input(lines int) (string, error) {
	return b.inputOf(fmt.Sprintf("input-%d.jsonl", lines), lines, writeLine)
}

// inputOf returns the path of an input file of that name, whose lines are written
// if nobody has asked for it before.
func (b *bench) inputOf(name string, lines int, write func(w io.Writer, i int)) (string, error) {
	if path := b.inputs[name]; path != "" {
		return path, nil
	}
	path := filepath.Join(b.dir, name)
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	w := bufio.NewWriterSize(file, 1<<20)
	for i := range lines {
		write(w, i)
	}
	b.inputs[name] = path
	return path, errors.Join(w.Flush(), file.Sync())
}

// filler makes a line about 300 bytes long.
var filler = strings.Repeat("Please answer in one sentence. ", 4)

func customID(i int) string { return fmt.Sprintf("request-%08d", i) }

// writeLine writes a line whose body go-openai encodes to the same bytes: the
// upstream draws its latencies from them, and all sides should have the same.
func writeLine(w io.Writer, i int) {
	_, _ = fmt.Fprintf(w, `{"custom_id":"%s","method":"POST","url":"/v1/chat/completions",`+
		`"body":{"model":"gpt-4o-mini","messages":[{"role":"user","content":"%sWhat is to be said about number %d?"}],"stream":false}}`+"\n",
		customID(i), filler, i)
}

// checkOutput makes sure that a file holds exactly one answer for each of so
// many lines, in their order if ordered is set.
func checkOutput(path string, lines int, ordered bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	seen := make([]bool, lines)
	count := 0
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for ; scanner.Scan(); count++ {
		id := gjson.GetBytes(scanner.Bytes(), "custom_id").Str
		var i int
		if _, err := fmt.Sscanf(id, "request-%d", &i); err != nil || i < 0 || i >= lines || id != customID(i) {
			return fmt.Errorf("line %d of the output answers %q, which was not asked", count+1, id)
		}
		if seen[i] {
			return fmt.Errorf("%s is answered twice", id)
		}
		if ordered && i != count {
			return fmt.Errorf("line %d of the output answers %s", count+1, id)
		}
		if !bytes.Contains(scanner.Bytes(), []byte(`"choices"`)) {
			return fmt.Errorf("%s has no answer: %s", id, scanner.Bytes())
		}
		seen[i] = true
	}
	if err := scanner.Err(); err != nil {
		return err
	}
	if count != lines {
		return fmt.Errorf("%d of %d lines are answered", count, lines)
	}
	return nil
}
