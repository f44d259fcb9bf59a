package activities_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/egress"
	"github.com/headrace/headrace/internal/secret"
	"github.com/headrace/headrace/internal/webhook"
)

// hook is a receiver, and the activities that deliver to it.
type hook struct {
	*httptest.Server
	a      *activities.Activities
	secret string

	mu     sync.Mutex
	got    []delivered
	answer func(http.ResponseWriter)
}

// delivered is what a receiver was sent.
type delivered struct {
	header http.Header
	body   string
}

func newHook(t *testing.T, answer func(http.ResponseWriter)) *hook {
	t.Helper()
	h := &hook{secret: webhook.NewSecret(), answer: answer}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.got = append(h.got, delivered{r.Header, string(body)})
		h.mu.Unlock()
		h.answer(w)
	}))
	t.Cleanup(h.Close)
	guard, err := egress.Rules{Private: []string{"127.0.0.1"}}.Public()
	require.NoError(t, err)
	client := egress.New(guard, egress.Options{MaxBody: 4096})
	t.Cleanup(client.Close)
	h.a = &activities.Activities{Webhooks: activities.Webhooks{Client: client, Key: func(string) (webhook.Key, error) {
		return webhook.ParseSecret(secret.New(h.secret))
	}}}
	return h
}

func answering(status int, header, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if name, value, ok := strings.Cut(header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// input is that of a first attempt.
func (h *hook) input() activities.DeliverInput {
	e := webhook.NewEvent(webhook.BatchCompleted, "batch_1", time.Now())
	return activities.DeliverInput{
		Project: "default", Delivery: webhook.NewDelivery("whd_1", e, h.URL+"/hook", time.Now().Unix()),
		Timeout: batch.Duration(time.Minute), Pauses: []batch.Duration{batch.Duration(time.Minute), batch.Duration(time.Hour)},
		Until: time.Now().Add(24 * time.Hour).Unix(),
	}
}

// attempt makes one attempt, and returns its result, its last heartbeat and its
// error.
func (h *hook) attempt(t *testing.T, in activities.DeliverInput, before ...webhook.Attempt) (webhook.Delivery, activities.Attempts, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivityWithOptions(h.a.Deliver, activity.RegisterOptions{Name: activities.NameDeliver})
	if before != nil {
		env.SetHeartbeatDetails(before)
	}
	var mu sync.Mutex
	var beat activities.Attempts
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		mu.Lock()
		defer mu.Unlock()
		beat = nil
		if details.HasValues() {
			_ = details.Get(&beat)
		}
	})
	value, err := env.ExecuteActivity(activities.NameDeliver, in)
	var d webhook.Delivery
	if err == nil {
		require.NoError(t, value.Get(&d))
	}
	mu.Lock()
	defer mu.Unlock()
	return d, beat, err
}

// retried checks that an attempt is to be repeated, and returns the pause.
func retried(t *testing.T, err error, code webhook.Code) time.Duration {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, string(code), app.Type())
	require.False(t, app.NonRetryable())
	require.Equal(t, temporal.ApplicationErrorCategoryBenign, app.Category())
	return app.NextRetryDelay()
}

func TestAnEventIsDeliveredSigned(t *testing.T) {
	t.Parallel()
	h := newHook(t, answering(http.StatusNoContent, "", ""))
	in := h.input()
	d, _, err := h.attempt(t, in)
	require.NoError(t, err)
	require.Equal(t, webhook.Delivered, d.Status)
	require.NotNil(t, d.FinishedAt)
	require.Len(t, d.Attempts, 1)
	require.Nil(t, d.Attempts[0].Error)
	require.Equal(t, http.StatusNoContent, *d.Attempts[0].StatusCode)

	want, err := in.Delivery.Event.Body()
	require.NoError(t, err)
	require.Len(t, h.got, 1)
	require.Equal(t, string(want), h.got[0].body)
	require.Equal(t, in.Delivery.Event.ID, h.got[0].header.Get("webhook-id"))
	require.Equal(t, "application/json", h.got[0].header.Get("content-type"))
	verifier, err := standardwebhooks.NewWebhook(h.secret)
	require.NoError(t, err)
	require.NoError(t, verifier.Verify([]byte(h.got[0].body), h.got[0].header))
}

func TestAnAttemptThatFailsIsLoggedAndRepeatedAfterAPause(t *testing.T) {
	t.Parallel()
	h := newHook(t, answering(http.StatusInternalServerError, "", strings.Repeat("x", 10_000)))
	before := webhook.Attempt{StartedAt: 1, Error: &webhook.Error{Code: webhook.Timeout, Message: "m"}}
	for i, want := range []time.Duration{time.Minute, time.Hour, time.Hour} {
		earlier := make([]webhook.Attempt, i)
		for j := range earlier {
			earlier[j] = before
		}
		_, beat, err := h.attempt(t, h.input(), earlier...)
		pause := retried(t, err, webhook.BadStatus)
		require.GreaterOrEqual(t, pause, want)
		require.LessOrEqual(t, pause, want*12/10)
		require.Len(t, beat, i+1)
		require.Equal(t, earlier, append([]webhook.Attempt{}, beat[:i]...))
		last := beat[i]
		require.Equal(t, http.StatusInternalServerError, *last.StatusCode)
		require.Equal(t, "the receiver answered 500", last.Error.Message)
		require.Equal(t, strings.Repeat("x", 1024), last.Answer)
	}
}

