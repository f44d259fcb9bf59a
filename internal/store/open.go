package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"

	"github.com/headrace/headrace/internal/seal"
)

// Options say how a store keeps its objects.
type Options struct {
	// Keys encrypt every object that is written and open what was encrypted with
	// any of them. Objects that are not encrypted are read as well, so that
	// encryption can be switched on for a store that is in use. Without keys,
	// nothing is encrypted, and objects that are cannot be read.
	Keys *seal.Keys
}

// Open is OpenWith without options.
func Open(ctx context.Context, location string) (*Store, error) {
	return OpenWith(ctx, location, Options{})
}

// OpenWith opens the store at location: a folder's path or a file:// URL, or a
// bucket as s3://bucket, gs://bucket or azblob://container. The folder is made
// if it is missing; a bucket is not, and Check tells whether it is there. An
// error says what to do about it and contains no secret.
//
// A bucket's URL takes the parameter prefix, which keeps all objects below a
// folder of that name, and others by its kind: see openS3, openGCS and
// openAzure.
func OpenWith(ctx context.Context, location string, o Options) (*Store, error) {
	s := &Store{keys: o.Keys, location: maskLocation(location)}
	var err error
	if s.bucket, s.driver, err = openBucket(ctx, location); err != nil {
		return nil, fmt.Errorf("open store %s: %w", s.location, masked(err))
	}
	return s, nil
}

// driver is what differs between kinds of stores.
type driver struct {
	// folder is set if the store is a folder on this machine.
	folder string
	// remove deletes an object in one round trip, or says that it cannot. It may
	// be nil.
	remove func(ctx context.Context, key string) (ok bool, err error)
	// buffer is the size of the buffer for an object of so many bytes, 0 for the
	// library's own. It may be nil.
	buffer func(size int) int
	// close closes connections that are not in use. It may be nil.
	close func()
}

// remote reports whether operations can hang, cost round trips and are retried.
func (d driver) remote() bool { return d.folder == "" }

// opener opens a bucket. It takes from the query what it knows.
type opener func(ctx context.Context, bucket string, query url.Values) (*blob.Bucket, driver, error)

// openers are the kinds of buckets by the scheme of their URLs.
func openers() map[string]opener {
	return map[string]opener{"s3": openS3, "gs": openGCS, "azblob": openAzure}
}

func openBucket(ctx context.Context, location string) (*blob.Bucket, driver, error) {
	u, err := url.Parse(location)
	if err != nil || !strings.Contains(location, "://") {
		return openFolder(location)
	}
	if u.Scheme == fileblob.Scheme {
		if u.RawQuery != "" || u.Host != "" {
			return nil, driver{}, errors.New("a folder's URL is file:///path/to/folder, without host and parameters")
		}
		return openFolder(u.Path)
	}
	open, ok := openers()[u.Scheme]
	switch {
	case !ok:
		return nil, driver{}, errors.New("its kind is unknown: use the path of a folder, s3://, gs:// or azblob://")
	case u.User != nil:
		return nil, driver{}, errors.New("a URL must not contain credentials: give them in the environment, see docs/stores.md")
	case u.Host == "":
		return nil, driver{}, fmt.Errorf("the name of the bucket is missing: write %s://NAME", u.Scheme)
	case strings.Trim(u.Path, "/") != "":
		return nil, driver{}, fmt.Errorf("a bucket's URL has no path: write %s://%s?prefix=%s",
			u.Scheme, u.Host, strings.Trim(u.Path, "/"))
	}
	return openPrefixed(ctx, open, u)
}

// openPrefixed opens a bucket, or a folder of it.
func openPrefixed(ctx context.Context, open opener, u *url.URL) (*blob.Bucket, driver, error) {
	query := u.Query()
	prefix := strings.Trim(query.Get("prefix"), "/")
	query.Del("prefix")
	bucket, d, err := open(ctx, u.Host, query)
	if err != nil || prefix == "" {
		return bucket, d, err
	}
	prefix += "/"
	if remove := d.remove; remove != nil {
		d.remove = func(ctx context.Context, key string) (bool, error) { return remove(ctx, prefix+key) }
	}
	return blob.PrefixedBucket(bucket, prefix), d, nil
}

func openFolder(path string) (*blob.Bucket, driver, error) {
	if path == "" {
		return nil, driver{}, errors.New("it is empty: give the path of a folder or the URL of a bucket")
	}
	dir, err := filepath.Abs(path)
	if err != nil {
		return nil, driver{}, err
	}
	// Temporary files stand beside the final ones, so that the rename never
	// crosses a file system.
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700, NoTempDir: true, Metadata: fileblob.MetadataDontWrite,
	})
	if errors.Is(err, os.ErrPermission) {
		err = fmt.Errorf("%w: let the user that headrace runs as write there, or name another folder", err)
	}
	return bucket, driver{folder: dir}, err
}

// unknownParameter is the error of a URL with a parameter that its kind of
// bucket does not have.
func unknownParameter(name string, known ...string) error {
	return fmt.Errorf("parameter %q is unknown: there are prefix, %s", name, strings.Join(known, ", "))
}
