package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
)

// A sealed value is its form, the length of its key's id, the id, a salt, and
// the nonce, ciphertext and tag of AES-256-GCM.
const (
	valueForm = 1
	valueSalt = 16
	gcmExtra  = 28 // nonce and tag
	// valuePurpose keeps keys of values apart from those of objects.
	valuePurpose = "headrace value 1"
)

// errNoKeys is a mistake in the program: it seals without keys.
var errNoKeys = errors.New("there is no key to seal with")

// Seal seals a small value, which only Open with the same associated data
// opens. The associated data is not part of the result. Sealing the same value
// twice gives different results, each 46 bytes and the key's id longer than the
// value. It panics if k has no keys.
func (k *Keys) Seal(plaintext, associated []byte) []byte {
	if k == nil {
		panic(errNoKeys)
	}
	head := make([]byte, 0, 2+len(k.first)+valueSalt+len(plaintext)+gcmExtra)
	head = append(head, valueForm, byte(len(k.first))) //nolint:gosec // at most idSize
	head = append(head, k.first...)
	head = head[:len(head)+valueSalt]
	salt := head[len(head)-valueSalt:]
	_, _ = rand.Read(salt) // never fails
	aead, err := k.valueCipher(k.first, salt)
	if err != nil {
		panic(err) // the key is there and has the right size
	}
	return aead.Seal(head, nil, plaintext, bind(head, associated)) //nolint:gosec // the cipher makes its own nonce
}

// Open opens what Seal has sealed with any of the keys and the same associated
// data. It returns *UnknownKeyError or ErrForged.
func (k *Keys) Open(sealed, associated []byte) ([]byte, error) {
	if len(sealed) < 2 || sealed[0] != valueForm {
		return nil, ErrForged
	}
	saltAt := 2 + int(sealed[1])
	bodyAt := saltAt + valueSalt
	if sealed[1] > idSize || len(sealed) < bodyAt || !validID.Match(sealed[2:saltAt]) {
		return nil, ErrForged
	}
	aead, err := k.valueCipher(string(sealed[2:saltAt]), sealed[saltAt:bodyAt])
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nil, sealed[bodyAt:], bind(sealed[:bodyAt], associated))
	if err != nil {
		return nil, ErrForged
	}
	return plaintext, nil
}

func (k *Keys) valueCipher(id string, salt []byte) (cipher.AEAD, error) {
	key, err := k.derive(id, salt, valuePurpose)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// bind makes the head of a value part of what is authenticated. The head's
// length is told by its second byte, so that nothing can be moved between the
// two.
func bind(head, associated []byte) []byte {
	return append(append(make([]byte, 0, len(head)+len(associated)), head...), associated...)
}
