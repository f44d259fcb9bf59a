// Command headrace runs LLM calls in the background, durably. Run it without
// arguments for help.
package main

import (
	"context"
	"os"
	"runtime/debug"
)

// gcPercent lets the heap grow to three times what is live before it is
// collected, twice what Go does by default: with many small answers a second
// the collector is what costs most after the calls themselves.
const gcPercent = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(execute(context.Background(), program{
		args: os.Args[1:], env: os.Getenv, environ: os.Environ, stdout: os.Stdout, stderr: os.Stderr,
	}))
}
