package openai

// Status is the state of a batch.
type Status string

// The states of a batch. Failed means that the input did not pass validation
// and nothing was called; a batch whose every request failed is Completed.
const (
	Validating Status = "validating"
	Failed     Status = "failed"
	InProgress Status = "in_progress"
	Finalizing Status = "finalizing"
	Completed  Status = "completed"
	Expired    Status = "expired"
	Cancelling Status = "cancelling"
	Cancelled  Status = "cancelled"
)

// Final reports whether a batch in this state changes no more.
func (s Status) Final() bool {
	switch s {
	case Failed, Completed, Expired, Cancelled:
		return true
	case Validating, InProgress, Finalizing, Cancelling:
		return false
	default:
		return false
	}
}

// Batch is an object of the Batch API. Times are unix seconds, null until they
// happen.
type Batch struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"` // always "batch"
	Endpoint         Endpoint          `json:"endpoint"`
	Model            *string           `json:"model"` // null when requests name several
	Errors           *BatchErrors      `json:"errors"`
	InputFileID      string            `json:"input_file_id"`
	CompletionWindow string            `json:"completion_window"`
	Status           Status            `json:"status"`
	OutputFileID     *string           `json:"output_file_id"`
	ErrorFileID      *string           `json:"error_file_id"`
	CreatedAt        int64             `json:"created_at"`
	InProgressAt     *int64            `json:"in_progress_at"`
	ExpiresAt        *int64            `json:"expires_at"`
	FinalizingAt     *int64            `json:"finalizing_at"`
	CompletedAt      *int64            `json:"completed_at"`
	FailedAt         *int64            `json:"failed_at"`
	ExpiredAt        *int64            `json:"expired_at"`
	CancellingAt     *int64            `json:"cancelling_at"`
	CancelledAt      *int64            `json:"cancelled_at"`
	RequestCounts    RequestCounts     `json:"request_counts"`
	Usage            *Usage            `json:"usage"`
	Metadata         map[string]string `json:"metadata"`
}

// ObjectBatch is the object field of a Batch.
const ObjectBatch = "batch"

// RequestCounts counts a batch's requests. Requests that were never made,
// because the batch was cancelled or expired, are in Total alone.
type RequestCounts struct {
	Total     int64 `json:"total"`
	Completed int64 `json:"completed"`
	Failed    int64 `json:"failed"`
}

// Usage sums the tokens of a batch's responses.
type Usage struct {
	InputTokens         int64               `json:"input_tokens"`
	InputTokensDetails  InputTokensDetails  `json:"input_tokens_details"`
	OutputTokens        int64               `json:"output_tokens"`
	OutputTokensDetails OutputTokensDetails `json:"output_tokens_details"`
	TotalTokens         int64               `json:"total_tokens"`
}

// InputTokensDetails is part of Usage.
type InputTokensDetails struct {
	CachedTokens int64 `json:"cached_tokens"`
}

// OutputTokensDetails is part of Usage.
type OutputTokensDetails struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

// Add adds o to u.
func (u *Usage) Add(o Usage) {
	u.InputTokens += o.InputTokens
	u.InputTokensDetails.CachedTokens += o.InputTokensDetails.CachedTokens
	u.OutputTokens += o.OutputTokens
	u.OutputTokensDetails.ReasoningTokens += o.OutputTokensDetails.ReasoningTokens
	u.TotalTokens += o.TotalTokens
}

// BatchErrors lists why a batch failed validation.
type BatchErrors struct {
	Object string       `json:"object"` // always "list"
	Data   []BatchError `json:"data"`
}

// BatchError is one reason why a batch failed validation. Line counts from 1;
// it is null for an error of the whole file.
type BatchError struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
	Line    *int64  `json:"line"`
}

// Codes of a BatchError.
const (
	CodeInvalidJSONLine      = "invalid_json_line"
	CodeInvalidRequest       = "invalid_request"
	CodeInvalidURL           = "invalid_url"
	CodeStreamingUnsupported = "streaming_unsupported"
	CodeDuplicateCustomID    = "duplicate_custom_id"
	CodeEmptyFile            = "empty_file"
)

// Codes in the error file of requests that were never made.
const (
	CodeBatchExpired   = "batch_expired"
	CodeBatchCancelled = "batch_cancelled"
)
