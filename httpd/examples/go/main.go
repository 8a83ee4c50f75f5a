// Keydir with net/http.   go run . [URL]
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

var errPrecondition = errors.New("precondition failed")

// A Client sees all that it has written, whichever node answers.
type Client struct {
	URL    string
	offset uint64 // the newest that we have seen
}

// do answers with the body and headers; found is false for 404.
func (c *Client) do(method, path, value string, headers map[string]string) (body string, h http.Header, found bool, err error) {
	req, err := http.NewRequest(method, c.URL+path, strings.NewReader(value))
	if err != nil {
		return "", nil, false, err
	}
	req.Header.Set("X-Keydir-Offset", strconv.FormatUint(c.offset, 10))
	for name, text := range headers {
		req.Header.Set(name, text)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", nil, false, err
	}
	defer res.Body.Close()
	if offset, err := strconv.ParseUint(res.Header.Get("X-Keydir-Offset"), 10, 64); err == nil && offset > c.offset {
		c.offset = offset
	}
	data, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return "", nil, false, err
	case res.StatusCode == http.StatusNotFound:
		return "", res.Header, false, nil
	case res.StatusCode == http.StatusPreconditionFailed:
		return "", res.Header, false, errPrecondition
	case res.StatusCode >= 400:
		return "", res.Header, false, fmt.Errorf("%s: %s", res.Status, data) // a problem document
	}
	return string(data), res.Header, true, nil
}

func (c *Client) Get(key string) (value string, h http.Header, found bool, err error) {
	return c.do(http.MethodGet, "/v1/kv/"+key, "", nil)
}

func (c *Client) Put(key, value string, ttl time.Duration, headers map[string]string) error {
	path := "/v1/kv/" + key
	if ttl > 0 {
		path += fmt.Sprintf("?ttl=%dms", ttl.Milliseconds())
	}
	_, _, _, err := c.do(http.MethodPut, path, value, headers)
	return err
}

// Update is compare and set: as often as another client is faster.
func (c *Client) Update(key string, change func(old string) string) (string, error) {
	for {
		old, h, found, err := c.Get(key)
		if err != nil {
			return "", err
		}
		condition := map[string]string{"If-None-Match": "*"}
		if found {
			condition = map[string]string{"If-Match": h.Get("ETag")}
		}
		value := change(old)
		err = c.Put(key, value, 0, condition)
		if !errors.Is(err, errPrecondition) {
			return value, err
		}
	}
}

type Change struct {
	Event, Key, Value string
	Version           uint64
}

// Watch calls f for each change from an offset on, until f says false; it comes
// back when a node is lost.
func (c *Client) Watch(prefix string, from uint64, f func(Change) bool) error {
	query := url.Values{"prefix": {prefix}, "from": {strconv.FormatUint(from, 10)}, "values": {""}}
	for last := ""; ; time.Sleep(time.Second) {
		req, err := http.NewRequest(http.MethodGet, c.URL+"/v1/watch?"+query.Encode(), nil)
		if err != nil {
			return err
		}
		if last != "" { // the stream's own place, once there is one
			req.Header.Set("Last-Event-ID", last)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		if res.StatusCode != http.StatusOK {
			res.Body.Close()
			return fmt.Errorf("watch: %s", res.Status)
		}
		more, err := read(bufio.NewReader(res.Body), &last, f)
		res.Body.Close()
		if err != nil || !more {
			return err
		}
	}
}

// read goes through the messages of a stream until its end, or until f says
// false. A message counts when it is complete.
func read(stream *bufio.Reader, last *string, f func(Change) bool) (more bool, err error) {
	for message := map[string]string{}; ; {
		line, err := stream.ReadString('\n')
		if err != nil {
			return true, nil
		}
		line = strings.TrimSuffix(line, "\n")
		if line != "" {
			name, value, _ := strings.Cut(line, ": ")
			message[name] = value
			continue
		}
		if data, ok := message["data"]; ok {
			var change Change
			if err := json.Unmarshal([]byte(data), &change); err != nil {
				return false, err
			}
			if !f(change) {
				return false, nil
			}
		}
		if id, ok := message["id"]; ok {
			*last = id
		}
		message = map[string]string{}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	c := &Client{URL: "http://127.0.0.1:5000"}
	if len(os.Args) > 1 {
		c.URL = os.Args[1]
	}

	check(c.Put("examples/go/greeting", "hello", 0, nil))
	begin := c.offset
	value, _, _, err := c.Get("examples/go/greeting")
	check(err)
	fmt.Println(value)

	check(c.Put("examples/go/session", "secret", 90*time.Second, nil))
	_, h, _, err := c.Get("examples/go/session")
	check(err)
	fmt.Println("expires in", h.Get("X-Keydir-TTL"), "s")

	count, err := c.Update("examples/go/counter", func(old string) string {
		n, _ := strconv.Atoi(old)
		return strconv.Itoa(n + 1)
	})
	check(err)
	fmt.Println("counted to", count)

	check(c.Watch("examples/go/", begin, func(change Change) bool {
		fmt.Println(change.Event, change.Key, change.Value)
		return !strings.HasSuffix(change.Key, "/counter")
	}))
}
