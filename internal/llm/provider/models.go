package provider

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/headrace/headrace/internal/llm"
)

// Models implements llm.ModelLister.
func (p *Provider) Models(ctx context.Context) (llm.Response, error) {
	return p.get(ctx, func(ctx context.Context) error {
		_, err := p.client.ListModels(ctx)
		return err
	})
}

// Model implements llm.ModelLister.
func (p *Provider) Model(ctx context.Context, name string) (llm.Response, error) {
	if leadsElsewhere(name) {
		return llm.Response{}, &llm.Error{
			Kind: llm.Permanent, Code: llm.CodeInvalid, Message: fmt.Sprintf("%q cannot be the name of a model", name),
		}
	}
	segment := url.PathEscape(name)
	if p.versioned { // then go-openai decodes it once
		segment = url.PathEscape(segment)
	}
	return p.get(ctx, func(ctx context.Context) error {
		_, err := p.client.GetModel(ctx, segment)
		return err
	})
}

// leadsElsewhere reports whether a server could take a name for a way through
// its paths. Names with a slash are common.
func leadsElsewhere(name string) bool {
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// get makes a call that has no body. Only ctx bounds it.
func (p *Provider) get(ctx context.Context, call func(context.Context) error) (llm.Response, error) {
	x := &exchange{}
	err := call(context.WithValue(ctx, exchangeKey{}, x))
	if ctx.Err() != nil && !x.whole() {
		return llm.Response{}, ctx.Err()
	}
	return x.outcome(err)
}
