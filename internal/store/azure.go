package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"
)

func azureParams() []string {
	return []string{"storage_account", "domain", "protocol", "cdn", "localemu"}
}

// openAzure opens a container of Azure Blob Storage. The account is named by
// AZURE_STORAGE_ACCOUNT or by the parameter storage_account. Credentials are
// AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or
// AZURE_STORAGE_CONNECTION_STRING, and otherwise Azure's default chain. Further
// parameters, for other clouds and emulators, are domain, protocol, cdn and
// localemu.
func openAzure(ctx context.Context, name string, query url.Values) (*blob.Bucket, driver, error) {
	for name := range query {
		if !slices.Contains(azureParams(), name) {
			return nil, driver{}, unknownParameter(name, azureParams()...)
		}
	}
	o := azureblob.NewDefaultServiceURLOptions()
	if account := query.Get("storage_account"); account != "" {
		o.AccountName = account
	}
	if o.AccountName == "" && !o.IsLocalEmulator && !query.Has("localemu") {
		return nil, driver{}, errors.New("the account is missing: add ?storage_account=NAME to the URL or set AZURE_STORAGE_ACCOUNT")
	}
	opener := azureblob.URLOpener{MakeClient: azureblob.NewDefaultClient, ServiceURLOptions: *o}
	bucket, err := opener.OpenBucketURL(ctx, &url.URL{Scheme: azureblob.Scheme, Host: name, RawQuery: query.Encode()})
	if err != nil {
		return nil, driver{}, fmt.Errorf("%w: %w", errNoCredentials, err)
	}
	return bucket, driver{buffer: azureBuffer}, nil
}

// azureBuffer keeps Azure's library from taking 8 MiB for a small object. What
// fits into the buffer is sent in one request.
func azureBuffer(size int) int { return max(size+1, 1<<20) }
