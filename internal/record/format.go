package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/headrace/headrace/internal/task"
)

// An object begins with a line of JSON, its index: for each result the number
// of the task, the bytes of its meta and the bytes of its body. All metas follow,
// then all bodies, with nothing between them: whoever wants no bodies reads none.

// Result is one final task. Meta is its object's JSON without the body.
type Result struct {
	N          int
	Meta, Body []byte

	object *task.Object // what Meta and Body say, if that is known
}

// entry is a result's place in an object.
type entry struct{ n, meta, body int }

// MarshalJSON implements json.Marshaler.
func (e entry) MarshalJSON() ([]byte, error) { return json.Marshal([3]int{e.n, e.meta, e.body}) }

// UnmarshalJSON implements json.Unmarshaler.
func (e *entry) UnmarshalJSON(data []byte) error {
	var v [3]int
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	e.n, e.meta, e.body = v[0], v[1], v[2]
	if e.n < 0 || e.meta < 0 || e.body < 0 {
		return errBroken
	}
	return nil
}

var errBroken = errors.New("not an object of task results")

// NewResult makes a result of a final task.
func NewResult(n int, o task.Object) (Result, error) {
	meta, err := json.Marshal(o)
	r := Result{N: n, Meta: meta, object: &o}
	if o.Result != nil {
		r.Body = o.Result.Body
	}
	return r, err
}

// Object returns the task.
func (r Result) Object() (task.Object, error) {
	if r.object != nil {
		return *r.object, nil
	}
	var o task.Object
	if err := json.Unmarshal(r.Meta, &o); err != nil {
		return o, fmt.Errorf("decode task: %w", err)
	}
	if o.Result != nil {
		o.Result.Body = r.Body
	}
	return o, nil
}

// encode makes an object of results.
func encode(results []Result) []byte {
	index := make([]entry, len(results))
	size := 0
	for i, r := range results {
		index[i] = entry{n: r.N, meta: len(r.Meta), body: len(r.Body)}
		size += len(r.Meta) + len(r.Body)
	}
	head, _ := json.Marshal(index) // three numbers each: always encodes
	b := bytes.NewBuffer(make([]byte, 0, len(head)+1+size))
	b.Write(head)
	b.WriteByte('\n')
	for _, r := range results {
		b.Write(r.Meta)
	}
	for _, r := range results {
		b.Write(r.Body)
	}
	return b.Bytes()
}

// decode reads an object back. What it returns shares the memory of data.
func decode(data []byte) ([]Result, error) {
	head, rest, found := bytes.Cut(data, []byte{'\n'})
	var index []entry
	if !found || json.Unmarshal(head, &index) != nil {
		return nil, errBroken
	}
	results := make([]Result, len(index))
	for i, e := range index {
		results[i].N = e.n
		if results[i].Meta, rest, found = cut(rest, e.meta); !found {
			return nil, errBroken
		}
	}
	for i, e := range index {
		if results[i].Body, rest, found = cut(rest, e.body); !found {
			return nil, errBroken
		}
	}
	return results, nil
}

func cut(data []byte, n int) (head, rest []byte, found bool) {
	if n > len(data) {
		return nil, nil, false
	}
	return data[:n:n], data[n:], true
}

// readIndex reads the index of an object and leaves r at the first meta.
func readIndex(r *bufio.Reader) ([]entry, error) {
	head, err := r.ReadBytes('\n')
	var index []entry
	if err == nil {
		err = json.Unmarshal(head, &index)
	}
	return index, err
}

// readMetas reads what follows the index.
func readMetas(r *bufio.Reader, index []entry) ([]Result, error) {
	results := make([]Result, len(index))
	for i, e := range index {
		results[i] = Result{N: e.n, Meta: make([]byte, e.meta)}
		if _, err := io.ReadFull(r, results[i].Meta); err != nil {
			return nil, err
		}
	}
	return results, nil
}
