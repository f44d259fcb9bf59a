package apikey_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/apikey"
)

// failed is how many of n failures an address is let have.
func failed(t *apikey.Throttle, address string, n int, at time.Time) int {
	let := 0
	for range n {
		if t.Fail(address, at) == 0 {
			let++
		}
	}
	return let
}

func TestAnAddressMayFailTwentyTimesAtOnceAndThenOnceASecond(t *testing.T) {
	t.Parallel()
	throttle := apikey.NewThrottle()
	require.Equal(t, 20, failed(throttle, "192.0.2.1:1000", 100, now))
	require.Equal(t, time.Second, throttle.Fail("192.0.2.1:1001", now))
	require.Equal(t, time.Millisecond, throttle.Fail("192.0.2.1:1001", now.Add(999*time.Millisecond)))
	require.Equal(t, 1, failed(throttle, "192.0.2.1:1001", 10, now.Add(time.Second)))
	require.Equal(t, 2, failed(throttle, "192.0.2.1:1001", 10, now.Add(3*time.Second)))
	require.Equal(t, 20, failed(throttle, "192.0.2.1:1001", 100, now.Add(time.Hour)))
}

func TestAddressesDoNotCountForEachOther(t *testing.T) {
	t.Parallel()
	throttle := apikey.NewThrottle()
	for _, address := range []string{"192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", "@", ""} {
		require.Equal(t, 20, failed(throttle, address, 30, now), address)
	}
}

func TestOneHostIsOneAddress(t *testing.T) {
	t.Parallel()
	throttle := apikey.NewThrottle()
	require.Equal(t, 20, failed(throttle, "[2001:db8::1]:1", 30, now))
	require.Zero(t, failed(throttle, "[2001:db8::ffff:2]:9", 30, now))
	require.Equal(t, 20, failed(throttle, "192.0.2.1:1", 30, now))
	require.Zero(t, failed(throttle, "[::ffff:192.0.2.1]:9", 30, now))
	require.Equal(t, 20, failed(throttle, "[fe80::1%eth0]:1", 30, now))
	require.Zero(t, failed(throttle, "[fe80::2%eth0]:1", 30, now))
}

func TestOnlySoManyAddressesAreRemembered(t *testing.T) {
	t.Parallel()
	throttle := apikey.NewThrottle()
	failed(throttle, "192.0.2.1:1", 30, now)
	failed(throttle, "192.0.2.2:1", 30, now)
	for i := range 4095 {
		require.Zero(t, throttle.Fail("192.0.2.2:1", now.Add(time.Hour+time.Duration(i)*time.Second)))
		require.Zero(t, throttle.Fail(fmt.Sprintf("10.0.%d.%d:1", i/256, i%256), now))
	}
	require.Equal(t, 20, failed(throttle, "192.0.2.1:1", 30, now), "it has failed least recently")
}
