package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
)

// Queues returns all queues by name.
func (c *Client) Queues(ctx context.Context) (openai.List[queue.Object], error) {
	var list openai.List[queue.Object]
	return list, c.get(ctx, "/queues", &list)
}

// Queue returns a queue as it is now and, unless task is "", the place of that
// task in it.
func (c *Client) Queue(ctx context.Context, name, task string) (queue.Object, error) {
	path := queuePath(name)
	if task != "" {
		path += "?" + url.Values{"task": {task}}.Encode()
	}
	var o queue.Object
	return o, c.get(ctx, path, &o)
}

// ChangeQueue changes those settings of a queue that are named, as the API names
// them, and returns the queue. A nil takes a limit away.
func (c *Client) ChangeQueue(ctx context.Context, name string, settings map[string]any) (queue.Object, error) {
	var o queue.Object
	return o, c.sendJSON(ctx, http.MethodPatch, queuePath(name), settings, &o)
}

func queuePath(name string) string { return "/queues/" + url.PathEscape(name) }
