package api

// CutOwn lets tests call cutOwn.
var CutOwn = cutOwn
