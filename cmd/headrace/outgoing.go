package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/internal/config"
	"github.com/headrace/headrace/internal/egress"
	"github.com/headrace/headrace/internal/secret"
	"github.com/headrace/headrace/internal/version"
	"github.com/headrace/headrace/internal/webhook"
)

// outgoing is what a process needs for calls to URLs that users give.
type outgoing struct {
	config.Outgoing

	keys *config.WebhookKeys
}

// newOutgoing makes the rules of a configuration.
func newOutgoing(c config.Config, env config.Env) (outgoing, error) {
	rules, err := config.NewOutgoing(c)
	if err != nil {
		return outgoing{}, usageError{err}
	}
	keys, err := config.NewWebhookKeys(c, env)
	if err != nil {
		return outgoing{}, usageError{err}
	}
	return outgoing{Outgoing: rules, keys: keys}, nil
}

// secretFile is below --data.
const secretFile = "webhook-secret"

// keepSecret makes a secret that signs webhooks and keeps it in data, unless
// one is there or configured.
func (o outgoing) keepSecret(data string) error {
	if o.keys.Configured() {
		return nil
	}
	path := filepath.Join(data, secretFile)
	text, err := os.ReadFile(path) //nolint:gosec // of our own folder
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(webhook.NewSecret() + "\n")
		err = writeSecret(path, text)
	}
	if err != nil {
		return fmt.Errorf("webhook secret: %w", err)
	}
	s := secret.New(string(text))
	if _, err := webhook.ParseSecret(s); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	o.keys.FallBack(s)
	return nil
}

// writeSecret writes a file that only its owner can read, whole or not at all.
func writeSecret(path string, text []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), secretFile+"-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = temporary.Write(text)
	if err == nil {
		err = temporary.Sync()
	}
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
	}
	return err
}

// Bounds of calls to URLs that users give.
const (
	taskRedirects = 5
	// webhookAnswer is how much of a receiver's answer is read.
	webhookAnswer = 4 << 10
)

// webhooks returns what delivers webhooks from this process.
func (s *stack) webhooks() activities.Webhooks {
	client := egress.New(s.outgoing.Webhooks, egress.Options{MaxBody: webhookAnswer, UserAgent: version.UserAgent()})
	s.onStop(func(context.Context) { client.Close() })
	return activities.Webhooks{Client: client, Key: s.outgoing.keys.Key}
}

// httpTasks returns what makes the calls of HTTP tasks.
func (s *stack) httpTasks() *egress.Client {
	client := egress.New(s.outgoing.Tasks, egress.Options{Redirects: taskRedirects, UserAgent: version.UserAgent()})
	s.onStop(func(context.Context) { client.Close() })
	return client
}
