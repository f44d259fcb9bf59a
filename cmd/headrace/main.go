// Command headrace runs LLM calls in the background, durably. Run it without
// arguments for help.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(execute(context.Background(), program{
		args: os.Args[1:], env: os.Getenv, stdout: os.Stdout, stderr: os.Stderr,
	}))
}
