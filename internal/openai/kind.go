package openai

import (
	"bytes"
	"fmt"
)

// Kind is the type of a JSON value, in the words of OpenAI's messages.
type Kind string

// Kinds of JSON values.
const (
	KindAbsent  Kind = "nothing"
	KindNull    Kind = "null"
	KindString  Kind = "a string"
	KindObject  Kind = "an object"
	KindArray   Kind = "an array"
	KindBoolean Kind = "a boolean"
	KindInteger Kind = "an integer"
	KindDecimal Kind = "a decimal number"
)

// KindOf tells the type of a valid JSON value, KindAbsent for no value at all.
func KindOf(raw []byte) Kind {
	if len(raw) == 0 {
		return KindAbsent
	}
	switch raw[0] {
	case '"':
		return KindString
	case '{':
		return KindObject
	case '[':
		return KindArray
	case 't', 'f':
		return KindBoolean
	case 'n':
		return KindNull
	}
	if bytes.ContainsAny(raw, ".eE") {
		return KindDecimal
	}
	return KindInteger
}

// InvalidTypeMessage says that a value is of the wrong type.
func InvalidTypeMessage(param string, want Kind, raw []byte) string {
	return fmt.Sprintf("Invalid type for '%s': expected %s, but got %s instead.", param, want, KindOf(raw))
}

// InvalidType returns the 400 for a parameter of the wrong type.
func InvalidType(param string, want Kind, raw []byte) *Error {
	return InvalidRequest(param, CodeInvalidType, "%s", InvalidTypeMessage(param, want, raw))
}
