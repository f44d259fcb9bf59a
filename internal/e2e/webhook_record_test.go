package e2e_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/simulator"
)

// TestRecordHistoriesOfWebhooks is no test: see TestRecordHistories. It records
// a batch that has a receiver, and what becomes of the receiver's event.
func TestRecordHistoriesOfWebhooks(t *testing.T) {
	t.Parallel()
	dir := recordings(t)
	for name, answers := range map[string][]int{
		"webhook_delivered": {http.StatusBadGateway, http.StatusOK},
		"webhook_given_up":  {http.StatusGone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, func(n int) int { return answers[min(n, len(answers)-1)] })
			c := ground(t)
			env := []string{"HEADRACE_ALLOWED_PRIVATE=127.0.0.1", "HEADRACE_WEBHOOK_SECRET=" + hookSecret}
			front := c.role(env, "api", "--listen", "127.0.0.1:0")
			s := &system{url: front.await(front.stdout, `API (http://\S+)/v1`)}
			c.role(env, "worker", "--upstream", sim(t, simulator.Options{}).URL())
			id := s.create(t, s.upload(t, requests(3)), hook(r.url()))
			s.awaitDelivery(t, id, "has ended", func(d gjson.Result) bool { return d.Get("finished_at").Int() > 0 })
			saveHistory(t, filepath.Join(dir, name+"_batch.json"), c.histories(id)[0])
			saveHistory(t, filepath.Join(dir, name+".json"), c.histories("webhook_" + id + "_batch.completed")[0])
		})
	}
}
