package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"

	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"
)

// ErrNotFound is returned for a key that holds nothing.
var ErrNotFound = errors.New("object not found")

// ErrExists is returned for a key that should have held nothing.
var ErrExists = errors.New("object exists")

// answer is what a store has said, in the words of its protocol.
type answer struct {
	status int
	code   string
}

// answerOf finds out what a store has said. The library's own codes are no help
// where they matter most: they call a bucket that is missing, an access that is
// denied (GCS) and a name that cannot be resolved (Azure) an object that is not
// found.
func answerOf(err error) (a answer) {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		a.code = api.ErrorCode()
	}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		a.status = response.HTTPStatusCode()
	}
	if api, ok := errors.AsType[*googleapi.Error](err); ok {
		a.status = api.Code
	}
	if response, ok := errors.AsType[*azcore.ResponseError](err); ok {
		a.status, a.code = response.StatusCode, response.ErrorCode
	}
	return a
}

// Codes of stores for what is not there, and for what is.
const (
	s3NoKey      = "NoSuchKey"
	s3NotFound   = "NotFound" // in answer to HEAD, which says no more
	s3NoBucket   = "NoSuchBucket"
	s3Conflict   = "ConditionalRequestConflict"
	s3WrongPlace = "PermanentRedirect"
)

// isNotFound reports whether a store says that it has no object of this name,
// and not that it has no bucket of this name, or nothing at all.
func isNotFound(err error) bool {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, storage.ErrObjectNotExist) {
		return true
	}
	a := answerOf(err)
	if a == (answer{}) {
		return gcerrors.Code(err) == gcerrors.NotFound && !isUnreachable(err) && !errors.Is(err, storage.ErrBucketNotExist)
	}
	return slices.Contains([]string{s3NoKey, s3NotFound, string(bloberror.BlobNotFound)}, a.code)
}

// isUnreachable reports whether a store was not reached, or fell silent.
func isUnreachable(err error) bool {
	_, connection := errors.AsType[*net.OpError](err)
	_, name := errors.AsType[*net.DNSError](err)
	return connection || name || errors.Is(err, errSlow) || errors.Is(err, context.DeadlineExceeded)
}

// isExisting reports whether a store refuses to write since there is an object.
func isExisting(err error) bool {
	return errors.Is(err, ErrExists) || gcerrors.Code(err) == gcerrors.FailedPrecondition || answerOf(err).status == http.StatusPreconditionFailed
}

// isBeyond reports whether a store says that an object ends before what was to
// be read.
func isBeyond(err error) bool {
	return answerOf(err).status == http.StatusRequestedRangeNotSatisfiable
}

// wrap says what failed. A missing object is ErrNotFound, which makes sense for
// reading only: a write that finds its file or folder gone has failed.
func wrap(operation, key string, err error) error {
	if isNotFound(err) {
		return fmt.Errorf("%s %s: %w", operation, key, ErrNotFound)
	}
	return fmt.Errorf("%s %s: %w", operation, key, masked(err))
}

// maskedError shows less than the error that it is.
type maskedError struct {
	error

	text string
}

// Error implements error.
func (e maskedError) Error() string { return e.text }

// Unwrap returns what happened, for errors.Is and errors.As.
func (e maskedError) Unwrap() error { return e.error }

// secretParam matches parameters of URLs that are as good as a key, with their
// values.
var secretParam = regexp.MustCompile(`(?i)\b(sig|X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|X-Goog-Signature|AccountKey|SharedAccessSignature)=[^&;\s"]+`)

// masked hides the secrets that libraries show in their errors: they print the
// URLs of requests, and Azure's may be signed.
func masked(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if hidden := secretParam.ReplaceAllString(text, "$1=***"); hidden != text {
		return maskedError{err, hidden}
	}
	return err
}

// shownParams are the parameters of locations that hold no secret.
func shownParams() []string {
	return slices.Concat(sdkParams(), azureParams(), []string{"prefix", paramPathStyle, paramSSE})
}

// maskLocation hides whatever in a location might be a secret.
func maskLocation(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" && u.Opaque == "" && u.RawQuery == "" {
		return location
	}
	if u.User != nil {
		u.User = url.User("***")
	}
	query := u.Query()
	for name := range query {
		if !slices.Contains(shownParams(), name) {
			query.Set(name, "***")
		} else if endpoint, err := url.Parse(query.Get(name)); err == nil && endpoint.User != nil {
			query.Set(name, "***")
		}
	}
	if changed, err := url.QueryUnescape(query.Encode()); err == nil && u.RawQuery != "" {
		u.RawQuery = changed
	}
	shown, err := url.PathUnescape(u.String())
	if err != nil {
		return u.String()
	}
	return shown
}

// explain says what an operator can do about an error that is not about one
// object.
func (s *Store) explain(err error) error {
	a := answerOf(err)
	var step string
	switch {
	case errors.Is(err, errNoCredentials):
		return err
	case a.code == s3NoBucket, errors.Is(err, storage.ErrBucketNotExist), a.status == http.StatusNotFound:
		step = "the bucket does not exist: create it, or correct store.url"
	case a.code == s3WrongPlace, a.status == http.StatusMovedPermanently:
		step = "the bucket is in another region: name it in store.url with ?region="
	case slices.Contains([]string{"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", string(bloberror.AuthenticationFailed)}, a.code),
		a.status == http.StatusUnauthorized:
		step = "the credentials are not valid there: correct those in the environment"
	case a.status == http.StatusForbidden, errors.Is(err, os.ErrPermission):
		step = "access is denied: allow it to the credentials in use, see docs/stores.md"
	case isUnreachable(err):
		step = "the store cannot be reached: check its address in store.url, the network and whether it runs"
	default:
		return masked(err)
	}
	return fmt.Errorf("%s (%w)", step, masked(err))
}
