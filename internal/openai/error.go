package openai

import (
	"fmt"
	"net/http"
)

// Error is the error of the OpenAI API: what stands in the envelope, and the
// HTTP status that it travels with.
type Error struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`

	// Status is the HTTP status code.
	Status int `json:"-"`
	// NoRetry asks SDKs not to retry although the status says they may: it
	// becomes the header "x-should-retry: false". They retry 409 otherwise.
	NoRetry bool `json:"-"`
}

// Envelope is the body of an error response.
type Envelope struct {
	Error *Error `json:"error"`
}

// Error implements the error interface.
func (e *Error) Error() string { return e.Message }

// Types of errors, as the OpenAI API names them.
const (
	TypeInvalidRequest = "invalid_request_error"
	TypeServer         = "server_error"
	TypeUnavailable    = "service_unavailable_error"
)

// Codes of errors that clients compare against.
const (
	CodeMissingParameter = "missing_required_parameter"
	CodeInvalidValue     = "invalid_value"
	CodeInvalidType      = "invalid_type"
	CodeUnknownParameter = "unknown_parameter"
)

// InvalidRequest returns a 400 with a param and a code; an empty param or code
// is sent as null.
func InvalidRequest(param, code, format string, args ...any) *Error {
	return &Error{
		Message: fmt.Sprintf(format, args...), Type: TypeInvalidRequest,
		Param: orNull(param), Code: orNull(code), Status: http.StatusBadRequest,
	}
}

// MissingParameter returns the 400 for a parameter that was not sent.
func MissingParameter(param string) *Error {
	return InvalidRequest(param, CodeMissingParameter, "Missing required parameter: '%s'.", param)
}

// NotFound returns a 404.
func NotFound(param, format string, args ...any) *Error {
	e := InvalidRequest(param, "", format, args...)
	e.Status = http.StatusNotFound
	return e
}

// Conflict returns a 409 that SDKs are told not to retry.
func Conflict(format string, args ...any) *Error {
	e := InvalidRequest("", "", format, args...)
	e.Status, e.NoRetry = http.StatusConflict, true
	return e
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
