package codec_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/internal/codec"
	"github.com/headrace/headrace/internal/seal"
)

// ring makes keys of their own for each id, of which the first seals.
type ring map[string]seal.Key

func (r ring) keys(t *testing.T, ids ...string) *seal.Keys {
	t.Helper()
	var all []seal.Key
	for _, id := range ids {
		if _, ok := r[id]; !ok {
			r[id] = seal.Key{ID: id, Secret: seal.NewKey()}
		}
		all = append(all, r[id])
	}
	k, err := seal.New(all...)
	require.NoError(t, err)
	return k
}

type value struct {
	Prompt string `json:"prompt"`
}

var prompt = value{Prompt: "a prompt of mine"}

func payload(t *testing.T, c converter.DataConverter) *common.Payload {
	t.Helper()
	p, err := c.ToPayload(prompt)
	require.NoError(t, err)
	return p
}

func TestWhatWasSealedIsOpenedByAnyOfTheKeysAndShownToNobodyElse(t *testing.T) {
	t.Parallel()
	r := ring{}
	sealed := payload(t, codec.Converter(r.keys(t, "old")))
	require.Equal(t, map[string][]byte{converter.MetadataEncoding: []byte(codec.Encoding)}, sealed.GetMetadata())
	require.NotContains(t, string(sealed.GetData()), "prompt")
	require.NotContains(t, string(sealed.GetData()), "json")

	rotated := codec.Converter(r.keys(t, "new", "old"))
	var got value
	require.NoError(t, rotated.FromPayload(sealed, &got))
	require.Equal(t, prompt, got)
	require.NotEqual(t, sealed.GetData(), payload(t, rotated).GetData())
	require.Error(t, codec.Converter(r.keys(t, "old")).FromPayload(payload(t, rotated), &got), "the new key seals")
}

func TestPayloadsFromBeforeEncryptionAreReadAsTheyAre(t *testing.T) {
	t.Parallel()
	plain := payload(t, converter.GetDefaultDataConverter())
	var got value
	require.NoError(t, codec.Converter(ring{}.keys(t, "a")).FromPayload(plain, &got))
	require.Equal(t, prompt, got)
	require.Equal(t, plain, payload(t, codec.Converter(nil)), "without keys nothing is sealed")
}

func TestAMissingKeyIsNamedWithKeysAndWithout(t *testing.T) {
	t.Parallel()
	r := ring{}
	sealed := payload(t, codec.Converter(r.keys(t, "2026-11")))
	for _, keys := range []*seal.Keys{nil, r.keys(t, "other")} {
		var got value
		err := codec.Converter(keys).FromPayload(sealed, &got)
		unknown, ok := errors.AsType[*seal.UnknownKeyError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, "2026-11", unknown.ID)
	}
	sealed.Data[len(sealed.Data)-1] ^= 1
	require.ErrorIs(t, codec.Converter(r.keys(t, "2026-11")).FromPayload(sealed, &value{}), seal.ErrForged)
}

func TestAWorkflowWhoseKeyIsMissingIsHeldUpAndNotFailed(t *testing.T) {
	t.Parallel()
	sealed := payload(t, codec.Converter(ring{}.keys(t, "theirs")))
	aware, ok := codec.Converter(nil).(workflow.ContextAware)
	require.True(t, ok)
	require.Panics(t, func() { _ = aware.WithWorkflowContext(nil).FromPayload(sealed, &value{}) })
	require.NotPanics(t, func() { _ = aware.WithContext(context.Background()).FromPayload(sealed, &value{}) })
}

func TestTheTextsOfFailuresAreSealed(t *testing.T) {
	t.Parallel()
	keys := ring{}.keys(t, "a")
	failures := codec.FailureConverter(keys)
	err := temporal.NewApplicationErrorWithOptions("the provider said: a prompt of mine", "kind", temporal.ApplicationErrorOptions{Details: []any{prompt}})
	failure := failures.ErrorToFailure(err)
	require.NotContains(t, failure.String(), "prompt")
	require.ErrorContains(t, failures.FailureToError(failure), "a prompt of mine")
	require.Contains(t, codec.FailureConverter(nil).ErrorToFailure(err).String(), "a prompt of mine")
}

func FuzzDecodingWhatNobodySealed(f *testing.F) {
	k, err := seal.New(seal.Key{ID: "a", Secret: seal.NewKey()})
	require.NoError(f, err)
	c := codec.New(k)
	f.Add([]byte(codec.Encoding), []byte{1, 1, 'a'})
	f.Add([]byte("json/plain"), []byte(`{}`))
	f.Fuzz(func(t *testing.T, encoding, data []byte) {
		in := &common.Payload{Metadata: map[string][]byte{converter.MetadataEncoding: encoding}, Data: data}
		out, err := c.Decode([]*common.Payload{in})
		if err == nil && (string(encoding) == codec.Encoding || out[0] != in) {
			t.Errorf("opened %v", out)
		}
	})
}

func BenchmarkSealing(b *testing.B) {
	k, err := seal.New(seal.Key{ID: "a", Secret: seal.NewKey()})
	require.NoError(b, err)
	c := codec.New(k)
	in := []*common.Payload{{Metadata: map[string][]byte{converter.MetadataEncoding: []byte("json/plain")}, Data: make([]byte, 1<<10)}}
	b.SetBytes(1 << 10)
	for b.Loop() {
		sealed, err := c.Encode(in)
		require.NoError(b, err)
		_, err = c.Decode(sealed)
		require.NoError(b, err)
	}
}
