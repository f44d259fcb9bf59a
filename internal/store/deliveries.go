package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/webhook"
)

// Keys of webhook deliveries.

func deliveryPrefix(project string) string  { return "webhooks/" + project + "/deliveries/" }
func deliveryKey(project, id string) string { return deliveryPrefix(project) + id + ".json" }

// SaveDelivery writes a delivery down and puts it into the listing of its
// project.
func (s *Store) SaveDelivery(ctx context.Context, project string, d webhook.Delivery) error {
	return s.PutJSON(ctx, deliveryKey(project, d.ID), d)
}

// Delivery returns a delivery as it was written down last, or ErrNotFound.
func (s *Store) Delivery(ctx context.Context, project, id string) (webhook.Delivery, error) {
	var d webhook.Delivery
	if !openai.ValidID(webhook.PrefixDelivery, id) {
		return d, fmt.Errorf("read delivery %q: %w", id, ErrNotFound)
	}
	return d, s.GetJSON(ctx, deliveryKey(project, id), &d)
}

// DeliveryIDs yields the ids of all deliveries of a project, newest first.
func (s *Store) DeliveryIDs(ctx context.Context, project string) iter.Seq2[string, error] {
	return s.ids(ctx, deliveryPrefix(project))
}
