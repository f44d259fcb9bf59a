package api_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"go.temporal.io/api/enums/v1"

	"github.com/headrace/headrace/internal/streamlog"
	"github.com/headrace/headrace/internal/task"
)

// Frames as a provider sends them.
const (
	created   = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"theirs\"}}\n\n"
	completed = "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":9,\"response\":{\"id\":\"theirs\",\"status\":\"completed\"}}\n\n"
)

// delta is a frame with a piece of text.
func delta(text string) string {
	return fmt.Sprintf("event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":%q}\n\n", text)
}

// await waits in a bubble until something is the case.
func (b *responsesBundle) await(is func() bool) {
	for !is() {
		time.Sleep(time.Millisecond)
	}
}

// outline tells the events of a stream in a few words: number, type and text.
func outline(t *testing.T, stream string) []string {
	t.Helper()
	var events []string
	for block := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		if block == "" || block[0] == ':' {
			continue
		}
		name, data, ok := strings.Cut(strings.TrimPrefix(block, "event: "), "\ndata: ")
		require.True(t, ok && gjson.Valid(data), "%q", block)
		require.Equal(t, name, gjson.Get(data, "type").Str)
		events = append(events, strings.TrimSpace(fmt.Sprintf("%d %s %s", gjson.Get(data, "sequence_number").Int(),
			strings.TrimPrefix(name, "response."), gjson.Get(data, "delta").Str)))
	}
	return events
}

// requireStream reads a stream that has ended, and checks what is read after
// each number.
func (b *responsesBundle) requireStream(t *testing.T, id string, want ...string) string {
	t.Helper()
	whole := b.stream(t, id, "")
	<-whole.done
	require.Equal(t, want, outline(t, whole.all()))
	for after := range 2 * len(want) {
		var left []string
		for _, event := range want {
			var n int
			_, err := fmt.Sscan(event, &n)
			require.NoError(t, err)
			if n > after {
				left = append(left, event)
			}
		}
		rest := b.stream(t, id, fmt.Sprintf("&starting_after=%d", after))
		<-rest.done
		require.Equal(t, left, outline(t, rest.all()), "after %d", after)
	}
	return whole.all()
}

func TestEventsOfAStreamKeepTheirBytesButForNumberAndID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setupResponses(t)
		id := b.createStream(t)
		const odd = `{ "type":"response.output_text.delta" ,"delta":"\u00e9<", "big":12345678901234567890,"sequence_number" : 7 }`
		b.write(t, id, true, ": ping\n\n", created, "data: "+odd+"\r\n\r\n",
			"event: response.in_progress\ndata: {\"type\":\"response.in_progress\",\ndata: \"response\":{ \"output\":[ ],\"id\":\"theirs\"}}\n\n",
			"event: vendor\ndata: not json\n\n", completed)
		b.finish(t, id, task.Completed, `{"id":"theirs","status":"completed"}`, nil)
		e := b.stream(t, id, "&starting_after=1")
		<-e.done
		require.Equal(t, "event: response.output_text.delta\n"+
			`data: { "type":"response.output_text.delta" ,"delta":"\u00e9<", "big":12345678901234567890,"sequence_number" : 4 }`+"\n\n"+
			"event: response.in_progress\ndata: {\"type\":\"response.in_progress\",\n"+
			`data: "response":{ "output":[ ],"id":"`+id+`","background":true},"sequence_number":5}`+"\n\n"+
			"event: vendor\ndata: not json\n\n"+
			"event: response.completed\n"+
			`data: {"type":"response.completed","sequence_number":7,"response":{"id":"`+id+`","status":"completed","background":true}}`+"\n\n",
			e.all())
	})
}

func TestAStreamBeginsWithOurEventsAndCanBeReadFromAnywhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setupResponses(t)
		id := b.createStream(t)
		b.write(t, id, true, created, delta("a"), delta("b"), completed)
		b.finish(t, id, task.Completed, `{"id":"theirs","status":"completed"}`, nil)
		all := b.requireStream(t, id, "0 created", "1 queued", "3 output_text.delta a", "4 output_text.delta b", "5 completed")
		_, data, _ := strings.Cut(all, "data: ")
		require.Equal(t, "queued", gjson.Get(data, "response.status").Str)
		require.Equal(t, id, gjson.Get(data, "response.id").Str)
		require.Equal(t, "m", gjson.Get(data, "response.model").Str)
	})
}

func TestASecondAttemptBeginsTheStreamAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setupResponses(t)
		id := b.createStream(t)
		b.write(t, id, true, created, delta("a"), streamlog.Restart, created, delta("b"), completed)
		b.finish(t, id, task.Completed, `{"id":"theirs","status":"completed"}`, nil)
		b.requireStream(t, id, "0 created", "1 queued", "3 output_text.delta a", "5 created", "6 output_text.delta b", "7 completed")
	})
}

