package queue

// Account is the budget that a rate brings, in quanta, so that it counts exactly.
// What it gives out it has; what comes back, or is owed, is booked when a worker
// says so.
type Account struct {
	Level int64 `json:"level"`
}

// Of accounts.
const (
	// quantum is the number of quanta in a unit: a rate of n units a minute brings
	// n quanta in a millisecond for each thousandth of share.
	quantum = 60_000 * whole
	// whole is the share of all, in thousandths.
	whole = 1000
	// burst is how much of a rate, in ms, an account holds at most, unless a
	// single call needs more; minute bounds that.
	burst  = 2000
	minute = 60_000
	// opening is what an account begins with, in ms of its rate.
	opening = 500
)

// newAccount returns the account of a rate that has just been set.
func newAccount(rate int64) Account { return Account{Level: max(rate*whole*opening, quantum)} }

// refill adds what a rate has brought in so many ms. What would not fit is lost,
// also of what came back.
func (a *Account) refill(rate, share, elapsed, need int64) {
	full := max(rate*whole*burst, min(need, rate)*quantum, quantum)
	a.Level = min(a.Level+rate*share*min(elapsed, minute), full)
}

// units is how many whole units the account has.
func (a *Account) units() int64 { return max(a.Level/quantum, 0) }

// take gives out units that it has.
func (a *Account) take(units int64) { a.Level -= units * quantum }

// Budget is what a lease may spend of an account, and has spent, since it began.
type Budget struct {
	Granted int64 `json:"granted,omitempty"`
	Spent   int64 `json:"spent,omitempty"`
}

// left is what may still be spent; less than nothing if some is owed.
func (b *Budget) left() int64 { return b.Granted - b.Spent }
