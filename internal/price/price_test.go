package price_test

import (
	"math"
	"math/big"
	"path"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/price"
)

func rate(t require.TestingT, s string) price.Rate {
	r, err := price.ParseRate(s)
	require.NoError(t, err)
	return r
}

func usage(input, cached, output int64) openai.Usage {
	return openai.Usage{InputTokens: input, OutputTokens: output, InputTokensDetails: openai.InputTokensDetails{CachedTokens: cached}}
}

func TestRatesAreReadAndWrittenWithoutLoss(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0.15": "0.15", "2": "2", "2.50": "2.5", ".6": "0.6", "0": "0", "0.000001": "0.000001", "999999.999999": "999999.999999", "10": "10", "3.": "3",
	} {
		r, err := price.ParseRate(text)
		require.NoError(t, err, text)
		require.Equal(t, want, r.String(), text)
	}
	for _, text := range []string{"", ".", "-1", "+1", "1e3", "0.0000001", "1,5", "1.2.3", "$2", " 1", "1000000", "NaN"} {
		_, err := price.ParseRate(text)
		require.Error(t, err, text)
	}
}

func TestACallCostsWhatThePriceListSays(t *testing.T) {
	t.Parallel()
	cached := rate(t, "0.075")
	p := price.Price{Input: rate(t, "0.15"), Output: rate(t, "0.6"), Cached: &cached}
	require.Equal(t, "0.15", p.Of(usage(1_000_000, 0, 0)).String())
	require.Equal(t, "0.00000015", p.Of(usage(1, 0, 0)).String())
	require.Equal(t, "0.000000075", p.Of(usage(1, 1, 0)).String())
	require.Equal(t, "0.0000675", p.Of(usage(300, 100, 50)).String(), "200 × 0.15 + 100 × 0.075 + 50 × 0.6, per million")
	p.Cached = nil
	require.Equal(t, p.Of(usage(300, 0, 50)), p.Of(usage(300, 100, 50)), "without a price of their own, cached tokens cost what others do")
	require.Equal(t, p.Of(usage(5, 5, 0)), p.Of(usage(5, 50, 0)), "no more is cached than there is")
	require.InDelta(t, 0.15, p.Of(usage(1_000_000, 0, 0)).Dollars(), 1e-15)
}

func TestWhatDoesNotFitIsTheLargestAmount(t *testing.T) {
	t.Parallel()
	p := price.Price{Input: rate(t, "999999"), Output: rate(t, "999999")}
	require.Equal(t, price.Amount(math.MaxInt64), p.Of(usage(math.MaxInt64, 0, math.MaxInt64)))
	require.Zero(t, p.Of(usage(-5, 0, -5)), "a provider that counts backwards costs nothing")
	require.Equal(t, "-0.5", price.Amount(-5e11).String())
}

func TestAmountsAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		micros := rapid.Int64Range(0, 1e9).Draw(t, "price")
		tokens := rapid.Int64Range(0, 1e9).Draw(t, "tokens")
		text := big.NewRat(micros, 1e6).FloatString(6)
		got := price.Price{Input: rate(t, text)}.Of(usage(tokens, 0, 0))
		want := new(big.Rat).Mul(big.NewRat(micros, 1e12), big.NewRat(tokens, 1))
		have, ok := new(big.Rat).SetString(got.String())
		require.True(t, ok)
		require.Zero(t, want.Cmp(have), "%s × %d: %s", text, tokens, got)
	})
}

// glob matches as path.Match does.
type glob string

func (g glob) Match(model string) bool { ok, _ := path.Match(string(g), model); return ok }

func TestTheFirstEntryThatMeansAModelHasItsPrice(t *testing.T) {
	t.Parallel()
	table := price.Table{
		{Models: glob("gpt-4o-mini*"), Price: price.Price{Input: rate(t, "0.15")}},
		{Models: glob("gpt-*"), Price: price.Price{Input: rate(t, "2.5")}},
	}
	p, ok := table.Of("gpt-4o-mini-2024-07-18")
	require.True(t, ok)
	require.Equal(t, "0.15", p.Input.String())
	p, ok = table.Of("gpt-4o")
	require.True(t, ok)
	require.Equal(t, "2.5", p.Input.String())
	_, ok = table.Of("llama")
	require.False(t, ok)
	_, ok = price.Table(nil).Of("gpt-4o")
	require.False(t, ok)
}
