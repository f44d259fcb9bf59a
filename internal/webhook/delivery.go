package webhook

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Delivery is one event on its way to one URL, as clients see it. Its log has
// an entry for every attempt.
type Delivery struct {
	ID        string `json:"id"`
	Object    string `json:"object"` // always "webhook.delivery"
	Status    Status `json:"status"`
	CreatedAt int64  `json:"created_at"` // unix seconds
	// FinishedAt is when it was delivered or given up; null before.
	FinishedAt *int64 `json:"finished_at"`
	// NextAttemptAt is when it will be tried again; null while it is tried, and
	// afterwards.
	NextAttemptAt *int64 `json:"next_attempt_at"`
	URL           string `json:"url"`
	Event         Event  `json:"event"`
	// Redelivers is the id of the delivery that somebody asked to repeat; null
	// for one that an event has begun.
	Redelivers *string   `json:"redelivers"`
	Attempts   []Attempt `json:"attempts"`
}

// Status is how far a delivery has come.
type Status string

// Statuses of deliveries.
const (
	InProgress Status = "in_progress"
	Delivered  Status = "delivered"
	Failed     Status = "failed"
)

// ObjectDelivery is the "object" of a Delivery.
const ObjectDelivery = "webhook.delivery"

// Attempt is one try to deliver an event.
type Attempt struct {
	StartedAt  int64 `json:"started_at"` // unix seconds
	DurationMS int64 `json:"duration_ms"`
	// StatusCode is the receiver's; null if there was no answer.
	StatusCode *int `json:"status_code"`
	// Error is null if the receiver has accepted the event.
	Error *Error `json:"error"`
	// Answer is the beginning of what the receiver had to say.
	Answer string `json:"answer"`
}

// Error is why an attempt failed.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Code names a kind of Error.
type Code string

// Codes of errors. After NotAllowed and Gone there is no other attempt.
const (
	// BadStatus: the receiver's answer is no 2xx. Redirects are not followed.
	BadStatus Code = "bad_status"
	// Gone: the receiver answered 410, by which it asks for no more.
	Gone Code = "gone"
	// Timeout: there was no answer in time.
	Timeout Code = "timeout"
	// NoConnection: the receiver could not be reached, or the connection broke.
	NoConnection Code = "no_connection"
	// NotAllowed: the rules for outgoing calls do not allow the URL.
	NotAllowed Code = "not_allowed"
	// NoSecret: there is nothing to sign with.
	NoSecret Code = "no_secret"
	// Interrupted: the workflow of the delivery has ended before its time.
	Interrupted Code = "interrupted"
)

// Log is bounded: so much of an answer is kept, and that of so many attempts.
const (
	answerBytes = 1 << 10
	answersKept = 10
)

// NewDelivery is the beginning of a delivery.
func NewDelivery(id string, e Event, url string, createdAt int64) Delivery {
	return Delivery{
		ID: id, Object: ObjectDelivery, Status: InProgress, CreatedAt: createdAt, URL: url, Event: e, Attempts: []Attempt{},
	}
}

// WorkflowID is the id of the workflow that carries the delivery out. An event
// of one type happens to an object once, so that to begin its delivery twice is
// harmless.
func (d Delivery) WorkflowID() string {
	if d.Redelivers != nil {
		return "webhook_" + d.ID
	}
	return "webhook_" + d.Event.Data.ID + "_" + string(d.Event.Type)
}

// Log adds an attempt to a log and returns it. Of old attempts it keeps no
// answers.
func Log(log []Attempt, a Attempt) []Attempt {
	a.Answer = clip(a.Answer)
	log = append(slices.Clip(log), a)
	if i := len(log) - 1 - answersKept; i >= 0 {
		log[i].Answer = ""
	}
	return log
}

// clip is the beginning of s, and valid UTF-8.
func clip(s string) string {
	if len(s) > answerBytes {
		s = s[:answerBytes]
		for n := 1; n < utf8.UTFMax && n <= len(s); n++ { // not half a character at the end
			if r := s[len(s)-n]; utf8.RuneStart(r) {
				if !utf8.FullRuneInString(s[len(s)-n:]) {
					s = s[:len(s)-n]
				}
				break
			}
		}
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
