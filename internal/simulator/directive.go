package simulator

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/headrace/internal/openai"
)

// The grammar of directives:
//
//	directive = "sim:" item { ";" item }        each item at most once
//	item      = fault | refinement
//
// At most one fault, except that html may be joined by a status:
//
//	status=CODE         an error of that status, 400 to 599, in OpenAI's form
//	cut                 the connection closes before any byte of the answer
//	reset               the same with a TCP reset
//	middle              the connection closes after half of the body
//	half                a complete 200 whose body is half of the answer
//	html                a web page with status 500, or with that of status=
//	stall               no answer until the client leaves
//
// Refinements:
//
//	fail=N              the fault befalls the first N calls that are admitted
//	                    with this body; alone it means status=500
//	code=WORD           error.code of status=; insufficient_quota sets the type too
//	retry-after=S       header Retry-After with S seconds
//	retry-after-ms=MS   header Retry-After-Ms
//	retry-date=S        header Retry-After with the date in S seconds
//	should-retry=BOOL   header X-Should-Retry
//	reset-requests=D    headers X-Ratelimit-Remaining-Requests: 0 and
//	                    X-Ratelimit-Reset-Requests: D, a duration
//	latency=L           instead of the option, in the same forms
//	bytes=N             the answer is filled up to exactly N bytes (to 1 GiB); a
//	                    longer one stays as it is
//	pretty              the answer is indented
//
// The refinements hold for the calls that do not fail too. Bytes and pretty are
// refused together and in streams. A directive replaces faults by chance, not
// the limits. For instance:
//
//	sim:status=429;retry-after=2;fail=1
//	sim:fail=2;status=503
//	sim:latency=2s;bytes=31457280

// directivePrefix starts a directive.
const directivePrefix = "sim:"

// Bounds of what a directive may ask for.
const (
	maxDirectiveBytes = 1 << 30
	maxDirectiveCount = 1_000_000
)

// parseDirective reads a directive that starts with directivePrefix. An empty
// one asks for nothing.
func parseDirective(s string) (behaviour, error) {
	var b behaviour
	text := strings.TrimPrefix(s, directivePrefix)
	if text == "" {
		return b, nil
	}
	seen := make(map[string]bool)
	for item := range strings.SplitSeq(text, ";") {
		name, value, valued := strings.Cut(item, "=")
		name = strings.TrimSpace(name)
		if seen[name] {
			return behaviour{}, fmt.Errorf("%q stands twice", name)
		}
		seen[name] = true
		if err := b.obey(name, strings.TrimSpace(value), valued); err != nil {
			return behaviour{}, err
		}
	}
	if err := b.settle(seen); err != nil {
		return behaviour{}, err
	}
	return b, nil
}

// obey applies one item.
func (b *behaviour) obey(name, value string, valued bool) error {
	switch name {
	case "pretty":
	case string(faultCut), string(faultReset), string(faultMiddle),
		string(faultHalf), string(faultHTML), string(faultStall):
	default:
		return b.assign(name, value)
	}
	if valued {
		return fmt.Errorf("%q takes no value", name)
	}
	if name == "pretty" {
		b.pretty = true
		return nil
	}
	return b.choose(fault(name))
}

// choose sets the fault. Only html and status go together, as html.
func (b *behaviour) choose(kind fault) error {
	switch {
	case b.fault == noFault, b.fault == faultStatus && kind == faultHTML:
		b.fault = kind
	case b.fault == faultHTML && kind == faultStatus:
	default:
		return fmt.Errorf("%q and %q exclude each other", b.fault, kind)
	}
	return nil
}

// assign applies one item that has a value.
func (b *behaviour) assign(name, value string) (err error) {
	var n int64
	switch name {
	case "status":
		if n, err = number(name, value, 400, 599); err != nil {
			return err
		}
		b.status = int(n)
		return b.choose(faultStatus)
	case "fail":
		n, err = number(name, value, 1, maxDirectiveCount)
		b.fail = int(n)
	case "bytes":
		b.bytes, err = number(name, value, 1, maxDirectiveBytes)
	case "code":
		if value == "" {
			return fmt.Errorf("%q needs a value", name)
		}
		b.code = value
	case "latency":
		var l Latency
		err = l.Set(value)
		b.latency = &l
	default:
		return b.assignHeader(name, value)
	}
	return err
}

// assignHeader applies one item that becomes headers.
func (b *behaviour) assignHeader(name, value string) error {
	switch name {
	case "retry-after", "retry-after-ms", "retry-date":
		n, err := number(name, value, 0, maxRetryAfter*int64(time.Second/time.Millisecond))
		if err != nil {
			return err
		}
		switch name {
		case "retry-after-ms":
			b.header(headerRetryAfterMs, value)
		case "retry-date":
			value = time.Now().Add(time.Duration(n) * time.Second).UTC().Format(httpDate)
			b.header(headerRetryAfter, value)
		default:
			b.header(headerRetryAfter, value)
		}
	case "should-retry":
		if value != "true" && value != "false" {
			return fmt.Errorf("%q is %q: allowed are true and false", name, value)
		}
		b.header(headerShouldRetry, value)
	case "reset-requests":
		if _, err := time.ParseDuration(value); err != nil {
			return fmt.Errorf("%q is %q: allowed is a duration like 6m0s", name, value)
		}
		b.header(headerRemainingRequests, "0")
		b.header(headerResetRequests, value)
	default:
		return fmt.Errorf("%q is unknown", name)
	}
	return nil
}

func (b *behaviour) header(name, value string) {
	b.headers = append(b.headers, [2]string{name, value})
}

func number(name, value string, lowest, highest int64) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < lowest || n > highest {
		return 0, fmt.Errorf("%q is %q: allowed are whole numbers from %d to %d", name, value, lowest, highest)
	}
	return n, nil
}

// settle fills in what is left open once all items are read, and refuses
// combinations that mean nothing.
func (b *behaviour) settle(seen map[string]bool) error {
	if b.bytes > 0 && b.pretty {
		return fmt.Errorf(`"bytes" and "pretty" exclude each other`)
	}
	if b.fail > 0 && b.fault == noFault {
		b.fault = faultStatus
	}
	if seen["code"] && b.fault != faultStatus {
		return fmt.Errorf(`"code" needs "status"`)
	}
	if b.status == 0 {
		b.status = http.StatusInternalServerError
	}
	return nil
}

// commanded returns the behaviour that the directive of a call asks for.
func (c *call) commanded() (behaviour, *openai.Error) {
	b, err := parseDirective(c.req.directive)
	if err != nil {
		return b, openai.InvalidRequest("user", openai.CodeInvalidValue, "Invalid simulator directive: %s.", err)
	}
	if c.req.stream && (b.bytes > 0 || b.pretty) {
		return b, openai.InvalidRequest("user", openai.CodeInvalidValue,
			`Invalid simulator directive: "bytes" and "pretty" are not for streams.`)
	}
	return b, nil
}
