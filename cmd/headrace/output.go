package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/results"
)

// outputs are where result lines go.
type outputs struct {
	answers io.Writer
	errors  io.Writer // the same as answers unless asked for
	files   []*outputFile
}

// openOutputs opens what can be opened before any call is made, so that a
// folder which cannot be written is found out in time.
func openOutputs(stdout io.Writer, input, answers, errs string) (*outputs, error) {
	o := &outputs{answers: stdout}
	if answers != "" {
		f, err := o.add(input, answers)
		if err != nil {
			return nil, err
		}
		o.answers = f
	}
	o.errors = o.answers
	if errs != "" {
		f, err := o.add(input, errs)
		if err != nil {
			o.discard()
			return nil, err
		}
		o.errors = f
	}
	return o, nil
}

func (o *outputs) add(input, path string) (*outputFile, error) {
	if err := o.check(input, path); err != nil {
		return nil, err
	}
	f, err := newOutputFile(path)
	if err != nil {
		return nil, err
	}
	o.files = append(o.files, f)
	return f, nil
}

// check refuses a path that is no place for results.
func (o *outputs) check(input, path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return fmt.Errorf("cannot write results to %s: it is a directory", path)
	}
	if same, err := sameFile(input, path); same || err != nil {
		return cmp.Or(err, fmt.Errorf("%s is the input", path))
	}
	for _, f := range o.files {
		if same, err := sameFile(f.file.Name(), partial(path)); same || err != nil {
			return cmp.Or(err, fmt.Errorf("%s is named twice; without --errors all lines go to one file", path))
		}
	}
	return nil
}

func sameFile(a, b string) (bool, error) {
	infoA, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	infoB, err := os.Stat(b)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(infoA, infoB), err
}

// discard removes what was not committed.
func (o *outputs) discard() {
	for _, f := range o.files {
		f.discard()
	}
}

// mayReplace refuses to write over a file that is not of the given batch's
// earlier run.
func (o *outputs) mayReplace(batch string) error {
	for _, f := range o.files {
		if err := f.mayReplace(batch); err != nil {
			return err
		}
	}
	return nil
}

// write writes every result line of a batch that has ended, in input order, and
// returns what failed.
func (o *outputs) write(ctx context.Context, c *client.Client, b batch.Object) (failures, error) {
	answers, err := openLines(ctx, c, b.OutputFileID)
	if err != nil {
		return nil, err
	}
	defer answers.close()
	errs, err := openLines(ctx, c, b.ErrorFileID)
	if err != nil {
		return nil, err
	}
	defer errs.close()
	failed := failures{}
	for answers.number != end || errs.number != end {
		from, to := answers, o.answers
		if errs.number < answers.number {
			from, to = errs, o.errors
			failed.count(errs.text)
		}
		if _, err := to.Write(from.text); err != nil {
			return nil, fmt.Errorf("write results: %w", err)
		}
		if err := from.next(); err != nil {
			return nil, err
		}
	}
	for _, f := range o.files {
		if err := f.commit(); err != nil {
			return nil, err
		}
	}
	return failed, nil
}

// end is the number of the line after the last.
const end = math.MaxInt64

// lines reads a file of result lines, one at a time.
type lines struct {
	body   io.ReadCloser
	reader *bufio.Reader
	text   []byte
	number int64 // of the input line that text answers
}

// openLines opens the file of the given id; without one there are no lines.
func openLines(ctx context.Context, c *client.Client, id *string) (*lines, error) {
	l := &lines{body: io.NopCloser(bytes.NewReader(nil))}
	if id != nil {
		body, err := c.Content(ctx, *id)
		if err != nil {
			return nil, fmt.Errorf("read results: %w", err)
		}
		l.body = body
	}
	const buffer = 256 << 10
	l.reader = bufio.NewReaderSize(l.body, buffer)
	return l, l.next()
}

func (l *lines) close() { _ = l.body.Close() }

func (l *lines) next() error {
	var err error
	l.text, err = l.reader.ReadBytes('\n')
	switch {
	case errors.Is(err, io.EOF) && len(l.text) == 0:
		l.number = end
		return nil
	case err != nil:
		return fmt.Errorf("read results: %w", err)
	}
	l.number, err = results.NumberOf(l.text)
	return err
}

// outputFile is written beside its final name and renamed when it is whole, so
// that nobody ever sees a part.
type outputFile struct {
	*bufio.Writer

	path string
	file *os.File
	lock *flock.Flock // of file, against another run with the same output
}

// partial is the name of a file that is not whole yet.
func partial(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".partial")
}

func newOutputFile(path string) (*outputFile, error) {
	const mode = 0o666 // as the umask has it
	lock := flock.New(partial(path), flock.SetPermissions(mode))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("cannot write results to %s: %w", path, err)
	}
	if !locked {
		return nil, hintedError{
			fmt.Errorf("another run writes to %s", path), "Wait for it to end, or choose another name.",
		}
	}
	file, err := os.OpenFile(partial(path), os.O_RDWR|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write results to %s: %w", path, err), lock.Unlock())
	}
	return &outputFile{path: path, file: file, lock: lock, Writer: bufio.NewWriter(file)}, nil
}

func (f *outputFile) mayReplace(batch string) error {
	existing, err := os.Open(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = existing.Close() }()
	first, err := bufio.NewReader(existing).ReadBytes('\n')
	if len(first) == 0 && errors.Is(err, io.EOF) {
		return nil
	}
	if of, err := results.BatchOf(first); err == nil && of == batch {
		return nil
	}
	return hintedError{
		fmt.Errorf("%s exists and is not of this run", f.path),
		"Nothing was called. Remove it, or choose another name.",
	}
}

func (f *outputFile) commit() error {
	err := f.Flush()
	if err == nil {
		err = f.file.Sync()
	}
	if err == nil {
		err = os.Rename(f.file.Name(), f.path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	return errors.Join(f.file.Close(), f.lock.Unlock())
}

// discard removes the file unless it was committed.
func (f *outputFile) discard() {
	if f.file.Close() == nil {
		_ = os.Remove(f.file.Name())
		_ = f.lock.Unlock()
	}
}
