package openai

// Purpose says what a file is for.
type Purpose string

// Purposes of files. A batch reads PurposeBatch and writes PurposeBatchOutput;
// the others can be uploaded and read back, and nothing here uses them.
const (
	PurposeAssistants  Purpose = "assistants"
	PurposeBatch       Purpose = "batch"
	PurposeBatchOutput Purpose = "batch_output"
	PurposeFineTune    Purpose = "fine-tune"
	PurposeVision      Purpose = "vision"
	PurposeUserData    Purpose = "user_data"
	PurposeEvals       Purpose = "evals"
)

// UploadPurposes lists the purposes that POST /v1/files takes.
func UploadPurposes() []Purpose {
	return []Purpose{PurposeAssistants, PurposeBatch, PurposeFineTune, PurposeVision, PurposeUserData, PurposeEvals}
}

// File is an object of the Files API. Times are unix seconds.
type File struct {
	ID            string  `json:"id"`
	Object        string  `json:"object"` // always "file"
	Bytes         int64   `json:"bytes"`
	CreatedAt     int64   `json:"created_at"`
	ExpiresAt     *int64  `json:"expires_at"`
	Filename      string  `json:"filename"`
	Purpose       Purpose `json:"purpose"`
	Status        string  `json:"status"` // "processed"; deprecated, but SDKs require it
	StatusDetails *string `json:"status_details"`
}

// ObjectFile and StatusProcessed are the constant fields of a File.
const (
	ObjectFile      = "file"
	StatusProcessed = "processed"
)

// Deleted answers a DELETE.
type Deleted struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

// List is one page of a listing. SDKs ask for the next page with after set to
// the id of the last element.
type List[T any] struct {
	Object  string  `json:"object"` // always "list"
	Data    []T     `json:"data"`
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

// NewList makes a page of data; id tells an element's id.
func NewList[T any](data []T, hasMore bool, id func(T) string) List[T] {
	l := List[T]{Object: "list", Data: data, HasMore: hasMore}
	if len(data) == 0 {
		l.Data = []T{} // [] rather than null
		return l
	}
	first, last := id(data[0]), id(data[len(data)-1])
	l.FirstID, l.LastID = &first, &last
	return l
}
