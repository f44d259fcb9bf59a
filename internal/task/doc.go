// Package task says what a task is: one call with its own id, status and
// result. Spec is what was asked for, Object what clients see, Report what the
// runner tells the workflow.
//
// It imports internal/openai, internal/batch for words that both use, and no
// technology. Read id.go, spec.go, then object.go.
package task
