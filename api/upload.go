package api

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

// createFile takes an upload. Its parts may come in any order, so the file goes
// to the store as it comes and exists only once all of them have been read and
// are found good.
func (a *API) createFile(c *gin.Context) error {
	parts, err := c.Request.MultipartReader()
	if err != nil {
		return openai.InvalidRequest("", "", "Expected a multipart/form-data request with the parts 'purpose' and 'file'.")
	}
	u := &upload{store: a.store, project: project(c), file: openai.File{
		ID: openai.NewID(openai.PrefixFile), Object: openai.ObjectFile, Status: openai.StatusProcessed,
		CreatedAt: time.Now().Unix(),
	}}
	f, err := u.take(c.Request.Context(), parts)
	if err != nil {
		u.abort()
		return err
	}
	c.JSON(http.StatusOK, f)
	return nil
}

// upload is a file on its way into the store.
type upload struct {
	store   *store.Store
	project string
	file    openai.File
	data    *store.Writer // nil until the file's part comes, and once it is committed
	hasFile bool
	anchor  string
	seconds string
}

// valueLimit bounds a part that is not the file.
const valueLimit = 1 << 10

func (u *upload) take(ctx context.Context, parts *multipart.Reader) (openai.File, error) {
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return u.file, brokenUpload(ctx, err)
		}
		if err := u.takePart(ctx, part); err != nil {
			return u.file, err
		}
	}
	if err := u.check(); err != nil {
		return u.file, err
	}
	if err := u.data.Commit(); err != nil {
		return u.file, err
	}
	u.data = nil
	return u.file, u.store.SaveFile(ctx, u.project, u.file)
}

func (u *upload) takePart(ctx context.Context, part *multipart.Part) error {
	name := part.FormName()
	if name == "file" {
		return u.takeFile(ctx, part)
	}
	value, err := io.ReadAll(io.LimitReader(part, valueLimit))
	if err != nil {
		return brokenUpload(ctx, err)
	}
	switch name {
	case "purpose":
		u.file.Purpose = openai.Purpose(value)
	case "expires_after[anchor]":
		u.anchor = string(value)
	case "expires_after[seconds]":
		u.seconds = string(value)
	default:
		return openai.InvalidRequest(name, openai.CodeUnknownParameter, "Unknown parameter: '%s'.", name)
	}
	return nil
}

func (u *upload) takeFile(ctx context.Context, part *multipart.Part) error {
	if u.hasFile {
		return openai.InvalidRequest("file", openai.CodeInvalidValue, "Only one 'file' can be uploaded at a time.")
	}
	u.hasFile = true
	if part.FileName() == "" {
		return openai.InvalidRequest("file", openai.CodeInvalidValue, "The part 'file' must be a file with a name.")
	}
	u.file.Filename = path.Base(strings.ReplaceAll(part.FileName(), `\`, "/"))
	var err error
	if u.data, err = u.store.CreateFileData(ctx, u.project, u.file.ID); err != nil {
		return err
	}
	body := &trackedReader{r: part}
	u.file.Bytes, err = io.Copy(u.data, body)
	if body.err != nil {
		return brokenUpload(ctx, body.err)
	}
	return err
}

// check looks at the whole of the upload.
func (u *upload) check() error {
	if u.file.Purpose == "" {
		return openai.MissingParameter("purpose")
	}
	if err := oneOf("purpose", u.file.Purpose, openai.UploadPurposes()); err != nil {
		return err
	}
	if !u.hasFile {
		return openai.MissingParameter("file")
	}
	if u.file.Purpose == openai.PurposeBatch && !strings.EqualFold(path.Ext(u.file.Filename), ".jsonl") {
		return openai.InvalidRequest("", "", "Invalid file format for Batch API. Must be .jsonl")
	}
	return u.checkExpiry()
}

// Bounds of expires_after, and what holds for a batch's files without it, as
// OpenAI has them. In seconds.
const (
	shortestExpiry = 3600
	longestExpiry  = 30 * 24 * 3600
	batchExpiry    = 30 * 24 * 3600
	expiryAnchor   = "created_at"
)

func (u *upload) checkExpiry() error {
	if u.anchor == "" && u.seconds == "" {
		if u.file.Purpose == openai.PurposeBatch {
			expires := u.file.CreatedAt + batchExpiry
			u.file.ExpiresAt = &expires
		}
		return nil
	}
	if u.anchor != expiryAnchor {
		return openai.InvalidRequest("expires_after.anchor", openai.CodeInvalidValue,
			"Invalid value: '%s'. Supported values are: '%s'.", u.anchor, expiryAnchor)
	}
	seconds, err := strconv.ParseInt(u.seconds, 10, 64)
	if err != nil || seconds < shortestExpiry || seconds > longestExpiry {
		return openai.InvalidRequest("expires_after.seconds", openai.CodeInvalidValue,
			"Invalid value for 'expires_after.seconds': expected an integer from %d to %d, but got '%s'.",
			shortestExpiry, longestExpiry, u.seconds)
	}
	expires := u.file.CreatedAt + seconds
	u.file.ExpiresAt = &expires
	return nil
}

// abort drops what has come.
func (u *upload) abort() {
	if u.data != nil {
		u.data.Abort()
	}
}

// brokenUpload is the error of a body that cannot be read to its end.
func brokenUpload(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return openai.InvalidRequest("", "", "The multipart body could not be read: %s.", err)
}

// trackedReader remembers the error of its reader, to tell it from that of
// whoever writes what it reads.
type trackedReader struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (t *trackedReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
	}
	return n, err
}
