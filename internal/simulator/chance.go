package simulator

// purpose keeps the draws of one call apart.
type purpose uint64

const (
	forFault purpose = iota
	forLatency
	forID
	forVector
	forScore
	forInterval // the last: the number of the event is added to it
)

// draw returns a number in [0,1) that depends on its arguments only.
func draw(seed uint64, key bodyKey, nth int, p purpose) float64 {
	return unit(mix(mix(seed, uint64(key)), mix(uint64(nth), uint64(p)))) //nolint:gosec // nth is a count
}

// unit maps the upper 53 bits of x to [0,1).
func unit(x uint64) float64 { return float64(x>>11) / (1 << 53) }

// mix folds b into a so that every bit of either changes half of the bits of
// the result: the finalizer of MurmurHash3 on both sides of a Weyl step.
func mix(a, b uint64) uint64 {
	const weyl = 0x9e3779b97f4a7c15
	return finalize(finalize(a+weyl) ^ (b + weyl))
}

func finalize(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return x
}
