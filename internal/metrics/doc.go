// Package metrics counts and measures what a process does, for Prometheus. The
// packages that do things know nothing of it: they tell observers, which are here.
// What can be asked instead of told, such as how many calls wait, is asked whenever
// somebody scrapes, and costs nothing in between.
//
// Labels have few values. Models and queues are named by users: the first that
// served have labels of their own, and the rest are "other".
//
// This is the only package that imports Prometheus. Read metrics.go, then calls.go.
package metrics
