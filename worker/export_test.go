package worker

// OtherBuilds is for tests.
var OtherBuilds = otherBuilds
