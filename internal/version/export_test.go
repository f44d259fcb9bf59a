package version

// Describe is for tests.
func Describe(stamp, revision string) string { return describe(stamp, revision) }
