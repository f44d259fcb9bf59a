package task

import (
	"strconv"
	"strings"

	"github.com/headrace/headrace/internal/openai"
)

// Prefixes of ids. A background response is a task that goes by another name.
const (
	Prefix         = "task_"
	PrefixResponse = "resp_"
)

// MaxGroup is the most tasks of one group.
const MaxGroup = 10_000

// ID names a task: the group that it was accepted with, and its number there,
// from 0.
type ID struct {
	Group string // 26 characters, see openai.NewID
	N     int
}

// NewGroup returns the name of a new group. Names sort newest first.
func NewGroup() string { return openai.NewID("") }

// String returns the id as clients see it.
func (id ID) String() string { return id.with(Prefix) }

// Response returns the id as that of a background response.
func (id ID) Response() string { return id.with(PrefixResponse) }

func (id ID) with(prefix string) string { return prefix + id.Group + "_" + strconv.Itoa(id.N) }

// Workflow returns the id of the workflow that carries the group.
func (id ID) Workflow() string { return WorkflowID(id.Group) }

// WorkflowID returns the id of the workflow that carries a group.
func WorkflowID(group string) string { return Prefix + group }

// GroupOf returns the group that a workflow carries.
func GroupOf(workflow string) string { return strings.TrimPrefix(workflow, Prefix) }

// ParseID reads the id of a task or of a response.
func ParseID(prefix, s string) (ID, bool) {
	rest, ok := strings.CutPrefix(s, prefix)
	group, number, found := strings.Cut(rest, "_")
	n, err := strconv.Atoi(number)
	if !ok || !found || err != nil || n < 0 || n >= MaxGroup || strconv.Itoa(n) != number || !openai.ValidID("", group) {
		return ID{}, false
	}
	return ID{Group: group, N: n}, true
}

// Before reports whether a comes before b in a listing: newest group first,
// and within a group by number.
func (id ID) Before(b ID) bool {
	if id.Group != b.Group {
		return id.Group < b.Group
	}
	return id.N < b.N
}
