package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/llm"
)

// models lets the API list a provider's models.
type models struct{ llm.ModelLister }

// Models implements api.ModelLister.
func (m models) Models(ctx context.Context, name string) (api.ModelAnswer, error) {
	var r llm.Response
	var err error
	if name == "" {
		r, err = m.ModelLister.Models(ctx)
	} else {
		r, err = m.Model(ctx, name)
	}
	e, failed := errors.AsType[*llm.Error](err)
	switch {
	case err == nil:
	case !failed:
		return api.ModelAnswer{}, err
	case e.Status == 0 && e.Kind == llm.Permanent:
		return api.ModelAnswer{}, api.ErrNoModelName
	case e.Status == 0:
		return api.ModelAnswer{}, e
	default:
		r = llm.Response{Status: e.Status, Header: e.Header, Body: e.Body}
	}
	return api.ModelAnswer{
		Status: r.Status, ContentType: cmp.Or(r.Header.Get("Content-Type"), "application/json"), Body: r.Body,
	}, nil
}
