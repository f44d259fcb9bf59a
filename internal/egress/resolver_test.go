package egress_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// addresses are those of names.
type addresses map[string][]string

// resolver knows some names and asks nobody else.
func resolver(t *testing.T, known addresses) *net.Resolver {
	t.Helper()
	return resolverOf(t, func(name string) []string { return known[name] })
}

// resolverOf asks f for the addresses of a name, each time anew.
func resolverOf(t *testing.T, f func(name string) []string) *net.Resolver {
	t.Helper()
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer func() { _ = far.Close() }()
			for {
				var length uint16
				if binary.Read(far, binary.BigEndian, &length) != nil {
					return
				}
				query := make([]byte, length)
				if _, err := io.ReadFull(far, query); err != nil {
					return
				}
				answer := answerTo(query, f)
				_, _ = far.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
			}
		}()
		return near, nil
	}}
}

// Types of DNS records.
const (
	typeA    = 1
	typeAAAA = 28
)

// answerTo is the DNS message that answers a query of one question.
func answerTo(query []byte, f func(string) []string) []byte {
	const header = 12
	end := header
	var labels []string
	for query[end] != 0 {
		n := int(query[end])
		labels = append(labels, string(query[end+1:end+1+n]))
		end += 1 + n
	}
	question := query[header : end+5] // with the root, the type and the class
	asked := binary.BigEndian.Uint16(query[end+1:])
	var records bytes.Buffer
	count := uint16(0)
	for _, s := range f(strings.ToLower(strings.Join(labels, "."))) {
		a := netip.MustParseAddr(s)
		kind := uint16(typeAAAA)
		if a.Is4() {
			kind = typeA
		}
		if kind != asked {
			continue
		}
		count++
		data := a.AsSlice()
		records.Write([]byte{0xc0, header}) // the question's name
		_ = binary.Write(&records, binary.BigEndian, []uint16{kind, 1, 0, 0, uint16(len(data))})
		records.Write(data)
	}
	message := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1}, binary.BigEndian.AppendUint16(nil, count)...)
	message = append(message, 0, 0, 0, 0)
	message = append(message, question...)
	return append(message, records.Bytes()...)
}
