package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/simulator"
)

// The parts of a good upload.
var (
	purposePart = part{name: "purpose", content: "batch"}
	filePart    = part{name: "file", filename: "input.jsonl", content: "{\"a\":1}\r\n\x00\xff no line break"}
	anchorPart  = part{name: "expires_after[anchor]", content: "created_at"}
	secondsPart = part{name: "expires_after[seconds]", content: "3600"}
)

func TestThePartsOfAnUploadMayComeInAnyOrder(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, parts := range [][]part{
		{purposePart, filePart, anchorPart, secondsPart},
		{filePart, purposePart, secondsPart, anchorPart},
		{secondsPart, filePart, anchorPart, purposePart},
		{anchorPart, secondsPart, purposePart, filePart},
	} {
		r := s.post(t, parts...)
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		o := r.object(t)
		require.Equal(t, "input.jsonl", o["filename"])
		require.Equal(t, "batch", o["purpose"])
		requireExpiry(t, o, 3600)
		require.Equal(t, filePart.content, string(s.get(t, "/v1/files/"+o["id"].(string)+"/content").body))
	}
}

func TestAWrongUploadIsRefusedAndLeavesNoFile(t *testing.T) {
	t.Parallel()
	s := alone(t)
	field := func(name, content string) part { return part{name: name, content: content} }
	for name, c := range map[string]struct {
		parts []part
		want  refusal
	}{
		"no parts":          {nil, refusal{status: 400, param: "purpose", code: "missing_required_parameter", message: "'purpose'"}},
		"no purpose":        {[]part{filePart}, refusal{status: 400, param: "purpose", code: "missing_required_parameter", message: "'purpose'"}},
		"no file":           {[]part{purposePart}, refusal{status: 400, param: "file", code: "missing_required_parameter", message: "'file'"}},
		"unknown purpose":   {[]part{filePart, field("purpose", "fun")}, refusal{status: 400, param: "purpose", code: "invalid_value", message: "Invalid value: 'fun'. Supported values are: "}},
		"our own purpose":   {[]part{filePart, field("purpose", "batch_output")}, refusal{status: 400, param: "purpose", code: "invalid_value", message: "'batch_output'"}},
		"two files":         {[]part{purposePart, filePart, filePart}, refusal{status: 400, param: "file", code: "invalid_value", message: "Only one 'file'"}},
		"unknown part":      {[]part{purposePart, filePart, field("colour", "red")}, refusal{status: 400, param: "colour", code: "unknown_parameter", message: "'colour'"}},
		"text for a file":   {[]part{purposePart, field("file", "x")}, refusal{status: 400, param: "file", code: "invalid_value", message: "name"}},
		"other extension":   {[]part{purposePart, {"file", "a.csv", "x"}}, refusal{status: 400, message: "Invalid file format for Batch API. Must be .jsonl"}},
		"seconds alone":     {[]part{purposePart, filePart, secondsPart}, refusal{status: 400, param: "expires_after.anchor", code: "invalid_value", message: "'created_at'"}},
		"seconds too short": {[]part{purposePart, filePart, anchorPart, field("expires_after[seconds]", "60")}, refusal{status: 400, param: "expires_after.seconds", code: "invalid_value", message: "from 3600 to 2592000, but got '60'"}},
	} {
		requireRefusal(t, c.want, s.post(t, c.parts...))
		require.Empty(t, s.page(t, "/v1/files").ids, name)
	}
	requireRefusal(t, refusal{status: 400, message: "multipart/form-data"}, s.send(t, http.MethodPost, "/v1/files", "{}", "Content-Type: application/json"))
	cut := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\nhalf of"
	requireRefusal(t, refusal{status: 400, message: "could not be read"},
		s.send(t, http.MethodPost, "/v1/files", cut, "Content-Type: multipart/form-data; boundary=x"))
	require.Empty(t, s.page(t, "/v1/files").ids)
}

func TestAFilesNameIsKeptWithoutItsFolders(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for sent, want := range map[string]string{
		"../../etc/passwd.jsonl": "passwd.jsonl", `C:\Users\me\in.jsonl`: "in.jsonl",
		"Grüße 世界.JSONL": "Grüße 世界.JSONL", `"quoted".jsonl`: `"quoted".jsonl`,
	} {
		r := s.post(t, purposePart, part{name: "file", filename: sent, content: "{}"})
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		require.Equal(t, want, r.object(t)["filename"])
		r = s.get(t, "/v1/files/"+r.object(t)["id"].(string)+"/content")
		require.True(t, strings.HasPrefix(r.header.Get("Content-Disposition"), "attachment; filename"))
	}
}

// rangeOf is a Range and what of ten bytes it should give.
type rangeOf struct {
	header, want, contentRange string
	status                     int
}

func ranges() []rangeOf {
	return []rangeOf{
		{"", "0123456789", "", 200},
		{"bytes=0-", "0123456789", "bytes 0-9/10", 206},
		{"bytes=3-5", "345", "bytes 3-5/10", 206},
		{"bytes=9-", "9", "bytes 9-9/10", 206},
		{"bytes=-3", "789", "bytes 7-9/10", 206},
		{"bytes=-30", "0123456789", "bytes 0-9/10", 206},
		{"bytes=8-100", "89", "bytes 8-9/10", 206},
		{"bytes=10-", "", "bytes */10", 416},
	}
}

