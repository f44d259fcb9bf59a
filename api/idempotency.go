package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/workflows"
)

// Headers of requests that may be repeated, after the IETF's draft
// draft-ietf-httpapi-idempotency-key-header.
const (
	headerIdempotencyKey = "Idempotency-Key"
	// headerReplayed marks the answer to a request that was carried out before.
	headerReplayed = "Idempotency-Replayed"
)

// Codes of errors about idempotency keys.
const (
	codeInvalidKey = "invalid_idempotency_key"
	codeReusedKey  = "idempotency_key_reused"
)

// kindBatch is what keys of POST /v1/batches stand for. A key may be used once
// for each kind.
const kindBatch = "batch"

// longestKey bounds an idempotency key, in characters.
const longestKey = 255

// idempotencyKey reads the key of a request, "" if it has none. A key has 1 to
// 255 printable characters of ASCII, without spaces at its ends.
func idempotencyKey(c *gin.Context) (string, error) {
	values := c.Request.Header.Values(headerIdempotencyKey)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || !validKey(values[0]):
		return "", openai.InvalidRequest("", codeInvalidKey,
			"Invalid '%s': expected one key of 1 to %d printable ASCII characters without spaces at its ends.",
			headerIdempotencyKey, longestKey)
	default:
		return values[0], nil
	}
}

func validKey(key string) bool {
	if key == "" || len(key) > longestKey || key[0] == ' ' || key[len(key)-1] == ' ' {
		return false
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

// fingerprint tells requests apart that have the same key: it is equal only for
// the same method, path and body, byte for byte.
func fingerprint(r *http.Request, body []byte) string {
	sum := digest(r.Method, r.URL.Path, string(body))
	return hex.EncodeToString(sum[:])
}

// keyBits derives 128 bits from an idempotency key. They are always the same
// for one project, one kind of resource and one key, and nobody can guess them
// without the key.
func keyBits(project, kind, key string) [16]byte {
	sum := digest(project, kind, key)
	return [16]byte(sum[:16])
}

// keyID is the id of the workflow that holds a key.
func keyID(project, kind, key string) string {
	return openai.DerivedID(workflows.PrefixKey, keyBits(project, kind, key))
}

// digest hashes a list of texts of which none but the last holds a NUL.
func digest(parts ...string) [sha256.Size]byte {
	h := sha256.New()
	for i, part := range parts {
		if i > 0 {
			_, _ = h.Write([]byte{0})
		}
		_, _ = io.WriteString(h, part)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// errKeyReused refuses a key that an earlier request with other content has.
func errKeyReused() *openai.Error {
	e := openai.InvalidRequest("", codeReusedKey, "The '%s' was used before, with a different request.", headerIdempotencyKey)
	e.Status, e.NoRetry = http.StatusConflict, true
	return e
}

// claim binds a key to a request and to the id of what that makes, and returns
// the claim that holds: the first one ever made, whichever process made it. A
// request other than that of the first claim is refused.
func (a *API) claim(ctx context.Context, key string, own workflows.Claim) (workflows.Claim, error) {
	first, err := a.startWorkflow(ctx, client.StartWorkflowOptions{
		ID: key, Memo: map[string]any{workflows.MemoClaim: own},
	}, workflows.NameKey)
	if err != nil || first {
		return own, err
	}
	return a.held(ctx, key, own)
}

// held returns the claim that holds of a key, or store.ErrNotFound if nobody has
// claimed it. It refuses a request other than that of the claim.
func (a *API) held(ctx context.Context, key string, own workflows.Claim) (workflows.Claim, error) {
	held := workflows.Claim{}
	d, err := a.temporal.DescribeWorkflowExecution(ctx, key, "")
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
		return held, store.ErrNotFound
	}
	if err != nil {
		return held, fmt.Errorf("describe key: %w", err)
	}
	if err := a.payloads.decode(d.GetWorkflowExecutionInfo().GetMemo().GetFields()[workflows.MemoClaim], &held); err != nil {
		return held, err
	}
	if held.Fingerprint != own.Fingerprint {
		return held, errKeyReused()
	}
	return held, nil
}