// TestTheEndOfACallThatWasMadeAgainIsNotTold has a process die after the last
// event and before that counted.
func TestTheEndOfACallThatWasMadeAgainIsNotTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setupResponses(t)
		id := b.createStream(t)
		b.write(t, id, true, created, delta("a"), completed, streamlog.Restart, created, completed)
		b.finish(t, id, task.Completed, `{"id":"theirs","status":"completed"}`, nil)
		b.requireStream(t, id, "0 created", "1 queued", "3 output_text.delta a", "6 created", "7 completed")

		id = b.createStream(t)
		b.write(t, id, true, created, delta("a"), completed, streamlog.Restart)
		b.finish(t, id, task.Failed, "", &task.Error{Code: "x", Message: "Why"})
		b.requireStream(t, id, "0 created", "1 queued", "3 output_text.delta a", "6 failed")

		id = b.createStream(t)
		b.write(t, id, true, created, delta("a"), completed, streamlog.Restart)
		b.finish(t, id, task.Completed, `{"id":"theirs","status":"incomplete"}`, nil)
		b.requireStream(t, id, "0 created", "1 queued", "3 output_text.delta a", "6 incomplete")
	})
}

func TestAStreamWithoutAnEndOfTheProvidersHasOneOfOurs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setupResponses(t)
		failed := b.createStream(t)
		b.write(t, failed, true, created, delta("a"), streamlog.Restart)
		b.finish(t, failed, task.Failed, "", &task.Error{Code: "connection_error", Message: "The connection broke."})
		all := b.requireStream(t, failed, "0 created", "1 queued", "3 output_text.delta a", "5 failed")
		require.Contains(t, all, `"error":{"code":"server_error","message":"The connection broke."}`)

		refused := b.createStream(t)
		b.write(t, refused, true)
		b.finish(t, refused, task.Failed, `{"error":{}}`, &task.Error{Code: "invalid_prompt", Message: "No."})
		b.requireStream(t, refused, "0 created", "1 queued", "2 failed")

		whole := b.createStream(t)
		b.write(t, whole, true)
		b.finish(t, whole, task.Completed, "{\n\"id\":\"theirs\", \"status\":\"incomplete\"}", nil)
		all = b.requireStream(t, whole, "0 created", "1 queued", "2 incomplete")
		require.Contains(t, all, `"response":{"id":"`+whole+`","status":"incomplete","background":true}}`)

		cancelled := b.createStream(t)
		b.write(t, cancelled, true, created, delta("a"))
		b.finish(t, cancelled, task.Cancelled, "", &task.Error{Code: task.CodeCancelled, Message: "Cancelled."})
		b.requireStream(t, cancelled, "0 created", "1 queued", "3 output_text.delta a")
	})
}

func TestWhoeverHasHeardTheEndFindsTheResponseEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setupResponses(t)
		id := b.createStream(t)
		e := b.stream(t, id, "")
		b.write(t, id, true, created, delta("a"), completed)
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{"0 created", "1 queued", "3 output_text.delta a"}, outline(t, e.all()))
		b.finish(t, id, task.Completed, `{"id":"theirs","status":"completed"}`, nil)
		<-e.done
		require.Equal(t, "4 completed", outline(t, e.all())[3])
	})
}

func TestAQuietResponseHasHeartbeatsAndOneThatWasEndedFromOutsideAnEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setupResponses(t)
		id := b.createStream(t)
		first, second := b.stream(t, id, ""), b.stream(t, id, "&starting_after=4")
		time.Sleep(61 * time.Second)
		require.Equal(t, 4, strings.Count(first.all(), ":\n\n"))
		b.tasks.mu.Lock()
		b.tasks.status = enums.WORKFLOW_EXECUTION_STATUS_TERMINATED
		b.tasks.mu.Unlock()
		<-first.done
		<-second.done
		require.Equal(t, []string{"0 created", "1 queued", "2 failed"}, outline(t, first.all()))
		require.Equal(t, []string{"5 failed"}, outline(t, second.all()))
	})
}

func TestAStreamEndsWithTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setupResponses(t)
		id := b.createStream(t)
		e := b.stream(t, id, "")
		time.Sleep(time.Second)
		b.api.Stop()
		<-e.done
		require.Equal(t, []string{"0 created", "1 queued"}, outline(t, e.all()))
		require.Empty(t, b.log.String())
	})
}

func TestAReaderOfAResponseThatDoesNotReadIsDroppedAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setupResponses(t)
		id := b.createStream(t)
		stuck, well := b.stream(t, id, ""), b.stream(t, id, "")
		b.await(func() bool { return strings.Contains(stuck.all(), "queued") })
		stuck.mu.Lock()
		stuck.deaf = true
		stuck.mu.Unlock()
		var frames, want []string
		for i := range 100 {
			text := strings.Repeat("x", 100_000)
			frames = append(frames, delta(text))
			want = append(want, fmt.Sprintf("%d output_text.delta %s", i+2, text))
		}
		begun := time.Now()
		b.write(t, id, true, append(frames, completed)...)
		b.finish(t, id, task.Completed, `{"id":"theirs","status":"completed"}`, nil)
		<-well.done
		require.Equal(t, append(append([]string{"0 created", "1 queued"}, want...), "102 completed"), outline(t, well.all()))
		<-stuck.done
		require.Less(t, time.Since(begun), 15*time.Second)
		require.Equal(t, []string{"0 created", "1 queued"}, outline(t, stuck.all()))
		again := b.stream(t, id, "&starting_after=1")
		<-again.done
		require.Equal(t, append(want, "102 completed"), outline(t, again.all()))
		require.Empty(t, b.log.String())
	})
}
