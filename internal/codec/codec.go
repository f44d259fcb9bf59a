package codec

import (
	"fmt"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/headrace/internal/seal"
)

// Encoding is how payloads that are sealed say so, in their metadata.
const Encoding = "binary/headrace-sealed"

// purpose binds what is sealed to being a payload. A codec is not told of which
// workflow, so that nothing else can be bound.
const purpose = "headrace payload 1"

// codec implements converter.PayloadCodec.
type codec struct{ keys *seal.Keys }

// New returns a codec that seals payloads with the first of keys, metadata and
// all, and opens what any of them has sealed. Payloads that are not sealed stay
// as they are, so that encryption can be switched on for workflows that run. So
// it seals nothing without keys, and then still knows what it cannot open: an
// error is *seal.UnknownKeyError or seal.ErrForged.
func New(keys *seal.Keys) converter.PayloadCodec { return codec{keys} }

// Encode implements converter.PayloadCodec.
func (c codec) Encode(payloads []*common.Payload) ([]*common.Payload, error) {
	if c.keys == nil {
		return payloads, nil
	}
	return each(payloads, func(p *common.Payload) (*common.Payload, error) {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encode payload: %w", err)
		}
		return &common.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(Encoding)},
			Data:     c.keys.Seal(plain, []byte(purpose)),
		}, nil
	})
}

// Decode implements converter.PayloadCodec.
func (c codec) Decode(payloads []*common.Payload) ([]*common.Payload, error) {
	return each(payloads, func(p *common.Payload) (*common.Payload, error) {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != Encoding {
			return p, nil
		}
		plain, err := c.keys.Open(p.GetData(), []byte(purpose))
		if err != nil {
			return nil, fmt.Errorf("open payload: %w", err)
		}
		opened := &common.Payload{}
		if err := proto.Unmarshal(plain, opened); err != nil {
			return nil, fmt.Errorf("decode payload: %w", err)
		}
		return opened, nil
	})
}

// each changes payloads one by one.
func each(payloads []*common.Payload, change func(*common.Payload) (*common.Payload, error)) ([]*common.Payload, error) {
	changed := make([]*common.Payload, len(payloads))
	for i, p := range payloads {
		var err error
		if changed[i], err = change(p); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// strict is a codec for the code of workflows. The SDK takes an input that cannot
// be read for the failure of its workflow, and a signal for one that was not sent.
// A panic stops the workflow instead until a worker comes that has the key.
type strict struct{ converter.PayloadCodec }

// Decode implements converter.PayloadCodec.
func (s strict) Decode(payloads []*common.Payload) ([]*common.Payload, error) {
	opened, err := s.PayloadCodec.Decode(payloads)
	if err != nil {
		panic(err)
	}
	return opened, nil
}
