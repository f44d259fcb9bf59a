package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
	gcaws "gocloud.dev/aws"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

// Parameters of s3:// URLs that are passed on to the AWS SDK's configuration.
const (
	paramRegion    = "region"
	paramEndpoint  = "endpoint"
	paramAnonymous = "anonymous"
)

func sdkParams() []string {
	return []string{
		paramRegion, paramEndpoint, "profile", "role", paramAnonymous, "dualstack", "fips",
		"request_checksum_calculation", "response_checksum_validation",
	}
}

// Parameters of s3:// URLs that are ours to read.
const (
	paramPathStyle = "use_path_style"
	paramSSE       = "ssetype"
	paramKMSKey    = "kmskeyid"
)

// connectTimeout bounds how long connecting to a store takes: a host that does
// not answer is tried again.
const connectTimeout = 5 * time.Second

// connections are kept open to a store. Small objects are written and read many
// at a time.
const connections = 128

// openS3 opens a bucket of Amazon S3 or of a server that speaks its protocol.
// Credentials come from the AWS SDK's default chain, unless anonymous=true.
// Parameters:
//
//   - region, unless the environment or profile names it;
//   - endpoint, the URL of a server other than Amazon's, and use_path_style=true
//     for one that has buckets in paths rather than in host names;
//   - profile and role, for other credentials than the default;
//   - ssetype and kmskeyid, for a bucket that demands them;
//   - dualstack, fips, request_checksum_calculation and
//     response_checksum_validation, as the AWS SDK has them.
func openS3(ctx context.Context, name string, query url.Values) (*blob.Bucket, driver, error) {
	pathStyle, err := boolParam(query, paramPathStyle)
	if err != nil {
		return nil, driver{}, err
	}
	anonymous, err := boolParam(query, paramAnonymous)
	if err != nil {
		return nil, driver{}, err
	}
	o := s3blob.Options{
		EncryptionType: types.ServerSideEncryption(query.Get(paramSSE)), KMSEncryptionID: query.Get(paramKMSKey),
	}
	if o.EncryptionType != "" && !slices.Contains(o.EncryptionType.Values(), o.EncryptionType) {
		return nil, driver{}, fmt.Errorf("parameter %s must be one of %v", paramSSE, o.EncryptionType.Values())
	}
	for _, ours := range []string{paramPathStyle, paramSSE, paramKMSKey} {
		query.Del(ours)
	}
	cfg, err := s3Config(ctx, query, anonymous)
	if err != nil {
		return nil, driver{}, err
	}
	o.RequestChecksumCalculation = cfg.RequestChecksumCalculation
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = pathStyle
		o.Logger = logging.Nop{} // it writes to standard error what nobody can act on
	})
	bucket, err := s3blob.OpenBucket(ctx, client, name, &o)
	return bucket, driver{remove: s3Remover(client, name), close: closer(cfg.HTTPClient)}, err
}

func s3Config(ctx context.Context, query url.Values, anonymous bool) (aws.Config, error) {
	for name := range query {
		if !slices.Contains(sdkParams(), name) {
			return aws.Config{}, unknownParameter(name, append(sdkParams(), paramPathStyle, paramSSE, paramKMSKey)...)
		}
	}
	endpoint := query.Get(paramEndpoint)
	if u, err := url.Parse(endpoint); endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil) {
		return aws.Config{}, fmt.Errorf("parameter %s must be a URL such as https://s3.example.com, without credentials", paramEndpoint)
	}
	cfg, err := gcaws.V2ConfigFromURLParams(ctx, query)
	if err != nil {
		return cfg, err
	}
	if cfg.Region == "" && endpoint != "" {
		cfg.Region = "us-east-1" // servers of one's own mostly ignore it
	}
	if cfg.Region == "" {
		return cfg, fmt.Errorf("the region is missing: add ?%s=NAME to the URL or set AWS_REGION", paramRegion)
	}
	// The configuration's own client knows what AWS_CA_BUNDLE names.
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		client = awshttp.NewBuildableClient()
	}
	cfg.HTTPClient = client.
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns, t.MaxIdleConnsPerHost = connections, connections
		}).Freeze()
	if anonymous {
		return cfg, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return cfg, fmt.Errorf("%w: %w", errNoCredentials, err)
	}
	return cfg, nil
}

var errNoCredentials = errors.New("no credentials were found: give them in the environment or in a file or role of the cloud, see docs/stores.md")

// plainKey matches keys that are spelled in S3 as they are.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9_./-]+$`)

// s3Remover deletes objects without looking first whether they are there, as
// S3 itself does.
func s3Remover(client *s3.Client, bucket string) func(context.Context, string) (bool, error) {
	return func(ctx context.Context, key string) (bool, error) {
		if !plainKey.MatchString(key) {
			return false, nil
		}
		_, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
		return true, err
	}
}

// closer returns what closes the connections of a client that are not in use.
func closer(client any) func() {
	if c, ok := client.(interface{ CloseIdleConnections() }); ok {
		return c.CloseIdleConnections
	}
	return func() {}
}

func boolParam(query url.Values, name string) (bool, error) {
	if !query.Has(name) {
		return false, nil
	}
	value, err := strconv.ParseBool(query.Get(name))
	if err != nil {
		return false, fmt.Errorf("parameter %s must be true or false", name)
	}
	return value, nil
}
