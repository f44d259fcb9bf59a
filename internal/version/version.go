// Package version says which headrace this is.
package version

import (
	"runtime/debug"
	"strings"
)

// Number is the version, in the manner of semantic versioning.
const Number = "0.1.0"

// stamp is what the build says about itself, "" if it says nothing:
//
//	-ldflags "-X github.com/headrace/headrace/internal/version.stamp=$(git describe --tags --always --dirty)"
//
// Builds of images are stamped, since they do not see the repository.
var stamp string

// String is the version and the commit that it was built from, as far as the
// build knows it: the release of a tag as it is (1.4.0), and what lies after it
// by its commit (0.1.0+0123456789ab). It tells builds apart, also as the build id
// of workers.
func String() string { return describe(stamp, revision()) }

// describe makes a version of a stamp and of the commit that Go found.
func describe(stamp, revision string) string {
	switch {
	case strings.Contains(stamp, "."): // a tag, or so many commits after one
		return strings.TrimPrefix(stamp, "v")
	case stamp != "": // a commit: there is no tag yet
		return Number + "+" + stamp
	case revision != "":
		return Number + "+" + revision
	}
	return Number
}

// revision is the commit that Go has found, shortened, or "".
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	const short = 12
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= short {
			return s.Value[:short]
		}
	}
	return ""
}

// UserAgent names headrace to the servers that it calls.
func UserAgent() string { return "headrace/" + Number }
