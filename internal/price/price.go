// Package price says what calls cost, exactly: prices are decimal numbers, tokens
// are counted, and nothing in between is a float.
//
// It is a leaf of the import graph but for internal/openai.
package price

import (
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/headrace/headrace/internal/openai"
)

// Amount is money in picodollars: 10⁻¹² US dollars. That is what one token costs
// at a price of one microdollar per million tokens, the least that a Rate says.
// The largest Amount is a little more than nine million dollars.
type Amount int64

// Dollars is the amount as a float, for those who only show it.
func (a Amount) Dollars() float64 { return float64(a) / picos }

const (
	picos    = 1e12
	decimals = 6 // of a Rate
	micros   = 1_000_000
)

// String is the amount in dollars, without superfluous zeros.
func (a Amount) String() string {
	sign, n := "", uint64(a) //nolint:gosec // a sum that is negative is turned round below
	if a < 0 {
		sign, n = "-", -n
	}
	text := fmt.Sprintf("%s%d.%012d", sign, n/picos, n%picos)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// Rate is a price in US dollars per million tokens. It has up to six decimals.
type Rate struct{ micros int64 }

// ParseRate reads a price such as "0.15" or "2". A sign, an exponent or more than
// six decimals are errors: what a price list does not have is a mistake here.
func ParseRate(s string) (Rate, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	if whole == "" && fraction == "" || len(fraction) > decimals || !digits(whole) || !digits(fraction) || len(whole) > decimals {
		return Rate{}, fmt.Errorf("%q is no price in dollars per million tokens, such as 0.15", s)
	}
	var n int64
	for _, c := range whole + fraction + strings.Repeat("0", decimals-len(fraction)) {
		n = 10*n + int64(c-'0')
	}
	return Rate{n}, nil
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// String is the price as ParseRate reads it.
func (r Rate) String() string {
	text := fmt.Sprintf("%d.%06d", r.micros/micros, r.micros%micros)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// IsZero reports whether the price is nothing.
func (r Rate) IsZero() bool { return r.micros == 0 }

// of is what so many tokens cost. What does not fit is the largest Amount.
func (r Rate) of(tokens int64) Amount {
	if tokens <= 0 {
		return 0
	}
	high, low := bits.Mul64(uint64(r.micros), uint64(tokens)) //nolint:gosec // neither is negative
	if high != 0 || low > math.MaxInt64 {
		return math.MaxInt64
	}
	return Amount(low)
}

// Price is what a model costs. Reasoning is output.
type Price struct {
	Input, Output Rate
	// Cached is the price of input tokens that the provider had in its cache; nil
	// is Input.
	Cached *Rate
}

// Of is what a call cost that used so many tokens.
func (p Price) Of(u openai.Usage) Amount {
	cached := min(u.InputTokensDetails.CachedTokens, u.InputTokens)
	rate := p.Input
	if p.Cached != nil {
		rate = *p.Cached
	}
	return add(add(p.Input.of(u.InputTokens-cached), rate.of(cached)), p.Output.of(u.OutputTokens))
}

// add adds amounts that are not negative, up to the largest.
func add(a, b Amount) Amount {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Matcher says which models an entry means, see dispatch.Pattern.
type Matcher interface{ Match(model string) bool }

// Entry is a line of a price list.
type Entry struct {
	Models Matcher
	Price  Price
}

// Table is the price list of one provider. The first entry that means a model has
// its price. The nil Table has no prices.
type Table []Entry

// Of is the price of a model, and whether the table has one.
func (t Table) Of(model string) (Price, bool) {
	for _, e := range t {
		if e.Models.Match(model) {
			return e.Price, true
		}
	}
	return Price{}, false
}