func TestEachAttemptHasTheSameBytesAndANewSignature(t *testing.T) {
	t.Parallel()
	h := newHook(t, answering(http.StatusInternalServerError, "", ""))
	in := h.input()
	_, _, _ = h.attempt(t, in)
	h.secret = webhook.NewSecret()
	_, _, _ = h.attempt(t, in)
	require.Len(t, h.got, 2)
	require.Equal(t, h.got[0].body, h.got[1].body)
	require.Equal(t, h.got[0].header.Get("webhook-id"), h.got[1].header.Get("webhook-id"))
	require.NotEqual(t, h.got[0].header.Get("webhook-signature"), h.got[1].header.Get("webhook-signature"))
}

func TestAReceiverMayAskForALongerPause(t *testing.T) {
	t.Parallel()
	for status, honoured := range map[int]bool{
		http.StatusTooManyRequests: true, http.StatusServiceUnavailable: true, http.StatusInternalServerError: false, http.StatusBadRequest: false,
	} {
		h := newHook(t, answering(status, "Retry-After: 7200", ""))
		_, _, err := h.attempt(t, h.input())
		pause := retried(t, err, webhook.BadStatus)
		require.Equal(t, honoured, pause == 2*time.Hour, "%d: %v", status, pause)
		h.answer = answering(status, "Retry-After: 1", "")
		_, _, err = h.attempt(t, h.input())
		require.GreaterOrEqual(t, retried(t, err, webhook.BadStatus), time.Minute, "but not for a shorter one")
	}
}

func TestADeliveryIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		change func(*activities.DeliverInput)
		code   webhook.Code
		calls  int
	}{
		"when the receiver wants no more": {http.StatusGone, func(*activities.DeliverInput) {}, webhook.Gone, 1},
		"when its time has come":          {500, func(in *activities.DeliverInput) { in.Until = time.Now().Add(time.Second).Unix() }, webhook.BadStatus, 1},
		"long after its time, and tried":  {500, func(in *activities.DeliverInput) { in.Until = 1 }, webhook.BadStatus, 1},
		"when the address is not public":  {200, func(in *activities.DeliverInput) { in.Delivery.URL = "https://10.0.0.1/" }, webhook.NotAllowed, 0},
		"when the URL cannot be called":   {200, func(in *activities.DeliverInput) { in.Delivery.URL = "nonsense" }, webhook.NotAllowed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHook(t, answering(c.status, "", ""))
			in := h.input()
			c.change(&in)
			d, _, err := h.attempt(t, in)
			require.NoError(t, err)
			require.Equal(t, webhook.Failed, d.Status)
			require.NotNil(t, d.FinishedAt)
			require.Equal(t, c.code, d.Attempts[0].Error.Code)
			require.NotEmpty(t, d.Attempts[0].Error.Message)
			require.Len(t, h.got, c.calls)
		})
	}
}

func TestARedirectIsNoDelivery(t *testing.T) {
	t.Parallel()
	h := newHook(t, nil)
	h.answer = answering(http.StatusFound, "Location: "+h.URL+"/elsewhere", "")
	_, beat, err := h.attempt(t, h.input())
	retried(t, err, webhook.BadStatus)
	require.Contains(t, beat[0].Error.Message, "redirects are not followed")
	require.Len(t, h.got, 1)
}

func TestAReceiverThatCannotBeReachedIsTriedAgain(t *testing.T) {
	t.Parallel()
	down := newHook(t, nil)
	in := down.input()
	down.Close()
	_, beat, err := down.attempt(t, in)
	retried(t, err, webhook.NoConnection)
	require.Nil(t, beat[0].StatusCode)

	slow := newHook(t, nil)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	slow.answer = func(http.ResponseWriter) { <-release }
	in = slow.input()
	in.Timeout = batch.Duration(50 * time.Millisecond)
	_, beat, err = slow.attempt(t, in)
	retried(t, err, webhook.Timeout)
	require.Equal(t, "no answer within 50ms", beat[0].Error.Message)
}

func TestWithoutASecretNothingIsSentAndTheLogSaysWhy(t *testing.T) {
	t.Parallel()
	h := newHook(t, answering(http.StatusOK, "", ""))
	h.a.Webhooks.Key = func(string) (webhook.Key, error) { return webhook.Key{}, errors.New("set HEADRACE_WEBHOOK_SECRET") }
	_, beat, err := h.attempt(t, h.input())
	retried(t, err, webhook.NoSecret)
	require.Equal(t, "set HEADRACE_WEBHOOK_SECRET", beat[0].Error.Message)
	h.a.Webhooks = activities.Webhooks{}
	_, _, err = h.attempt(t, h.input())
	retried(t, err, webhook.NoSecret)
	require.Empty(t, h.got)
}

func TestAWorkerThatStopsLeavesNoMarkOnTheReceiver(t *testing.T) {
	t.Parallel()
	h := newHook(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	h.answer = func(http.ResponseWriter) {
		cancel()
		<-release
	}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivityWithOptions(func(inner context.Context, in activities.DeliverInput) (webhook.Delivery, error) {
		inner, stop := context.WithCancel(inner)
		defer context.AfterFunc(ctx, stop)()
		return h.a.Deliver(inner, in)
	}, activity.RegisterOptions{Name: activities.NameDeliver})
	_, err := env.ExecuteActivity(activities.NameDeliver, h.input())
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, "stopping", app.Type())
}
