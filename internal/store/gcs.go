package store

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"

	"gocloud.dev/blob"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/gcp"
)

// gcsEmulator names the variable by which Google's library finds an emulator,
// which wants no credentials.
const gcsEmulator = "STORAGE_EMULATOR_HOST"

// openGCS opens a bucket of Google Cloud Storage. Credentials are the
// application default ones, unless anonymous=true, which is the only parameter.
func openGCS(ctx context.Context, name string, query url.Values) (*blob.Bucket, driver, error) {
	anonymous, err := boolParam(query, paramAnonymous)
	if err != nil {
		return nil, driver{}, err
	}
	query.Del(paramAnonymous)
	for name := range query {
		return nil, driver{}, unknownParameter(name, paramAnonymous)
	}
	transport := gcsTransport()
	client := gcp.NewAnonymousHTTPClient(transport)
	if !anonymous && os.Getenv(gcsEmulator) == "" { //nolint:forbidigo // asked as Google's library asks it
		finding, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		credentials, err := gcp.DefaultCredentials(finding)
		if err != nil {
			return nil, driver{}, fmt.Errorf("%w: %w", errNoCredentials, err)
		}
		if client, err = gcp.NewHTTPClient(transport, gcp.CredentialsTokenSource(credentials)); err != nil {
			return nil, driver{}, err
		}
	}
	bucket, err := gcsblob.OpenBucket(ctx, client, name, nil)
	return bucket, driver{buffer: gcsBuffer, close: transport.CloseIdleConnections}, err
}

func gcsTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // documented to be one
	t.DialContext = (&net.Dialer{Timeout: connectTimeout}).DialContext
	t.MaxIdleConns, t.MaxIdleConnsPerHost = connections, connections
	return t
}

// gcsBuffer keeps Google's library from taking 16 MiB for a small object. What
// fits into the buffer is sent in one request.
func gcsBuffer(size int) int { return max(size+1, 256<<10) }
