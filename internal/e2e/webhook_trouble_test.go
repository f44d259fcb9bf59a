package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/simulator"
)

func TestADeliveryOutlivesKillsAndAReceiverThatIsDown(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	dir := t.TempDir()
	p, s := hooked(t, dir, up.URL())
	r := downReceiver(t)
	id := s.create(t, s.upload(t, requests(1)), hook(r.url()))
	before := s.awaitDelivery(t, id, "was tried", func(d gjson.Result) bool { return d.Get("attempts.0").Exists() })
	require.Equal(t, "no_connection", before.Get("attempts.0.error.code").Str)
	p.kill()

	r.hold = make(chan struct{})
	r.open(t)
	p, _ = hooked(t, dir, up.URL())
	r.await(t, 1) // killed while the receiver thinks
	p.kill()

	close(r.hold)
	_, s = hooked(t, dir, up.URL())
	d := s.delivered(t, id)
	all := r.await(t, 2)
	require.Equal(t, all[0].body, all[1].body)
	require.Equal(t, all[0].header.Get("webhook-id"), all[1].header.Get("webhook-id"), "by which a receiver knows that it has heard this before")
	requireSigned(t, secretOf(t, dir), all[1])
	require.Equal(t, before.Get("id").Str, d.Get("id").Str)
	require.Equal(t, before.Get("attempts.0").Raw, d.Get("attempts.0").Raw, "the log outlives the kills")
	require.Len(t, s.deliveries(t, id), 1)
}

func TestAWebhookToAPrivateAddressThatIsNotListedIsRefused(t *testing.T) {
	t.Parallel()
	s, r := shared(t), newReceiver(t, nil)
	port := r.address[strings.LastIndexByte(r.address, ':'):]
	file := s.upload(t, requests(1))
	for _, url := range []string{
		r.url(), "https://127.0.0.1" + port, "https://[::ffff:7f00:1]" + port, "https://169.254.169.254/", "http://localhost" + port, "https://user:pw@example.com/",
	} {
		refused := s.send(t, http.MethodPost, "/v1/batches", newBatch(file, hook(url)))
		require.Equal(t, http.StatusBadRequest, refused.status, url)
		require.Equal(t, "headrace.webhook", gjson.GetBytes(refused.body, "error.param").Str)
	}
	// What a name stands for is only known when it is called.
	id := s.create(t, file, hook("https://localhost"+port))
	d := s.awaitDelivery(t, id, "is given up", func(d gjson.Result) bool { return d.Get("status").Str == "failed" })
	require.Len(t, d.Get("attempts").Array(), 1)
	require.Equal(t, "not_allowed", d.Get("attempts.0.error.code").Str)
	require.Contains(t, d.Get("attempts.0.error.message").Str, "of localhost is not public (loopback)")
	require.Equal(t, "completed", s.batch(t, id)["status"])
	require.Empty(t, r.all())
}

// TestAWorkerWithoutASecretSaysSoAndAnotherDelivers reads the log of a delivery
// while no worker is up, too.
func TestAWorkerWithoutASecretSaysSoAndAnotherDelivers(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	c := ground(t)
	r := newReceiver(t, nil)
	private := "HEADRACE_ALLOWED_PRIVATE=" + r.address
	front := c.role([]string{private}, "api", "--listen", "127.0.0.1:0")
	s := &system{url: front.await(front.stdout, `API (http://\S+)/v1`)}
	poor := c.role([]string{private}, "worker", "--upstream", up.URL())
	id := s.create(t, s.upload(t, requests(1)), hook(r.url()))
	tried := func(d gjson.Result) bool { return d.Get("attempts.0").Exists() }
	require.Contains(t, s.awaitDelivery(t, id, "was tried", tried).Get("attempts.0.error.message").Str, "set HEADRACE_WEBHOOK_SECRET")
	poor.kill()
	d := s.deliveries(t, id)[0]
	require.Equal(t, "no_secret", d.Get("attempts.0.error.code").Str)
	require.Empty(t, r.all())

	c.role([]string{private, "HEADRACE_WEBHOOK_SECRETS_DEFAULT=" + hookSecret}, "worker", "--upstream", up.URL())
	requireSigned(t, hookSecret, r.await(t, 1)[0])
	s.delivered(t, id)
}

func TestSettingsOfWebhooksThatMakeNoSenseAreAnError(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{
		"HEADRACE_WEBHOOK_URL=http://example.com/", "HEADRACE_WEBHOOK_SECRET=whsec_short", "HEADRACE_ALLOWED_HOSTS=https://example.com",
		"HEADRACE_ALLOWED_PRIVATE=10.0.0.0/40", "HEADRACE_WEBHOOK_SECRET_FILE=/does/not/exist",
	} {
		p := start(t, []string{setting}, "dev", "--listen", "127.0.0.1:0", "--temporal-port", "0", "--ui-port", "0")
		require.Equal(t, 2, p.wait(), setting)
		name, _, _ := strings.Cut(setting, "=")
		require.Contains(t, p.stderr.String(), name)
		require.NotContains(t, p.stderr.String(), "whsec_short")
	}
}
