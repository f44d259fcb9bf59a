package dispatch

import (
	"cmp"
	"slices"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
)

// Route is the way to one provider.
type Route struct {
	// Name is what requests and people call the provider.
	Name     string
	Provider Provider
	// Models are those whose calls go here unless a call says otherwise. Without
	// any, the provider takes what no other one names.
	Models []Pattern
	// Rewrite gives models the names by which this provider knows them.
	Rewrite map[string]string
}

// Assignment puts calls into a queue that name none themselves.
type Assignment struct {
	// Model and Provider say which calls are meant, both of them if both are
	// given. Model is the name that requests use.
	Model    Pattern
	Provider string
	Queue    string
}

// router decides where calls go.
type router struct {
	routes      []Route
	assignments []Assignment
}

// named is the route to a provider, nil if there is none.
func (r *router) named(provider string) *Route {
	i := slices.IndexFunc(r.routes, func(route Route) bool { return route.Name == provider })
	if i < 0 {
		return nil
	}
	return &r.routes[i]
}

// route is that of a model: the first whose patterns name it, or else the first
// without patterns, or else the first.
func (r *router) route(model string) *Route {
	if len(r.routes) == 1 {
		return &r.routes[0]
	}
	named := func(route Route) bool {
		return slices.ContainsFunc(route.Models, func(p Pattern) bool { return p.Match(model) })
	}
	i := slices.IndexFunc(r.routes, named)
	if i < 0 {
		i = slices.IndexFunc(r.routes, func(route Route) bool { return len(route.Models) == 0 })
	}
	return &r.routes[max(i, 0)]
}

// queue is the one that a call without a queue belongs to, "" for the default.
func (r *router) queue(model, provider string) string {
	for _, a := range r.assignments {
		if (a.Provider == "" || a.Provider == provider) && a.Model.Match(model) {
			return a.Queue
		}
	}
	return ""
}

// leg is one way that a call can go.
type leg struct {
	target batch.Target // in the words of requests
	route  *Route       // nil for a provider that does not exist
	ticket limit.Ticket

	request  llm.Request // once it is prepared
	prepared bool
	began    bool // a call was made
	spent    bool // another call would bring the same
}

// leg is the way to a target, of which empty fields are for the router to fill.
func (r *router) leg(c *Call, to batch.Target) leg {
	l := leg{target: to, ticket: c.Ticket}
	l.target.Model = cmp.Or(to.Model, c.Request.Model)
	if to.Provider == "" {
		l.route = r.route(l.target.Model)
	} else {
		l.route = r.named(to.Provider)
	}
	if l.route == nil {
		return l
	}
	l.target.Provider = l.route.Name
	l.ticket.Provider = l.route.Name
	l.ticket.Queue = cmp.Or(c.Queue, r.queue(l.target.Model, l.route.Name))
	return l
}

// prepare makes the request that the provider of the leg is to get.
func (l *leg) prepare(c *Call) {
	if l.prepared {
		return
	}
	l.prepared, l.request = true, c.Request
	model := l.target.Model
	if name, ok := l.route.Rewrite[model]; ok {
		model = name
	}
	if model != c.Request.Model {
		l.request.Model, l.request.Body = model, withModel(c.Request.Body, model)
	}
	l.ticket.Model, l.ticket.Body = l.request.Model, l.request.Body
}
