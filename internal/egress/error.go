package egress

import (
	"errors"
	"fmt"
)

// ErrForbidden is what errors of calls that the rules do not allow are. No
// retry mends them.
var ErrForbidden = errors.New("not allowed")

// ErrTooLarge is returned with the first bytes of an answer that is larger than
// the client takes.
var ErrTooLarge = errors.New("the answer is too large")

// Reason says in one word why a call is not allowed.
type Reason string

// Reasons why a call is not allowed. The first ones are of URLs, the others of
// addresses.
const (
	Malformed   Reason = "malformed"
	Scheme      Reason = "scheme"
	Credentials Reason = "credentials"
	Unlisted    Reason = "unlisted"
	Downgrade   Reason = "downgrade"
	Unencrypted Reason = "unencrypted"

	Loopback    Reason = "loopback"
	Private     Reason = "private"
	Shared      Reason = "shared"
	LinkLocal   Reason = "link-local"
	Unspecified Reason = "unspecified"
	Multicast   Reason = "multicast"
	Metadata    Reason = "metadata"
	Reserved    Reason = "reserved"
)

// ForbiddenError is the ErrForbidden of one call.
type ForbiddenError struct {
	Reason  Reason
	Message string
}

func forbid(r Reason, format string, args ...any) *ForbiddenError {
	return &ForbiddenError{Reason: r, Message: fmt.Sprintf(format, args...)}
}

// Error implements the error interface.
func (e *ForbiddenError) Error() string { return e.Message }

// Is makes every ForbiddenError an ErrForbidden.
func (e *ForbiddenError) Is(target error) bool { return target == ErrForbidden }
