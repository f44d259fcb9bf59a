package api

// What tests call of the insides.
var (
	CutOwn     = cutOwn
	CutMembers = cutMembers
	WithMember = withMember
)
