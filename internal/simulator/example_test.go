package simulator_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/headrace/headrace/internal/simulator"
)

// A simulator on a free port, of which the first call with this body fails.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	run, err := simulator.Start(ctx, "127.0.0.1:0", simulator.Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	body := `{"model":"gpt-4o-mini","user":"sim:fail=1;status=503","messages":[{"role":"user","content":"Hello"}]}`
	for range 2 {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, run.URL()+"/chat/completions", strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(resp.StatusCode)
		_ = resp.Body.Close()
	}
	fmt.Println(run.Calls([]byte(body)), "calls,", run.Successes([]byte(body)), "success")
	if err := run.Stop(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 503
	// 200
	// 2 calls, 1 success
}
