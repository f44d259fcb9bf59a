package api

import (
	"fmt"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
)

// payloads reads what Temporal keeps: memos, inputs, heartbeats. Whoever reads a
// payload that the SDK's client does not decode itself does it here.
type payloads struct{ converter converter.DataConverter }

// decode reads a payload into v.
func (p payloads) decode(payload *common.Payload, v any) error {
	if err := p.converter.FromPayload(payload, v); err != nil {
		return fmt.Errorf("decode payload: %w", err)
	}
	return nil
}
