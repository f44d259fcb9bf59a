package store_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/store"
)

func TestALocationThatCannotBeOneSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for location, step := range map[string]string{
		"":                               "give the path of a folder or the URL of a bucket",
		"s4://bucket":                    "use the path of a folder, s3://, gs:// or azblob://",
		"http://minio:9000/bucket":       "use the path of a folder, s3://, gs:// or azblob://",
		"s3://":                          "write s3://NAME",
		"gs://?prefix=x":                 "write gs://NAME",
		"s3://bucket/folder?region=x":    "write s3://bucket?prefix=folder",
		"s3://bucket?regoin=x":           `parameter "regoin" is unknown: there are prefix, region, `,
		"gs://bucket?region=x":           `parameter "region" is unknown`,
		"azblob://container?account=x":   `parameter "account" is unknown`,
		"s3://bucket?use_path_style=yes": "parameter use_path_style must be true or false",
		"s3://bucket?endpoint=minio":     "parameter endpoint must be a URL such as",
		"s3://bucket?ssetype=best":       "parameter ssetype must be one of",
		"file://host/folder":             "file:///path/to/folder",
		"file:///folder?prefix=x":        "file:///path/to/folder",
	} {
		_, err := store.Open(t.Context(), location)
		require.ErrorContains(t, err, "open store ", location)
		require.ErrorContains(t, err, step, location)
	}
}

func TestSecretsInALocationAreNotShown(t *testing.T) {
	t.Parallel()
	for _, location := range []string{
		"s3://AKIA:hunter2@bucket?region=x", "s3://bucket?secret_access_key=hunter2&region=x", "azblob://c?sas=hunter2", "azblob://hunter2:hunter2@c",
		"s3://bucket?endpoint=https://user:hunter2@host", "s5://x:hunter2@bucket", "s3://bucket?sig=hunter2",
	} {
		_, err := store.Open(t.Context(), location)
		require.ErrorContains(t, err, "***", location)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// TestWithoutCredentialsOpeningSaysWhereTheyAreLookedFor changes the environment
// and is not parallel.
func TestWithoutCredentialsOpeningSaysWhereTheyAreLookedFor(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "nothing")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere,
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
		"GOOGLE_APPLICATION_CREDENTIALS": nowhere, "STORAGE_EMULATOR_HOST": "", "AZURE_STORAGE_ACCOUNT": "", "AZURE_STORAGE_CONNECTION_STRING": "",
	} {
		t.Setenv(name, value)
	}
	for location, step := range map[string]string{
		"s3://bucket?region=x": "no credentials were found: give them in the environment",
		"s3://bucket":          "add ?region=NAME to the URL or set AWS_REGION",
		"gs://bucket":          "no credentials were found: give them in the environment",
		"azblob://container":   "add ?storage_account=NAME to the URL or set AZURE_STORAGE_ACCOUNT",
	} {
		_, err := store.Open(t.Context(), location)
		require.ErrorContains(t, err, step, location)
	}
}

// bucketThat is the location of a bucket whose server answers as it is told.
func bucketThat(t *testing.T, answers http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answers)
	t.Cleanup(server.Close)
	return "s3://bucket?use_path_style=true&anonymous=true&endpoint=" + url.QueryEscape(server.URL)
}

func refuses(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
	}
}

func TestACheckSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers http.HandlerFunc
		want    string
	}{
		"denied":     {refuses(http.StatusForbidden, "AccessDenied"), "cannot write to it: access is denied: allow it to the credentials in use"},
		"no bucket":  {refuses(http.StatusNotFound, "NoSuchBucket"), "cannot write to it: the bucket does not exist: create it, or correct store.url"},
		"bad key":    {refuses(http.StatusForbidden, "InvalidAccessKeyId"), "the credentials are not valid there: correct those in the environment"},
		"elsewhere":  {refuses(http.StatusMovedPermanently, "PermanentRedirect"), "the bucket is in another region: name it in store.url with ?region="},
		"old server": {func(http.ResponseWriter, *http.Request) {}, "cannot write to it: it does not know conditional writes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, bucketThat(t, test.answers))
			err := s.Check(t.Context())
			require.ErrorContains(t, err, "cannot use the store s3://bucket?")
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestABucketThatIsMissingIsNoMissingObject(t *testing.T) {
	t.Parallel()
	s := open(t, bucketThat(t, refuses(http.StatusNotFound, "NoSuchBucket")))
	_, err := s.Get(t.Context(), "k")
	require.Error(t, err)
	require.NotErrorIs(t, err, store.ErrNotFound, "or whoever asks would begin anew")
	require.ErrorContains(t, s.Ready(t.Context()), "the bucket does not exist")
	denied := open(t, bucketThat(t, refuses(http.StatusForbidden, "AccessDenied")))
	_, err = denied.Get(t.Context(), "k")
	require.NotErrorIs(t, err, store.ErrNotFound)
}

func TestAnUnreachableStoreIsReportedInTime(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close() // nobody listens there any more
	s := open(t, "s3://bucket?use_path_style=true&anonymous=true&endpoint="+url.QueryEscape(server.URL))
	start := time.Now()
	require.ErrorContains(t, s.Check(t.Context()), "cannot write to it: the store cannot be reached: check its address in store.url")
	require.ErrorContains(t, s.Ready(t.Context()), "the store cannot be reached")
	require.Less(t, time.Since(start), time.Minute, "with much to spare")
}

func TestASilentStoreIsReportedInTime(t *testing.T) {
	t.Parallel()
	silent := make(chan struct{})
	s := open(t, bucketThat(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(silent) })
	require.ErrorContains(t, s.Ready(t.Context()), "the store cannot be reached")
}

func TestAStoreThatWorksPassesItsCheckAndKeepsNothingOfIt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *testBundle) {
		require.NoError(t, b.Check(t.Context()))
		require.NoError(t, b.Ready(t.Context()))
		b.requireNothing(t)
	})
}

func TestReadinessHearsOfWritesThatFail(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	s := open(t, bucketThat(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet:
			refuses(http.StatusNotFound, "NoSuchKey")(w, r)
		case broken.Load():
			refuses(http.StatusForbidden, "AccessDenied")(w, r)
		}
	}))
	require.NoError(t, s.Ready(t.Context()))
	broken.Store(true)
	require.NoError(t, s.Ready(t.Context()), "nothing was written")
	require.Error(t, s.Put(t.Context(), "k", nil))
	require.ErrorContains(t, s.Ready(t.Context()), "writing fails: access is denied")
	broken.Store(false)
	require.NoError(t, s.Put(t.Context(), "k", nil))
	require.NoError(t, s.Ready(t.Context()), "a write has succeeded since")
}

func TestReadinessHearsOfAFolderThatIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.Ready(t.Context()))
	require.NoError(t, os.RemoveAll(b.dir))
	require.ErrorContains(t, b.Ready(t.Context()), "look up the store's folder: ")
}
