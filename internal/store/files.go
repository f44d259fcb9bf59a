package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"

	"github.com/headrace/headrace/internal/openai"
)

// CreateFileData begins to write the bytes of a new file. The file exists only
// once SaveFile has been called.
func (s *Store) CreateFileData(ctx context.Context, project, id string) (*Writer, error) {
	return s.Create(ctx, fileDataKey(project, id))
}

// SaveFile makes a file exist whose bytes or manifest were written before.
func (s *Store) SaveFile(ctx context.Context, project string, f openai.File) error {
	return s.PutJSON(ctx, fileMetaKey(project, f.ID), f)
}

// File describes a file, or returns ErrNotFound.
func (s *Store) File(ctx context.Context, project, id string) (openai.File, error) {
	var f openai.File
	if !openai.ValidID(openai.PrefixFile, id) {
		return f, fmt.Errorf("read file %q: %w", id, ErrNotFound)
	}
	return f, s.GetJSON(ctx, fileMetaKey(project, id), &f)
}

// FileIDs yields the ids of all files of a project, newest first.
func (s *Store) FileIDs(ctx context.Context, project string) iter.Seq2[string, error] {
	return s.ids(ctx, fileMetaPrefix(project))
}

// ids yields the ids that the objects below prefix are named after.
func (s *Store) ids(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key, err := range s.Keys(ctx, prefix) {
			if !yield(strings.TrimSuffix(path.Base(key), ".json"), err) || err != nil {
				return
			}
		}
	}
}

// OpenFile reads length bytes of a file from offset on; a negative length
// reads to the end.
func (s *Store) OpenFile(ctx context.Context, project string, f openai.File, offset, length int64) (io.ReadCloser, error) {
	if f.Purpose != openai.PurposeBatchOutput {
		return s.OpenFileData(ctx, project, f.ID, offset, length)
	}
	m, err := s.manifest(ctx, project, f.ID)
	if err != nil {
		return nil, err
	}
	return s.openManifest(ctx, m, offset, length), nil
}

// OpenFileData reads the bytes of an uploaded file. Unlike OpenFile it serves
// a file that was deleted while pinned, too.
func (s *Store) OpenFileData(ctx context.Context, project, id string, offset, length int64) (io.ReadCloser, error) {
	return s.Reader(ctx, fileDataKey(project, id), offset, length)
}

// FileDataRange reads length bytes of an uploaded file from offset on, all of
// them or none.
func (s *Store) FileDataRange(ctx context.Context, project, id string, offset, length int64) ([]byte, error) {
	return s.Range(ctx, fileDataKey(project, id), offset, length)
}

// DeleteFile removes a file. The bytes of one that a batch has pinned stay
// until the last pin is gone.
func (s *Store) DeleteFile(ctx context.Context, project, id string) error {
	if err := s.Delete(ctx, fileMetaKey(project, id)); err != nil {
		return err
	}
	return s.deleteFileDataIfUnused(ctx, project, id)
}

// PinFile keeps the bytes of a file for a batch, whoever deletes the file.
// Pin first and look the file up afterwards: then either the file is found, or
// whoever deletes it sees the pin.
func (s *Store) PinFile(ctx context.Context, project, id, batch string) error {
	return s.Put(ctx, filePinPrefix(project, id)+batch, nil)
}

// UnpinFile takes back PinFile. It may be called more than once.
func (s *Store) UnpinFile(ctx context.Context, project, id, batch string) error {
	if err := s.Delete(ctx, filePinPrefix(project, id)+batch); err != nil {
		return err
	}
	return s.deleteFileDataIfUnused(ctx, project, id)
}

func (s *Store) deleteFileDataIfUnused(ctx context.Context, project, id string) error {
	exists, err := s.Exists(ctx, fileMetaKey(project, id))
	if err != nil || exists {
		return err
	}
	for _, err := range s.Keys(ctx, filePinPrefix(project, id)) {
		return err // pinned, or the listing failed
	}
	m, err := s.manifest(ctx, project, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := s.DeleteAll(ctx, m.keys()); err != nil {
		return err
	}
	if err := s.Delete(ctx, fileManifestKey(project, id)); err != nil {
		return err
	}
	return s.Delete(ctx, fileDataKey(project, id))
}
