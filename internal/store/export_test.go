package store

import "gocloud.dev/blob"

// On is the store on a bucket that is open already.
func On(bucket *blob.Bucket, o Options) *Store {
	return &Store{bucket: bucket, keys: o.Keys, location: "a bucket"}
}
