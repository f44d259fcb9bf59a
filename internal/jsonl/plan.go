package jsonl

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/headrace/headrace/internal/jsonscan"
	"github.com/headrace/headrace/internal/openai"
)

// progressStep is how many bytes are read between two calls of Progress.
const progressStep = 4 << 20

// PlanOptions says how a file is checked and cut.
type PlanOptions struct {
	// Endpoint is the endpoint of the batch, which every line must name.
	Endpoint openai.Endpoint
	// Lanes is how many lanes will share the work, and Hands how many calls each
	// keeps in flight. They shape the chunks towards the end of the file. Less
	// than 1 counts as 1.
	Lanes, Hands int
	// TempDir is where custom_ids go that do not fit into memory, os.TempDir()
	// if empty. The file has no name and is gone when Plan returns.
	TempDir string
	// Progress, if set, is called about every 4 MiB with the bytes read so far,
	// and now and then after the last byte, from the goroutine of Plan.
	Progress func(bytes int64)
}

// Summary is what Plan learns about a file.
type Summary struct {
	// Requests counts the request lines, those with errors included.
	Requests int64
	// Chunks counts the records of the index.
	Chunks int64
	// Bytes is the size of the file.
	Bytes int64
	// Model is the model of all good requests, "" if they name several or none.
	Model string
	// Errors are the first MaxErrors errors in the order of lines, one for each
	// bad line, or the one error that the file has no requests; ErrorCount is the
	// number of all.
	Errors     []openai.BatchError
	ErrorCount int64
}

// limits are the bounds that Plan works in. Tests narrow them.
type limits struct {
	buffer        int   // bytes read at once
	line          int64 // bytes of a line
	chunkRequests int
	chunkBytes    int64
	tailLines     int
	idBudget      int // bytes of sightings in memory
}

// Plan reads an input file once: it checks every line, finds repeated
// custom_ids and writes the index of chunks. However long the file is, its heap
// peaks near 21 MiB, plus about three times the longest line where that exceeds
// 256 KiB; the temporary file takes 24 bytes a request.
//
// Bad lines are no error of Plan: they are in the summary, and the index is
// worthless when there are any. Of a line with several problems the first is
// reported, in the order custom_id, method, url, body; a repeated custom_id is
// reported only if the line has no other. The error is for the file that cannot
// be read, the index or the temporary file that cannot be written, an endpoint
// that does not exist, and ctx done, which ends Plan at the next read.
func Plan(ctx context.Context, in io.Reader, index io.Writer, o PlanOptions) (Summary, error) {
	return plan(ctx, in, index, o, limits{
		buffer:        bufferSize,
		line:          MaxLine,
		chunkRequests: MaxChunkRequests,
		chunkBytes:    MaxChunkBytes,
		tailLines:     tailLines,
		idBudget:      idBudget,
	})
}

func plan(ctx context.Context, in io.Reader, index io.Writer, o PlanOptions, l limits) (_ Summary, err error) {
	if !o.Endpoint.Valid() {
		return Summary{}, fmt.Errorf("plan: unknown endpoint %q", o.Endpoint)
	}
	meter := &meter{ctx: ctx, in: in, progress: o.Progress}
	p := &planner{
		endpoint: o.Endpoint,
		lines:    newReader(meter, Position{}, l.buffer, l.line),
		maxLine:  l.line,
		ids:      newDuplicates(o.TempDir, l.idBudget),
		index:    newIndexer(index, o.Lanes, o.Hands, l),
	}
	defer func() {
		err = errors.Join(err, p.ids.close())
	}()
	if err := p.read(); err != nil {
		return Summary{}, fmt.Errorf("plan: %w", err)
	}
	if err := p.ids.each(meter.pulse, p.problems.addRepeated); err != nil {
		return Summary{}, fmt.Errorf("plan: %w", err)
	}
	s := p.summary()
	s.Bytes = meter.read
	return s, nil
}

// planner is one run of Plan.
type planner struct {
	endpoint openai.Endpoint
	lines    *Reader
	maxLine  int64
	ids      *duplicates
	index    *indexer
	fields   fields // of the current line
	problems problems
	requests int64
	model    model
}

// read takes in the whole file.
func (p *planner) read() error {
	for {
		line, err := p.lines.Next()
		if errors.Is(err, io.EOF) {
			return p.index.finish()
		}
		if err != nil {
			return err
		}
		p.requests++
		if err := p.take(line); err != nil {
			return err
		}
	}
}

// take checks a line and files it away.
func (p *planner) take(line Line) error {
	if line.TooLong {
		p.problems.add(line.Number, problem(openai.CodeInvalidRequest, "",
			"This line is longer than the limit of %d bytes.", p.maxLine))
		return nil
	}
	bad := checkText(line.Text, p.endpoint, &p.fields)
	if bad != nil {
		p.problems.add(line.Number, bad)
	}
	if openai.KindOf(p.fields.customID) == openai.KindString {
		if err := p.ids.add(jsonscan.Unquote(p.fields.customID), line.Number, bad != nil); err != nil {
			return err
		}
	}
	if bad != nil {
		return nil
	}
	p.model.note(p.fields.model)
	return p.index.add(line)
}

func (p *planner) summary() Summary {
	s := Summary{
		Requests:   p.requests,
		Chunks:     p.index.chunks,
		Model:      p.model.name,
		Errors:     p.problems.list(),
		ErrorCount: p.problems.count,
	}
	if s.Requests == 0 {
		s.Errors = []openai.BatchError{*problem(openai.CodeEmptyFile, "",
			"The input file is empty. Please ensure that the batch contains at least one request.")}
		s.ErrorCount = 1
	}
	return s
}

// model finds out whether all requests name the same one.
type model struct {
	raw   []byte // the JSON of the first request's, which most others repeat
	name  string
	known bool
	mixed bool
}

func (m *model) note(raw []byte) {
	if m.mixed || m.known && string(raw) == string(m.raw) {
		return
	}
	var name string
	if openai.KindOf(raw) == openai.KindString {
		name = string(jsonscan.Unquote(raw))
	}
	if !m.known {
		*m = model{raw: append(m.raw, raw...), name: name, known: true}
	} else if name != m.name {
		*m = model{mixed: true}
	}
}

// meter is the input of one run of Plan. It counts what is read, reports
// progress, and fails once ctx is done.
type meter struct {
	ctx      context.Context // of the run, which io.Reader has no place for
	in       io.Reader
	progress func(int64)
	read     int64
	reported int64
}

// Read implements io.Reader.
func (m *meter) Read(b []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.in.Read(b)
	m.read += int64(n)
	if m.read-m.reported >= progressStep {
		m.reported += progressStep
		if m.progress != nil {
			m.progress(m.read)
		}
	}
	return n, err
}

// pulse reports progress without a byte read.
func (m *meter) pulse() error {
	if m.progress != nil {
		m.progress(m.read)
	}
	return m.ctx.Err()
}
