// Package testbed runs real servers as processes, for tests of what only real
// servers show. Each is a file: its version, how it is started, and what can be
// made to go wrong with it. Programs are installed once into the folder .bin of
// the repository; servers listen on the loopback interface alone and end with
// the test.
//
// Tests that use it have the build tag cluster, since they need the network once
// and more time than others.
package testbed
