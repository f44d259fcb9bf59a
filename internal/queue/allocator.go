package queue

import "slices"

// Allocator is the state of the books. Its fields are exported only so that it
// survives a continue-as-new as JSON; use the methods. Every method takes the
// time in ms of a clock that may step back, and may be ahead of others' clocks.
type Allocator struct {
	Name     string   `json:"name"`
	Settings Settings `json:"settings"`
	// Revision counts the changes of the settings.
	Revision int64 `json:"revision,omitempty"`

	// Now is the latest time that was given.
	Now int64 `json:"now"`
	// Leases are those that hold, by ascending number; Opened counts all that have
	// been opened: a number is never given twice.
	Leases []Lease `json:"leases,omitempty"`
	Opened int64   `json:"opened"`

	Requests Account `json:"requests"`
	Tokens   Account `json:"tokens"`
	// Share is the part of the rates that is used, in thousandths, as of ShareAt;
	// Cut is when it was last made smaller.
	Share   int64 `json:"share"`
	ShareAt int64 `json:"share_at"`
	Cut     int64 `json:"cut"`

	Closed []Closed `json:"closed,omitempty"`
	Past   Past     `json:"past"`
	// Nudges are workers that should ask again.
	Nudges []string `json:"nudges,omitempty"`
}

// Lease is a worker's page in the books.
type Lease struct {
	Number  int64  `json:"number"`
	Worker  string `json:"worker"`
	Label   string `json:"label,omitempty"`
	Expires int64  `json:"expires"`

	// Grant is the number of the last grant. Granted are its permits. Charged is
	// what the worker may believe to have, or has in flight: at least Granted.
	// Revision is that of the settings which the worker knows.
	Grant    int64 `json:"grant"`
	Granted  int64 `json:"granted"`
	Charged  int64 `json:"charged"`
	Revision int64 `json:"revision,omitempty"`

	InFlight   Counts `json:"in_flight"`
	Waiting    Counts `json:"waiting"`
	Oldest     int64  `json:"oldest,omitempty"`
	First      int64  `json:"first,omitempty"`
	FirstOrder int64  `json:"first_order,omitempty"`
	FirstClass Class  `json:"first_class,omitempty"`
	Weight     int64  `json:"weight,omitempty"`
	Need       int64  `json:"need,omitempty"`
	// Before is what the last grant said of another worker's next call.
	Before      int64 `json:"before,omitempty"`
	BeforeOrder int64 `json:"before_order,omitempty"`
	BeforeClass Class `json:"before_class,omitempty"`

	Requests Budget `json:"requests"`
	Tokens   Budget `json:"tokens"`
	Nudged   bool   `json:"nudged,omitempty"`
}

// Closed is a provider that asked to wait.
type Closed struct {
	Provider string `json:"provider"`
	Message  string `json:"message,omitempty"`
	Since    int64  `json:"since"`
	Until    int64  `json:"until"`
}

// Times of leases, in ms.
const (
	// shortestTTL is how long a lease of a limited queue holds, and shortestRenewal
	// how often it is renewed; budgets are renewed more often.
	shortestTTL     = 6000
	shortestRenewal = 2000
	budgetRenewal   = 1000
	// renewalEach is what every worker adds to the time between renewals, so that
	// many workers ask together no more often than ten times a second.
	renewalEach = 100
	// idleRenewal is for queues without limits, where a lease does no more than to
	// let a worker hear of cool-downs and of limits.
	idleRenewal = 10_000
	// grace is how much longer than its worker the books believe in a lease. It
	// covers clocks that are apart.
	grace = 3000
)

// plenty stands for no limit where permits are added up.
const plenty = 1 << 40

// New returns the books of a queue that nobody uses yet.
func New(name string, s Settings) *Allocator {
	return &Allocator{
		Name: name, Settings: s, Share: whole, Requests: newAccount(s.RPM), Tokens: newAccount(s.TPM),
	}
}

// Set changes the settings. Workers that hold leases are nudged.
func (a *Allocator) Set(now int64, c Change) {
	a.advance(now)
	before := a.Settings
	a.Settings = before.Apply(c)
	a.Revision++
	if a.Settings.RPM != before.RPM {
		a.Requests = a.reopen(a.Settings.RPM, func(l *Lease) *Budget { return &l.Requests })
	}
	if a.Settings.TPM != before.TPM {
		a.Tokens = a.reopen(a.Settings.TPM, func(l *Lease) *Budget { return &l.Tokens })
	}
	for i := range a.Leases {
		a.nudge(&a.Leases[i])
	}
}

// reopen makes an account for a new rate. Budgets that were given out of the old
// one are charged to it; what was spent while there was none, or is owed, is not.
func (a *Allocator) reopen(rate int64, of func(*Lease) *Budget) Account {
	account := newAccount(rate)
	for i := range a.Leases {
		b := of(&a.Leases[i])
		b.Granted = max(b.Granted, b.Spent)
		account.take(b.left())
	}
	return account
}

