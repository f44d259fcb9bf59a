package jsonl

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/headrace/headrace/internal/jsonscan"
	"github.com/headrace/headrace/internal/openai"
)

// Names of fields, as the param of an error has them.
const (
	paramCustomID = "custom_id"
	paramMethod   = "method"
	paramURL      = "url"
	paramBody     = "body"
	paramModel    = "body.model"
	paramMessages = "body.messages"
	paramInput    = "body.input"
	paramStream   = "body.stream"
)

// checkText parses text into f and returns the first problem of the line, nil
// if it is a good request for endpoint. The line of the error is not set.
func checkText(text []byte, endpoint openai.Endpoint, f *fields) *openai.BatchError {
	switch {
	case !f.parse(text):
		return problem(openai.CodeInvalidJSONLine, "", "This line is not parseable as valid JSON.")
	case openai.KindOf(text) != openai.KindObject:
		return problem(openai.CodeInvalidJSONLine, "", "This line is not a JSON object.")
	}
	for _, check := range []func(*fields, openai.Endpoint) *openai.BatchError{
		checkCustomID, checkMethod, checkURL, checkBody, checkModel, checkPrompt, checkStream,
	} {
		if err := check(f, endpoint); err != nil {
			return err
		}
	}
	return nil
}

func checkCustomID(f *fields, _ openai.Endpoint) *openai.BatchError {
	if err := checkKind(paramCustomID, f.customID, openai.KindString); err != nil {
		return err
	}
	if len(f.customID) == len(`""`) {
		return problem(openai.CodeInvalidValue, paramCustomID, "Invalid 'custom_id': empty string. "+
			"Expected a string with minimum length 1, but got an empty string instead.")
	}
	return nil
}

func checkMethod(f *fields, _ openai.Endpoint) *openai.BatchError {
	if err := checkKind(paramMethod, f.method, openai.KindString); err != nil {
		return err
	}
	if method := jsonscan.Unquote(f.method); string(method) != http.MethodPost {
		return problem(openai.CodeInvalidValue, paramMethod,
			"Invalid value: '%.64s'. Supported values are: 'POST'.", method)
	}
	return nil
}

func checkURL(f *fields, endpoint openai.Endpoint) *openai.BatchError {
	if err := checkKind(paramURL, f.url, openai.KindString); err != nil {
		return err
	}
	if string(jsonscan.Unquote(f.url)) != string(endpoint) {
		return problem(openai.CodeInvalidURL, paramURL, "The URL provided for this request does not match the batch endpoint.")
	}
	return nil
}

func checkBody(f *fields, _ openai.Endpoint) *openai.BatchError {
	return checkKind(paramBody, f.body, openai.KindObject)
}

func checkModel(f *fields, endpoint openai.Endpoint) *openai.BatchError {
	switch openai.KindOf(f.model) {
	case openai.KindAbsent, openai.KindNull:
	case openai.KindString:
		if len(f.model) > len(`""`) {
			return nil
		}
	case openai.KindObject, openai.KindArray, openai.KindBoolean, openai.KindInteger, openai.KindDecimal:
		return wrongKind(paramModel, f.model, openai.KindString)
	}
	if endpoint == openai.Moderations {
		return nil // the one endpoint that has a default model
	}
	return problem(openai.CodeInvalidRequest, paramModel, "Model parameter is required.")
}

// checkPrompt looks for what the model is to work on. The Responses and
// Completions endpoints have bodies without any, so that it is left to the
// provider there.
func checkPrompt(f *fields, endpoint openai.Endpoint) *openai.BatchError {
	switch endpoint {
	case openai.ChatCompletions:
		if openai.KindOf(f.messages) != openai.KindArray || emptyArray(f.messages) {
			return problem(openai.CodeInvalidRequest, paramMessages, "Messages parameter is required.")
		}
	case openai.Embeddings, openai.Moderations:
		if k := openai.KindOf(f.input); k == openai.KindAbsent || k == openai.KindNull {
			return problem(openai.CodeInvalidRequest, paramInput, "Input parameter is required.")
		}
	case openai.Responses, openai.Completions:
	}
	return nil
}

// emptyArray reports whether a valid JSON array has no elements.
func emptyArray(raw []byte) bool {
	return len(bytes.TrimLeft(raw[1:], blanks)) == 1
}

func checkStream(f *fields, endpoint openai.Endpoint) *openai.BatchError {
	if string(f.stream) == "true" {
		return problem(openai.CodeStreamingUnsupported, paramStream,
			"%s: Streaming is not supported in the Batch API.", endpoint.Title())
	}
	return nil
}

// checkKind asks for a value of kind want.
func checkKind(param string, raw []byte, want openai.Kind) *openai.BatchError {
	k := openai.KindOf(raw)
	if k == want {
		return nil
	}
	if k == openai.KindAbsent || k == openai.KindNull {
		return problem(openai.CodeMissingParameter, param, "Missing required parameter: '%s'.", param)
	}
	return wrongKind(param, raw, want)
}

func wrongKind(param string, raw []byte, want openai.Kind) *openai.BatchError {
	return problem(openai.CodeInvalidType, param, "%s", openai.InvalidTypeMessage(param, want, raw))
}

// problem makes an error of a line; an empty param is sent as null.
func problem(code, param, format string, args ...any) *openai.BatchError {
	e := &openai.BatchError{Code: code, Message: fmt.Sprintf(format, args...)}
	if param != "" {
		e.Param = &param
	}
	return e
}
