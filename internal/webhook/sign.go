package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/headrace/internal/secret"
)

// Headers of a delivery, as Standard Webhooks names them.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// secretPrefix begins a secret whose rest is the key in base64.
const secretPrefix = "whsec_"

// Lengths of keys: those that NewSecret makes, and the least that the
// specification allows.
const (
	keyBytes      = 32
	leastKeyBytes = 24
)

// NewSecret makes a secret that nobody can guess.
func NewSecret() string {
	var b [keyBytes]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return secretPrefix + base64.StdEncoding.EncodeToString(b[:])
}

// Key signs deliveries.
type Key struct{ key secret.String }

// ParseSecret reads a secret: "whsec_" and base64, or any other text, whose
// bytes are the key then. White space around it is passed over, since files end
// in a line break.
func ParseSecret(s secret.String) (Key, error) {
	text := strings.TrimSpace(s.Reveal())
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	if ok {
		key, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil || len(key) < leastKeyBytes {
			return Key{}, fmt.Errorf("a webhook secret that starts with %s must go on with at least %d bytes in base64", secretPrefix, leastKeyBytes)
		}
		text = string(key)
	}
	if text == "" {
		return Key{}, errors.New("the webhook secret is empty")
	}
	return Key{secret.New(text)}, nil
}

// Header returns the headers of one delivery of an event, signed now.
func (k Key) Header(id string, now time.Time, body []byte) http.Header {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(k.key.Reveal()))
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	return http.Header{
		"Content-Type":  {"application/json"},
		HeaderID:        {id},
		HeaderTimestamp: {at},
		HeaderSignature: {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}
}