// Ask settles one request: it books what the worker says and gives it what it may
// have.
func (a *Allocator) Ask(now int64, r Request) Grant {
	a.advance(now)
	l := a.lease(r)
	a.book(l, r)
	a.close(r)
	if r.Leaving {
		a.drop(l.Number, true)
		a.nudgeOthers(0)
		return Grant{}
	}
	l.Grant++
	l.Nudged = false
	g := Grant{Lease: l.Number, Number: l.Grant, Settings: a.Settings}
	a.permit(l, &g)
	a.fund(l, &g)
	g.RenewAfter, g.TTL = a.times(&g, l)
	l.Expires = max(l.Expires, a.Now+g.TTL+grace)
	for _, c := range a.Closed {
		g.Closings = append(g.Closings, c.closing(a.Now))
	}
	a.nudgeOthers(l.Number)
	return g
}

// lease finds the lease of a request, or opens one. The same name alone is not
// enough: two processes may have it.
func (a *Allocator) lease(r Request) *Lease {
	if l := a.find(r.Lease); l != nil && l.Worker == r.Worker {
		return l
	}
	a.Opened++
	a.Leases = append(a.Leases, Lease{Number: a.Opened, Worker: r.Worker})
	return &a.Leases[len(a.Leases)-1]
}

func (a *Allocator) find(number int64) *Lease {
	i, found := slices.BinarySearchFunc(a.Leases, number, func(l Lease, n int64) int { return int(l.Number - n) })
	if !found {
		return nil
	}
	return &a.Leases[i]
}

// book writes down what a worker says of itself.
func (a *Allocator) book(l *Lease, r Request) {
	l.Label, l.InFlight, l.Waiting, l.Weight, l.Need = r.Label, r.InFlight, r.Waiting, r.Weight, r.Need
	l.Oldest, l.First, l.FirstOrder, l.FirstClass = r.Oldest, r.First, r.FirstOrder, r.FirstClass
	if r.Lease != l.Number { // a new lease
		l.Charged = r.InFlight.All()
		a.Past.add(a.Now, 0, r.Used)
		return
	}
	if r.Grant == l.Grant {
		l.Charged = l.Granted
	}
	l.Charged = max(l.Charged, r.InFlight.All())
	a.Past.add(a.Now, max(r.Requests-l.Requests.Spent, 0), r.Used)
	l.Requests.Spent, l.Tokens.Spent = r.Requests, r.Tokens
}

// drop closes a lease. What one that leaves has not spent goes back, and what it
// owes is charged; of one that has expired nobody knows, so it has spent all.
func (a *Allocator) drop(number int64, settled bool) {
	l := a.find(number)
	if settled {
		a.Requests.take(-l.Requests.left())
		a.Tokens.take(-l.Tokens.left())
	}
	a.Leases = slices.DeleteFunc(a.Leases, func(l Lease) bool { return l.Number == number })
}

// advance books what time has brought: budgets, the end of leases and cool-downs.
func (a *Allocator) advance(now int64) {
	if a.Now == 0 {
		a.Now, a.ShareAt = now, now
	}
	elapsed := max(now-a.Now, 0)
	a.Now += elapsed
	a.regain()
	var need int64
	for _, l := range a.Leases {
		need = max(need, l.Need)
	}
	a.Requests.refill(a.Settings.RPM, a.Share, elapsed, 0)
	a.Tokens.refill(a.Settings.TPM, a.Share, elapsed, need)
	a.Closed = slices.DeleteFunc(a.Closed, func(c Closed) bool { return c.Until <= a.Now })
	for _, l := range slices.Clone(a.Leases) {
		if l.Expires <= a.Now {
			a.drop(l.Number, false)
		}
	}
}

// Expire books what time has brought, and nudges those who may have what a worker
// that has vanished held.
func (a *Allocator) Expire(now int64) {
	a.advance(now)
	a.nudgeOthers(0)
}

// NextExpiry is when a lease ends unless it is renewed, 0 if there is none.
func (a *Allocator) NextExpiry() int64 {
	var next int64
	for _, l := range a.Leases {
		if next == 0 || l.Expires < next {
			next = l.Expires
		}
	}
	return next
}

// Unused reports whether nobody would miss the books.
func (a *Allocator) Unused() bool {
	return len(a.Leases) == 0 && len(a.Closed) == 0 && !a.Settings.Limited() && len(a.Settings.Weights) == 0 && a.Settings.Fallback.IsZero()
}

// times says when to ask again, and how long the lease holds.
func (a *Allocator) times(g *Grant, l *Lease) (renew, ttl int64) {
	each := renewalEach * int64(len(a.Leases))
	renew = max(shortestRenewal, each)
	if !a.Settings.Limited() {
		renew = idleRenewal
	}
	ttl = max(shortestTTL, 3*renew)
	funded := g.Requests != NoLimit || g.Tokens != NoLimit
	if funded && l.Waiting.All() > 0 && !a.Settings.Paused {
		renew = min(renew, max(g.RenewAfter, budgetRenewal, each))
	}
	return renew, ttl
}

func (c Closed) closing(now int64) Closing {
	return Closing{Provider: c.Provider, Message: c.Message, For: c.Until - now, Age: now - c.Since}
}
