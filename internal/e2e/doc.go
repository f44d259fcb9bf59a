// Package e2e tests the whole system from outside: the real program in
// processes of its own, over HTTP, with public clients, against a simulated
// provider that counts what it is asked. Read setup_test.go first.
package e2e