func TestRangesOfAFile(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.upload(t, "0123456789")
	path := "/v1/files/" + id + "/content"
	for _, r := range ranges() {
		t.Run(r.header, func(t *testing.T) {
			t.Parallel()
			got := s.send(t, http.MethodGet, path, "", "Range: "+r.header)
			require.Equal(t, r.contentRange, got.header.Get("Content-Range"))
			if r.status == http.StatusRequestedRangeNotSatisfiable {
				requireRefusal(t, refusal{status: r.status, message: "does not have the range"}, got)
				return
			}
			require.Equal(t, r.status, got.status)
			require.Equal(t, r.want, string(got.body))
			require.Equal(t, "application/octet-stream", got.header.Get("Content-Type"))
			require.Equal(t, "bytes", got.header.Get("Accept-Ranges"))
		})
	}
	several := s.send(t, http.MethodGet, path, "", "Range: bytes=0-1,8-9")
	require.Equal(t, http.StatusPartialContent, several.status)
	require.Contains(t, several.header.Get("Content-Type"), "multipart/byteranges")
	etag := s.get(t, path).header.Get("Etag")
	require.Equal(t, http.StatusNotModified, s.send(t, http.MethodGet, path, "", "If-None-Match: "+etag).status)
	require.Equal(t, "0123456789", string(s.send(t, http.MethodGet, path, "", "Range: bytes=3-5", `If-Range: "other"`).body))
	head := s.send(t, http.MethodHead, path, "")
	require.Equal(t, http.StatusOK, head.status)
	require.Equal(t, "10", head.header.Get("Content-Length"))
	require.Empty(t, head.body)
	require.Equal(t, http.StatusOK, s.send(t, http.MethodGet, path, "", "Accept: application/binary").status, "as SDKs ask")
}

// TestRangesOfAnOutputCrossItsChunks has more requests than a chunk takes.
func TestRangesOfAnOutputCrossItsChunks(t *testing.T) {
	t.Parallel()
	s := shared(t)
	b := s.process(t, requests(1200))
	path := "/v1/files/" + b["output_file_id"].(string) + "/content"
	whole := string(s.get(t, path).body)
	var want []string
	for i := range 1200 {
		want = append(want, fmt.Sprintf("r-%d", i+1))
	}
	require.Equal(t, want, ids(t, whole))
	last := len(whole) - 1
	for _, r := range [][2]int{{0, 0}, {last, last}, {1, last - 1}, {len(whole) / 3, 2 * len(whole) / 3}, {last / 2, last/2 + 9}} {
		got := s.send(t, http.MethodGet, path, "", fmt.Sprintf("Range: bytes=%d-%d", r[0], r[1]))
		require.Equal(t, http.StatusPartialContent, got.status)
		require.Equal(t, sumOf(whole[r[0]:r[1]+1]), sumOf(string(got.body)), "bytes %d to %d", r[0], r[1])
	}
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, s.send(t, http.MethodGet, path, "", fmt.Sprintf("Range: bytes=%d-", len(whole))).status)
}

// sumOf stands for a text that is too long to print.
func sumOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestABatchGoesOnWhenItsInputIsDeleted(t *testing.T) {
	t.Parallel()
	s := alone(t)
	require.NoError(t, s.upstream.Set(simulator.Options{Latency: latency(t, "20ms")}))
	file := s.upload(t, requests(300))
	id := s.create(t, file, `,"headrace":{"max_concurrency":4}`)
	eventually(t, func() bool { return s.upstream.Stats().Succeeded > 0 }, "no call succeeds")
	require.JSONEq(t, fmt.Sprintf(`{"id":%q,"object":"file","deleted":true}`, file), string(s.send(t, http.MethodDelete, "/v1/files/"+file, "").body))
	require.Equal(t, http.StatusNotFound, s.send(t, http.MethodGet, "/v1/files/"+file, "").status)
	require.Equal(t, http.StatusNotFound, s.send(t, http.MethodGet, "/v1/files/"+file+"/content", "").status)
	require.Equal(t, http.StatusNotFound, s.send(t, http.MethodDelete, "/v1/files/"+file, "").status)
	require.False(t, slices.Contains(s.page(t, "/v1/files").ids, file))
	b := s.until(t, id, "completed", "failed")
	require.Equal(t, "completed", b["status"], "%v", b["errors"])
	require.Len(t, ids(t, s.content(t, b, "output_file_id")), 300)
	late := s.create(t, file, "")
	require.Equal(t, "failed", s.until(t, late, "failed", "completed")["status"], "a new batch cannot have it")
}

func TestAnOutputFileCanBeDeleted(t *testing.T) {
	t.Parallel()
	s := shared(t)
	b := s.process(t, requests(2))
	output := b["output_file_id"].(string)
	require.Equal(t, http.StatusOK, s.send(t, http.MethodDelete, "/v1/files/"+output, "").status)
	require.Equal(t, http.StatusNotFound, s.send(t, http.MethodGet, "/v1/files/"+output+"/content", "").status)
	require.Equal(t, "completed", s.batch(t, b["id"].(string))["status"])
}
