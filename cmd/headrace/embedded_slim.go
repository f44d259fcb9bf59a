//go:build slim

package main

import (
	"context"
	"errors"
)

// withoutEmbedded is for the help of commands that need the embedded Temporal:
// what there is to say in a build without it.
const withoutEmbedded = `

This build is slim: it has no embedded Temporal, so that 'run' needs --server and
'dev' does not work. 'api' and 'worker' run on a Temporal of your own.`

// startTemporal refuses, and says what to use instead.
func (*stack) startTemporal(context.Context, embedded) (string, error) {
	return "", usageError{errors.New("this build has no embedded Temporal: " +
		"use 'headrace run --server URL', or 'headrace api' and 'headrace worker' with a Temporal of your own")}
}
