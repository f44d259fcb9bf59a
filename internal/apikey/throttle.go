package apikey

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"
)

// How often requests of one address may fail for want of a valid key.
const (
	failuresAtOnce = 20
	failureEvery   = time.Second
	// mostAddresses bounds what is remembered. Beyond it the addresses are
	// forgotten that have failed least recently.
	mostAddresses = 4096
)

// Throttle counts the requests of each address that have shown no valid key, so
// that trying keys is slow. It is safe for concurrent use. Whoever shows a valid
// key must not be asked about: behind a proxy all have one address.
type Throttle struct {
	mu     sync.Mutex
	recent *list.List // of *failures, the last to fail first
	all    map[string]*list.Element
}

// failures is what is known of an address.
type failures struct {
	address string
	// paid is when the address will have none left: each failure moves it by
	// failureEvery.
	paid time.Time
}

// NewThrottle returns a Throttle that knows of no failure.
func NewThrottle() *Throttle {
	return &Throttle{recent: list.New(), all: map[string]*list.Element{}}
}

// Fail counts a failure of an address, such as that of http.Request.RemoteAddr. It
// returns 0, or, when there were too many lately, how long the address should
// leave it. Those above do not count, so that the address is not shut out for
// longer than that.
func (t *Throttle) Fail(address string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.of(network(address))
	if f.paid.Before(now) {
		f.paid = now
	}
	if wait := f.paid.Sub(now) - (failuresAtOnce-1)*failureEvery; wait > 0 {
		return wait
	}
	f.paid = f.paid.Add(failureEvery)
	return 0
}

func (t *Throttle) of(address string) *failures {
	if e, known := t.all[address]; known {
		t.recent.MoveToFront(e)
		return e.Value.(*failures)
	}
	if len(t.all) >= mostAddresses {
		last := t.recent.Back()
		delete(t.all, t.recent.Remove(last).(*failures).address)
	}
	f := &failures{address: address}
	t.all[address] = t.recent.PushFront(f)
	return f
}

// network is who an address stands for: itself, without its port, or for IPv6 the
// network of 64 bits, all of which one host may have.
func network(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	const bits = 64
	prefix, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return host
	}
	return prefix.String()
}
