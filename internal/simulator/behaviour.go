package simulator

import (
	"net/http"
	"strconv"

	"github.com/headrace/headrace/internal/openai"
)

// fault is a way for a call to go wrong. Its name is a member of Faults, of
// Stats.Faults and, but for the first five, a directive.
type fault string

const (
	faultStatus      fault = "status" // by a directive only
	faultError       fault = "error"
	faultUnavailable fault = "unavailable"
	faultThrottled   fault = "throttled"
	faultQuota       fault = "quota"
	faultCut         fault = "cut"
	faultReset       fault = "reset"
	faultMiddle      fault = "middle"
	faultHalf        fault = "half"
	faultHTML        fault = "html"
	faultStall       fault = "stall"
	noFault          fault = ""
)

// chanceFaults lists the faults that have a rate, in the order in which a draw
// is laid against them.
func chanceFaults() []fault {
	return []fault{
		faultError, faultUnavailable, faultThrottled, faultQuota, faultCut, faultReset,
		faultMiddle, faultHalf, faultHTML, faultStall,
	}
}

// rate returns the share of calls that a fault befalls by chance.
func (f Faults) rate(kind fault) float64 {
	switch kind {
	case faultError:
		return f.Error
	case faultUnavailable:
		return f.Unavailable
	case faultThrottled:
		return f.Throttled
	case faultQuota:
		return f.Quota
	case faultCut:
		return f.Cut
	case faultReset:
		return f.Reset
	case faultMiddle:
		return f.Middle
	case faultHalf:
		return f.Half
	case faultHTML:
		return f.HTML
	case faultStall:
		return f.Stall
	case faultStatus, noFault:
	}
	return 0
}

// behaviour is how one call is treated: by chance, or by a directive.
type behaviour struct {
	fault  fault
	status int    // of faultStatus and faultHTML
	code   string // error.code instead of the usual one of the status

	headers [][2]string // added to any answer
	latency *Latency    // instead of the option
	fail    int         // the fault befalls only so many calls with this body; 0 means all
	bytes   int64       // the least size of the answer's body
	pretty  bool        // the answer is indented
}

// byChance draws the behaviour of a call from the rates.
func (c *call) byChance() behaviour {
	if c.set.Faults == (Faults{}) {
		return behaviour{}
	}
	u := draw(c.set.Seed, c.req.key, c.nth, forFault)
	for _, kind := range chanceFaults() {
		if rate := c.set.Faults.rate(kind); u >= rate {
			u -= rate
			continue
		}
		return c.befall(kind)
	}
	return behaviour{}
}

// befall fills in what a fault by chance leaves open.
func (c *call) befall(kind fault) behaviour {
	b := behaviour{fault: kind, status: http.StatusInternalServerError}
	switch kind { //nolint:exhaustive // the others leave nothing open
	case faultUnavailable:
		b.status = http.StatusServiceUnavailable
	case faultThrottled:
		b.status = http.StatusTooManyRequests
	case faultQuota:
		b.status, b.code = http.StatusTooManyRequests, codeInsufficientQuota
	}
	if kind == faultUnavailable || kind == faultThrottled {
		b.headers = [][2]string{{headerRetryAfter, strconv.FormatInt(max(c.set.RetryAfter, 1), 10)}}
	}
	return b
}

// Codes and types of errors that only a provider sends.
const (
	codeInsufficientQuota = "insufficient_quota"
	codeRateLimit         = "rate_limit_exceeded"
	codeInvalidKey        = "invalid_api_key"
	codeModelNotFound     = "model_not_found"
	codeOverloaded        = "server_is_overloaded"
	codeMethod            = "method_not_supported"
)

// statusError returns the error that OpenAI sends with a status, and with a
// code other than the usual one where code is not empty.
func statusError(status int, code string) *openai.Error {
	e := &openai.Error{Status: status, Type: openai.TypeInvalidRequest}
	switch {
	case code == codeInsufficientQuota || status == http.StatusPaymentRequired:
		e.Message = "You exceeded your current quota, please check your plan and billing details."
		e.Type, e.Code = codeInsufficientQuota, new(codeInsufficientQuota)
	case status == http.StatusTooManyRequests:
		e.Message = "Rate limit reached for requests."
		e.Type, e.Code = "requests", new(codeRateLimit)
	case status == http.StatusUnauthorized:
		e.Message, e.Code = "Incorrect API key provided.", new(codeInvalidKey)
	case status == http.StatusServiceUnavailable:
		e.Message = "Our servers are currently overloaded. Please try again later."
		e.Type, e.Code = openai.TypeUnavailable, new(codeOverloaded)
	case status >= http.StatusInternalServerError:
		e.Message = "The server had an error while processing your request. Sorry about that!"
		e.Type = openai.TypeServer
	default:
		e.Message = "The simulator was told to answer " + strconv.Itoa(status) + " " + http.StatusText(status) + "."
	}
	if code != "" {
		e.Code = &code
	}
	return e
}
