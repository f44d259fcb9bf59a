package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
)

func (a *API) listFiles(c *gin.Context) error {
	page, err := pageOf(c, openai.PrefixFile, filesPage)
	if err != nil {
		return err
	}
	purpose := openai.Purpose(c.Query("purpose"))
	ctx := c.Request.Context()
	list, err := list(page, a.store.FileIDs(ctx, project(c)), func(id string) (openai.File, bool, error) {
		f, err := a.file(ctx, project(c), id)
		if errors.Is(err, store.ErrNotFound) {
			return f, false, nil
		}
		return f, purpose == "" || f.Purpose == purpose, err
	}, func(f openai.File) string { return f.ID })
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, list)
	return nil
}

func (a *API) getFile(c *gin.Context) error {
	f, err := a.knownFile(c)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, f)
	return nil
}

func (a *API) deleteFile(c *gin.Context) error {
	f, err := a.knownFile(c)
	if err != nil {
		return err
	}
	if err := a.store.DeleteFile(c.Request.Context(), project(c), f.ID); err != nil {
		return err
	}
	c.JSON(http.StatusOK, openai.Deleted{ID: f.ID, Object: openai.ObjectFile, Deleted: true})
	return nil
}

// fileContent streams a file, or the ranges of it that are asked for.
func (a *API) fileContent(c *gin.Context) error {
	f, err := a.knownFile(c)
	if err != nil {
		return err
	}
	content := &fileContent{ctx: c.Request.Context(), store: a.store, project: project(c), file: f}
	defer func() { _ = content.Close() }()
	h := c.Writer.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", attachment(f.Filename))
	h.Set("Etag", `"`+f.ID+`"`) // the bytes of a file never change
	http.ServeContent(&rangeRefuser{ResponseWriter: c.Writer}, c.Request, "", time.Unix(f.CreatedAt, 0), content)
	if content.err != nil {
		a.logFailure(c, content.err)
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
	return nil
}

// knownFile is the file that the path names.
func (a *API) knownFile(c *gin.Context) (openai.File, error) {
	f, err := a.file(c.Request.Context(), project(c), c.Param("id"))
	if errors.Is(err, store.ErrNotFound) {
		return f, openai.NotFound("id", "No such File object: %s", c.Param("id"))
	}
	return f, err
}

// file looks a file up. One that has expired is deleted now and does not exist.
func (a *API) file(ctx context.Context, project, id string) (openai.File, error) {
	f, err := a.store.File(ctx, project, id)
	if err != nil {
		return f, err
	}
	if f.ExpiresAt != nil && *f.ExpiresAt <= time.Now().Unix() {
		return f, cmp.Or(a.store.DeleteFile(ctx, project, id), store.ErrNotFound)
	}
	return f, nil
}
