package activities

import (
	"context"
	"time"

	"github.com/tidwall/gjson"
	"go.temporal.io/sdk/client"

	"github.com/headrace/headrace/internal/task"
	"github.com/headrace/headrace/internal/webhook"
)

// TellOfTask returns a function that begins to deliver the end of a task to the
// task's webhook, see runner.Options. It tries until ctx ends.
func TellOfTask(c client.Client) func(ctx context.Context, project string, o task.Object) error {
	return func(ctx context.Context, project string, o task.Object) error {
		t, subject := eventOf(o)
		event := webhook.NewEvent(t, subject, time.Now())
		return patiently(ctx, func() error { return notify(ctx, c, event, *o.Webhook, project) })
	}
}

// eventOf is what has happened to whom. A background response is known to its
// clients by another id, and ends as its body says.
func eventOf(o task.Object) (webhook.Type, string) {
	if o.ResponseID == "" {
		return webhook.Type("task." + string(o.Status)), o.ID
	}
	t := webhook.Type("response." + string(o.Status))
	if o.Result != nil && o.Status == task.Completed {
		if named := webhook.Type("response." + gjson.GetBytes(o.Result.Body, "status").String()); named.Valid() {
			t = named
		}
	}
	return t, o.ResponseID
}
