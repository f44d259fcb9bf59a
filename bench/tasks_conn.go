package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// link is one kept connection to a service, over which one request after the
// other is sent. The load comes from the same machine that is measured, so it is
// made of as little as possible: requests are whole before the clock starts.
type link struct {
	conn net.Conn
	read *bufio.Reader
}

// dial opens so many links and has each answered once, so that connecting is
// not part of a figure.
func (s *service) dial(ctx context.Context, n int) (links []*link, hangUp func(), err error) {
	hangUp = func() {
		for _, l := range links {
			_ = l.conn.Close()
		}
	}
	var d net.Dialer
	for range n {
		conn, err := d.DialContext(ctx, "tcp", s.address())
		if err != nil {
			hangUp()
			return nil, nil, err
		}
		links = append(links, &link{conn: conn, read: bufio.NewReader(conn)})
	}
	alive := s.request(http.MethodGet, "/livez", "")
	for _, l := range links {
		if _, err := l.ask(alive, http.StatusOK); err != nil {
			hangUp()
			return nil, nil, err
		}
	}
	return links, hangUp, nil
}

// address is where the service listens.
func (s *service) address() string { return strings.TrimPrefix(s.url, "http://") }

// request is a whole request, as it is sent.
func (s *service) request(method, path, body string) []byte {
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		method, path, s.address(), len(body), body)
}

// ask sends a request and returns the body of an answer that has the wanted
// status.
func (l *link) ask(request []byte, want int) ([]byte, error) {
	if err := l.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := l.conn.Write(request); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(l.read, nil)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != want {
		err = fmt.Errorf("%s, wanted %d: %s", res.Status, want, body)
	}
	return body, err
}

// each sends the requests over the links, each of which takes the next one when
// it has an answer. It hands answers to take, from several goroutines and with
// the time since the first request.
func each(links []*link, requests [][]byte, want int, take func(i int, at time.Duration, body []byte) error) error {
	var next atomic.Int64
	var wait sync.WaitGroup
	failures := make(chan error, len(links))
	start := make(chan struct{})
	var begun time.Time
	for _, l := range links {
		wait.Go(func() {
			<-start
			for i := int(next.Add(1)) - 1; i < len(requests); i = int(next.Add(1)) - 1 {
				body, err := l.ask(requests[i], want)
				if err == nil {
					err = take(i, time.Since(begun), body)
				}
				if err != nil {
					failures <- fmt.Errorf("request %d of %d: %w", i+1, len(requests), err)
					return
				}
			}
		})
	}
	begun = time.Now()
	close(start)
	wait.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}
