package batch

// Command is what a client tells a batch that runs: it replaces what is set. Obeyed
// twice it does no more than once, and of several the last one wins.
type Command struct {
	Paused *bool `json:"paused,omitempty"`
	// CompletionWindow is set together with ExpiresAt, which it comes to.
	CompletionWindow *string `json:"completion_window,omitempty"`
	ExpiresAt        *int64  `json:"expires_at,omitempty"` // unix seconds

	MaxConcurrency *int    `json:"max_concurrency,omitempty"`
	Queue          *string `json:"queue,omitempty"`
	Priority       *int    `json:"priority,omitempty"`
}

// Pause and Resume are commands to stop making calls and to go on.
func Pause() Command { return Command{Paused: new(true)} }

// Resume takes back Pause.
func Resume() Command { return Command{Paused: new(false)} }

// messagePaused tells what a paused batch waits for.
const messagePaused = "The batch is paused. Calls in flight finish, and no other begins until it is resumed."

// Obey is o as a command leaves it, at a time in unix seconds.
func (o Object) Obey(c Command, now int64) Object {
	own := &o.Headrace
	if c.Paused != nil && *c.Paused != own.Paused {
		own.Paused, own.WaitingOn = *c.Paused, nil
		if own.Paused {
			own.WaitingOn = &WaitingOn{Reason: Paused, Message: messagePaused, Since: now}
		}
	}
	set(&o.CompletionWindow, c.CompletionWindow)
	if c.ExpiresAt != nil {
		o.ExpiresAt = c.ExpiresAt
	}
	set(&own.MaxConcurrency, c.MaxConcurrency)
	set(&own.Queue, c.Queue)
	if c.Priority != nil {
		own.Priority = c.Priority
	}
	return o
}

// Unpaused is o without a pause, which means nothing to a batch that ends.
func (o Object) Unpaused() Object {
	if o.Headrace.Paused {
		o.Headrace.Paused, o.Headrace.WaitingOn = false, nil
	}
	return o
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}
