// Package version says which headrace this is.
package version

import "runtime/debug"

// Number is the version, in the manner of semantic versioning.
const Number = "0.1.0"

// String is the version, and the commit that it was built from as far as the
// build knows it.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Number
	}
	const short = 12
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= short {
			return Number + "+" + s.Value[:short]
		}
	}
	return Number
}

// UserAgent names headrace to the servers that it calls.
func UserAgent() string { return "headrace/" + Number }
