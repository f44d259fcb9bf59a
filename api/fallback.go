package api

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
)

// longestTarget bounds the names of models and providers, in bytes.
const longestTarget = 256

// fallback reads what calls may fall back to, the zero value if absent.
func (p *params) fallback(name string) batch.Fallback {
	if !p.has(name) {
		return batch.Fallback{}
	}
	own := p.object(name)
	f := batch.Fallback{Targets: own.targets("targets"), On: own.kinds("on")}
	p.absorb(own)
	return f
}

// targets reads a list of 1 to batch.MaxTargets targets.
func (p *params) targets(name string) []batch.Target {
	all := p.elements(name, batch.MaxTargets)
	targets := make([]batch.Target, len(all))
	for i, raw := range all {
		one := &params{path: fmt.Sprintf("%s%s[%d].", p.path, name, i), fields: map[string]json.RawMessage{}}
		if json.Unmarshal(raw, &one.fields) != nil || one.fields == nil {
			p.fail(openai.InvalidType(fmt.Sprintf("%s%s[%d]", p.path, name, i), openai.KindObject, raw))
			return nil
		}
		t := batch.Target{Model: one.text("model"), Provider: one.text("provider")}
		if t == (batch.Target{}) || max(len(t.Model), len(t.Provider)) > longestTarget {
			one.fail(openai.InvalidRequest(fmt.Sprintf("%s%s[%d]", p.path, name, i), openai.CodeInvalidValue,
				"Invalid '%s%s[%d]': expected a 'model', a 'provider' or both, of at most %d bytes.", p.path, name, i, longestTarget))
		}
		p.absorb(one)
		targets[i] = t
	}
	return targets
}

// kinds reads a list of kinds of errors, each once.
func (p *params) kinds(name string) []string {
	var kinds []string
	for i, raw := range p.elements(name, len(batch.FallbackKinds())) {
		var kind string
		if json.Unmarshal(raw, &kind) != nil {
			p.fail(openai.InvalidType(fmt.Sprintf("%s%s[%d]", p.path, name, i), openai.KindString, raw))
		} else if err := oneOf(fmt.Sprintf("%s%s[%d]", p.path, name, i), kind, batch.FallbackKinds()); err != nil {
			p.fail(err)
		}
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// elements reads a list of 1 to most elements that must be there.
func (p *params) elements(name string, most int) []json.RawMessage {
	var all []json.RawMessage
	switch raw := p.fields[name]; {
	case raw == nil || string(raw) == "null":
		p.fail(openai.MissingParameter(p.path + name))
	case !p.into(name, openai.KindArray, &all):
	case len(all) < 1 || len(all) > most:
		p.fail(openai.InvalidRequest(p.path+name, openai.CodeInvalidValue,
			"Invalid '%s': expected an array of 1 to %d elements, but got %d.", p.path+name, most, len(all)))
	}
	return all
}
