package queue

// Allocator is the state of the books. Its fields are exported only so that it
// survives a continue-as-new as JSON; use the methods.
type Allocator struct {
	Name     string   `json:"name"`
	Settings Settings `json:"settings"`
}
