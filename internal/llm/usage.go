package llm

import (
	"strconv"

	"github.com/headrace/headrace/internal/jsonscan"
	"github.com/headrace/headrace/internal/openai"
)

// UsageOf returns the tokens that a response says it cost, in the words of
// chat completions (prompt and completion) or of responses (input and output),
// and whether the response is valid JSON at all. A response without usage cost
// nothing that we know of.
func UsageOf(body []byte) (openai.Usage, bool) {
	var f usageFields
	valid := jsonscan.Scan(body, answer{&f})
	return f.usage(), valid
}

// usageFields are the numbers of a usage object, as they stand in the text.
type usageFields struct{ input, cached, output, reasoning, total []byte }

// known reports whether there was any.
func (f *usageFields) known() bool { return f.input != nil || f.output != nil || f.total != nil }

func (f *usageFields) usage() openai.Usage {
	return openai.Usage{
		InputTokens:         number(f.input),
		InputTokensDetails:  openai.InputTokensDetails{CachedTokens: number(f.cached)},
		OutputTokens:        number(f.output),
		OutputTokensDetails: openai.OutputTokensDetails{ReasoningTokens: number(f.reasoning)},
		TotalTokens:         number(f.total),
	}
}

// answer, usage, inputDetails and outputDetails visit a response from its top
// down to the numbers.
type (
	answer        struct{ *usageFields }
	usage         struct{ *usageFields }
	inputDetails  struct{ *usageFields }
	outputDetails struct{ *usageFields }
)

// Member implements jsonscan.Visitor.
func (a answer) Member(name []byte) (*[]byte, jsonscan.Visitor) {
	if string(name) == "usage" {
		return nil, usage(a)
	}
	return nil, nil
}

// Member implements jsonscan.Visitor.
func (u usage) Member(name []byte) (*[]byte, jsonscan.Visitor) {
	switch string(name) {
	case "prompt_tokens", "input_tokens":
		return &u.input, nil
	case "completion_tokens", "output_tokens":
		return &u.output, nil
	case "total_tokens":
		return &u.total, nil
	case "prompt_tokens_details", "input_tokens_details":
		return nil, inputDetails(u)
	case "completion_tokens_details", "output_tokens_details":
		return nil, outputDetails(u)
	default:
		return nil, nil
	}
}

// Member implements jsonscan.Visitor.
func (d inputDetails) Member(name []byte) (*[]byte, jsonscan.Visitor) {
	if string(name) == "cached_tokens" {
		return &d.cached, nil
	}
	return nil, nil
}

// Member implements jsonscan.Visitor.
func (d outputDetails) Member(name []byte) (*[]byte, jsonscan.Visitor) {
	if string(name) == "reasoning_tokens" {
		return &d.reasoning, nil
	}
	return nil, nil
}

// number reads a count; what is none counts as 0.
func number(raw []byte) int64 {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}
