package codec

import (
	"context"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/headrace/headrace/internal/seal"
)

// dataConverter is a converter that knows when the code of a workflow uses it.
type dataConverter struct {
	converter.DataConverter

	workflows converter.DataConverter
}

// Converter returns the converter of everything that headrace gives to Temporal
// and takes from it: Temporal's own behind New. Clients and whoever decodes a
// payload by hand need it with and without keys: without, it says of sealed
// payloads which key is missing. A worker that lacks a key holds its workflows up,
// and fails none.
func Converter(keys *seal.Keys) converter.DataConverter {
	c, plain := New(keys), converter.GetDefaultDataConverter()
	return dataConverter{
		DataConverter: converter.NewCodecDataConverter(plain, c),
		workflows:     converter.NewCodecDataConverter(plain, strict{c}),
	}
}

// WithWorkflowContext implements converter.ContextAware.
func (d dataConverter) WithWorkflowContext(converter.WorkflowContext) converter.DataConverter {
	return d.workflows
}

// WithContext implements converter.ContextAware.
func (d dataConverter) WithContext(context.Context) converter.DataConverter { return d.DataConverter }

// FailureConverter returns the converter of failures. With keys, their messages
// and stack traces are sealed as payloads are, and Temporal shows "Encoded
// failure" instead; their types are not.
func FailureConverter(keys *seal.Keys) converter.FailureConverter {
	return temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter: Converter(keys), EncodeCommonAttributes: keys != nil,
	})
}
