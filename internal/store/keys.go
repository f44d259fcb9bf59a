package store

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// DefaultProject owns everything until projects are configured.
const DefaultProject = "default"

// Keys of files. A file exists if its meta object does; that is written last
// and deleted first.

// filesPrefix starts the keys of all files of all projects.
const filesPrefix = "files/"

func fileMetaPrefix(project string) string    { return filesPrefix + project + "/meta/" }
func fileMetaKey(project, file string) string { return fileMetaPrefix(project) + file + ".json" }
func fileDataKey(project, file string) string { return filesPrefix + project + "/data/" + file }
func fileManifestKey(project, file string) string {
	return filesPrefix + project + "/manifests/" + file + ".json"
}
func filePinPrefix(project, file string) string { return filesPrefix + project + "/pins/" + file + "/" }

// Keys of batches. What a batch's run writes lies below one prefix; the marks
// that listings read stand apart, so that a listing walks nothing else.

func batchMarkPrefix(project string) string { return "batches/" + project + "/created/" }

// Run names the objects of one batch's run.
type Run struct {
	Project string `json:"project"`
	Batch   string `json:"batch"`
}

// Prefix starts the keys of all that the run keeps.
func (r Run) Prefix() string { return "batches/" + r.Project + "/runs/" + r.Batch + "/" }

// Object is the key of the batch object as it was when the run ended.
func (r Run) Object() string { return r.Prefix() + "batch.json" }

// Index is the key of the chunk index.
func (r Run) Index() string { return r.Prefix() + "index" }

// Problems is the key of the validation errors.
func (r Run) Problems() string { return r.Prefix() + "problems.json" }

// Commits is the key of the n-th page of the ledger: which object of each
// finished chunk counts.
func (r Run) Commits(n int) string { return fmt.Sprintf("%scommits/%06d.json", r.Prefix(), n) }

// CommitsPrefix starts the keys of all pages of the ledger.
func (r Run) CommitsPrefix() string { return r.Prefix() + "commits/" }

// ChunksPrefix starts the keys of all results, chunk by chunk in order.
func (r Run) ChunksPrefix() string { return r.Prefix() + "chunks/" }

// ChunkPrefix starts the keys of one chunk's results.
func (r Run) ChunkPrefix(chunk int64) string { return fmt.Sprintf("%s%010d/", r.ChunksPrefix(), chunk) }

// Output is the key of a finished chunk's answers. Holder names the lane and
// attempt that wrote it.
func (r Run) Output(chunk int64, holder string) string { return r.ChunkPrefix(chunk) + holder + ".out" }

// Errors is the key of a finished chunk's error lines.
func (r Run) Errors(chunk int64, holder string) string { return r.ChunkPrefix(chunk) + holder + ".err" }

// Segment is the key of the n-th piece of an unfinished chunk's results.
func (r Run) Segment(chunk int64, holder string, n int) string {
	return fmt.Sprintf("%s%s.%06d.seg", r.ChunkPrefix(chunk), holder, n)
}

// ChunkOf returns the chunk that a key below ChunksPrefix belongs to.
func (r Run) ChunkOf(key string) (int64, bool) {
	var chunk int64
	dir := path.Base(path.Dir(key))
	if _, err := fmt.Sscanf(dir, "%d", &chunk); err != nil {
		return 0, false
	}
	return chunk, true
}

// Keys of tasks. The results of a part of a group are objects with consecutive
// numbers: whoever writes one, no number is written twice.

// taskShard is the number of characters of a group's name that name the folder
// in which its objects lie: a folder holds the groups of nine minutes.
const taskShard = 5

// TasksPrefix starts the keys of all that the tasks of a project keep. What
// follows begins with the names of groups, so that keys sort newest first.
func TasksPrefix(project string) string { return "tasks/" + project + "/" }

func taskPrefix(project, group string) string {
	return TasksPrefix(project) + group[:min(taskShard, len(group))] + "/" + group
}

const inputSuffix = ".input"

// TaskInput is the key of the tasks of a part whose group is too large to
// travel through Temporal.
func TaskInput(project, group string, part int) string {
	return fmt.Sprintf("%s-%02d%s", taskPrefix(project, group), part, inputSuffix)
}

// TaskResults is the key of the n-th object with results of a part.
func TaskResults(project, group string, part, n int) string {
	return fmt.Sprintf("%s-%02d.%06d.results", taskPrefix(project, group), part, n)
}

// TaskResultsOf returns the group and the part that a key of TaskResults
// belongs to, and the number of the object.
func TaskResultsOf(key string) (group string, part, n int, ok bool) {
	base, found := strings.CutSuffix(path.Base(key), ".results")
	group, rest, cut := strings.Cut(base, "-")
	if !found || !cut {
		return "", 0, 0, false
	}
	if _, err := fmt.Sscanf(rest, "%d.%d", &part, &n); err != nil {
		return "", 0, 0, false
	}
	return group, part, n, true
}

// TaskStreamPrefix starts the keys of the pieces of the stream of the n-th task
// of a group.
func TaskStreamPrefix(project, group string, n int) string {
	return fmt.Sprintf("%s-streams/%04d/", taskPrefix(project, group), n)
}

// TaskStream is the key of a piece of the stream of the n-th task of a group.
// Pieces are numbered in order, and none is written twice.
func TaskStream(project, group string, n, piece int) string {
	return fmt.Sprintf("%s%08d.log", TaskStreamPrefix(project, group, n), piece)
}

// TaskDeleted is the key of the mark that the n-th task of a group is to be
// deleted, or has been. Its result lies among those of others: see record.Erase.
func TaskDeleted(project, group string, n int) string {
	return fmt.Sprintf("%s%04d", TaskDeletedPrefix(project, group), n)
}

// TaskDeletedPrefix starts the keys of TaskDeleted of a group.
func TaskDeletedPrefix(project, group string) string { return taskPrefix(project, group) + "-deleted/" }

// TaskDeletedOf returns the number of the task that a key of TaskDeleted is of.
func TaskDeletedOf(key string) (n int, ok bool) {
	n, err := strconv.Atoi(path.Base(key))
	return n, err == nil
}

// Answer is the key of what says which task answers a question, of which the
// given text is the hash.
func Answer(project, question string) string {
	const folder = 2 // characters
	return "answers/" + project + "/" + question[:folder] + "/" + question
}
