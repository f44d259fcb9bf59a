package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
)

// models lets the API list the models of all providers.
type models struct {
	all []llm.ModelLister
	// first is the number of the one that calls of a model go to.
	first func(model string) int
}

// newModels lists the models of routes whose providers list any.
func newModels(routes []dispatch.Route) models {
	m, names, d := models{}, map[string]int{}, dispatch.New(nil, routes...)
	for _, route := range routes {
		if lister, ok := route.Provider.(llm.ModelLister); ok {
			names[route.Name] = len(m.all)
			m.all = append(m.all, lister)
		}
	}
	m.first = func(model string) int { return names[d.Target(limit.Ticket{Model: model})] }
	return m
}

// listTimeout bounds how long one of several providers may take, so that the others
// can be told without it.
const listTimeout = 10 * time.Second

// Models implements api.ModelLister.
func (m models) Models(ctx context.Context, name string) (api.ModelAnswer, error) {
	switch {
	case name != "":
		return m.one(ctx, name)
	case len(m.all) == 1:
		return answerOf(m.all[0].Models(ctx))
	default:
		return m.merged(ctx)
	}
}

// one is what the provider says of a model that calls of it go to or, if that does
// not know it, any other one.
func (m models) one(ctx context.Context, name string) (api.ModelAnswer, error) {
	first := m.first(name)
	answer, err := answerOf(m.all[first].Model(ctx, name))
	for i := 0; i < len(m.all) && (err != nil || answer.Status >= http.StatusBadRequest); i++ {
		if i == first {
			continue
		}
		if other, err := answerOf(m.all[i].Model(ctx, name)); err == nil && other.Status < http.StatusBadRequest {
			return other, nil
		}
	}
	return answer, err
}

// merged is the list of all models: those of a provider that does not answer are left
// out. If none answers, it is what the first one has said.
func (m models) merged(ctx context.Context) (api.ModelAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	answers, errs := make([]api.ModelAnswer, len(m.all)), make([]error, len(m.all))
	var asked sync.WaitGroup
	for i, lister := range m.all {
		asked.Go(func() { answers[i], errs[i] = answerOf(lister.Models(ctx)) })
	}
	asked.Wait()
	list, known := []json.RawMessage{}, map[string]bool{}
	answered := false
	for i, answer := range answers {
		data := gjson.GetBytes(answer.Body, "data")
		if errs[i] != nil || answer.Status >= http.StatusBadRequest || !data.IsArray() {
			continue
		}
		answered = true
		for _, model := range data.Array() {
			if id := model.Get("id").Str; !known[id] {
				known[id] = true
				list = append(list, json.RawMessage(model.Raw))
			}
		}
	}
	if !answered {
		return answers[0], errs[0]
	}
	body, err := json.Marshal(map[string]any{"object": "list", "data": list})
	return api.ModelAnswer{Status: http.StatusOK, ContentType: jsonType, Body: body}, err
}

const jsonType = "application/json"

// answerOf is a provider's answer in the words of the API.
func answerOf(r llm.Response, err error) (api.ModelAnswer, error) {
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
		Status: r.Status, ContentType: cmp.Or(r.Header.Get("Content-Type"), jsonType), Body: r.Body,
	}, nil
}
