package webhook_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	openaisdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/secret"
	"github.com/headrace/headrace/internal/webhook"
)

func key(t require.TestingT, s string) webhook.Key {
	k, err := webhook.ParseSecret(secret.New(s))
	require.NoError(t, err)
	return k
}

const whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// verify holds a signature to what others' receivers do.
func verify(t require.TestingT, secretText string, body []byte, h http.Header) {
	independent, err := standardwebhooks.NewWebhookRaw([]byte(secretText))
	if strings.HasPrefix(secretText, "whsec_") {
		independent, err = standardwebhooks.NewWebhook(secretText)
	}
	require.NoError(t, err)
	require.NoError(t, independent.Verify(body, h))
	require.Error(t, independent.Verify(append([]byte(" "), body...), h))

	sdk := openaisdk.NewClient(option.WithWebhookSecret(secretText), option.WithAPIKey("unused"))
	require.NoError(t, sdk.Webhooks.VerifySignature(body, h))
	require.Error(t, sdk.Webhooks.VerifySignature(append([]byte(" "), body...), h))
}

func TestOthersVerifyWhatIsSigned(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[!-~]{24,80}`).Filter(func(s string) bool { return !strings.HasPrefix(s, "whsec_") }).Draw(t, "secret")
		if rapid.Bool().Draw(t, "encoded") {
			text = "whsec_" + base64.StdEncoding.EncodeToString([]byte(text))
		}
		e := webhook.NewEvent(rapid.SampledFrom(webhook.Types()).Draw(t, "type"), "batch_1", time.Now())
		body, err := e.Body()
		require.NoError(t, err)
		verify(t, text, body, key(t, text).Header(e.ID, time.Now(), body))
	})
}

func TestASignatureIsThatOfTheSpecification(t *testing.T) {
	t.Parallel()
	// The example of the specification and of its libraries' tests.
	h := key(t, whsec).Header("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", h.Get("webhook-signature"))
	require.Equal(t, "1614265330", h.Get("webhook-timestamp"))
	require.Equal(t, "msg_p5jXN8AQM9LWM0D4loKWxJek", h.Get("webhook-id"))
	require.Equal(t, "application/json", h.Get("content-type"))
}

func TestANewSecretIsOneThatOthersTake(t *testing.T) {
	t.Parallel()
	s := webhook.NewSecret()
	require.NotEqual(t, s, webhook.NewSecret())
	verify(t, s, []byte("{}"), key(t, s).Header("evt_1", time.Now(), []byte("{}")))
}

func TestTheLineBreakOfAFileIsNoPartOfASecret(t *testing.T) {
	t.Parallel()
	now := time.Now()
	require.Equal(t, key(t, whsec).Header("a", now, nil), key(t, " "+whsec+"\n").Header("a", now, nil))
	require.Equal(t, key(t, "plain").Header("a", now, nil), key(t, "plain\r\n").Header("a", now, nil))
}

func TestABadSecretIsRefusedAndNotPrinted(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", " \n", "whsec_", "whsec_hush!", "whsec_hus", "whsec_hush"} {
		_, err := webhook.ParseSecret(secret.New(bad))
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "hus")
	}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", key(t, "hush"), key(t, "hush"), key(t, "hush")), "hush")
}
