// Package seal encrypts what headrace keeps: small values, and objects of any
// size of which parts can be read. It uses AES-256-GCM with keys of which there
// may be several: the first seals, all open, so that keys can be replaced while
// everything runs. What is sealed names its key, and is bound to what it was
// sealed for: a value to the data it is associated with, an object to its name.
// So neither can be put in another's place, shortened or changed unnoticed.
//
// No key is used itself. Each value and each object has one of its own, made of
// the key and a random salt by HKDF, so that no number of them wears a key out.
//
// The package knows nothing of stores or of Temporal. Read keys.go, then
// value.go, then envelope.go, which is the form of objects, and stream.go.
package seal
