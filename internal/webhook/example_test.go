package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/headrace/headrace/internal/secret"
	"github.com/headrace/headrace/internal/webhook"
)

// Receiver hears of the end of batches and tasks. It is what docs/webhooks.md
// shows, and needs nothing but the standard library.
type Receiver struct {
	Key    []byte // what follows "whsec_", decoded from base64
	OnNews func(kind, id string)

	mu   sync.Mutex
	seen map[string]bool // a real receiver keeps this in its database
}

// ServeHTTP answers 204 to what it has heard, now or before, and 401 to what
// headrace has not signed.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, 1<<20))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	if err := r.verify(q.Header, body, time.Now()); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	var event struct {
		ID   string `json:"id"`
		Type string `json:"type"`
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.seen[event.ID] { // an event may come more than once
		r.OnNews(event.Type, event.Data.ID)
		r.seen[event.ID] = true
	}
	w.WriteHeader(http.StatusNoContent)
}

// verify checks that the body was signed with the key, and lately.
func (r *Receiver) verify(h http.Header, body []byte, now time.Time) error {
	id, at := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return errors.New("the timestamp is not of now")
	}
	mac := hmac.New(sha256.New, r.Key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for got := range strings.FieldsSeq(h.Get("webhook-signature")) {
		if hmac.Equal([]byte(got), []byte(want)) {
			return nil
		}
	}
	return errors.New("the signature does not match")
}

func Example_receiver() {
	const configured = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(configured, "whsec_"))
	server := httptest.NewServer(&Receiver{
		Key: key, seen: map[string]bool{}, OnNews: func(kind, id string) { fmt.Println("heard:", kind, id) },
	})
	defer server.Close()

	signer, _ := webhook.ParseSecret(secret.New(configured))
	event := webhook.NewEvent(webhook.BatchCompleted, "batch_1", time.Now())
	body, _ := event.Body()
	send := func(signed time.Time, body string) {
		q, _ := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
		q.Header = signer.Header(event.ID, signed, []byte(strings.TrimSpace(body)))
		res, err := http.DefaultClient.Do(q)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = res.Body.Close()
		fmt.Println(res.StatusCode)
	}
	send(time.Now(), string(body))
	send(time.Now(), string(body))                 // again: heard once
	send(time.Now(), string(body)+" ")             // changed on its way
	send(time.Now().Add(-time.Hour), string(body)) // of long ago

	// Output:
	// heard: batch.completed batch_1
	// 204
	// 204
	// 401
	// 401
}
