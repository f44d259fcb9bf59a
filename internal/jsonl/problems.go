package jsonl

import (
	"cmp"
	"slices"

	"github.com/headrace/headrace/internal/openai"
)

// MaxErrors is how many errors of a file are reported. The others are only
// counted.
const MaxErrors = 1000

// problems collects the errors of a file: the first MaxErrors by line, and the
// number of all.
type problems struct {
	count    int64
	checked  []openai.BatchError // in the order of lines, up to MaxErrors
	repeated []openai.BatchError // in any order, up to twice MaxErrors
}

// add notes an error of a line. Lines come in ascending order.
func (p *problems) add(line int64, e *openai.BatchError) {
	p.count++
	if len(p.checked) < MaxErrors {
		e.Line = &line
		p.checked = append(p.checked, *e)
	}
}

// addRepeated notes that a line has the custom_id of an earlier one. Lines come
// in any order.
func (p *problems) addRepeated(line, first int64) {
	p.count++
	e := problem(openai.CodeDuplicateCustomID, paramCustomID,
		"The custom_id of this request is already used by the request on line %d.", first)
	e.Line = &line
	p.repeated = append(p.repeated, *e)
	if len(p.repeated) == 2*MaxErrors {
		p.repeated = leading(p.repeated)
	}
}

// list returns the errors to report, in the order of lines.
func (p *problems) list() []openai.BatchError {
	return leading(slices.Concat(p.checked, p.repeated))
}

// leading sorts errors by line and returns the first MaxErrors.
func leading(errs []openai.BatchError) []openai.BatchError {
	slices.SortFunc(errs, func(a, b openai.BatchError) int { return cmp.Compare(*a.Line, *b.Line) })
	return errs[:min(len(errs), MaxErrors)]
}
