package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errNothing reports that the operation was certainly not done (503, or no connection).
var errNothing = errors.New("nothing was done")

// newHTTP returns a client that never retries by itself.
func newHTTP() *http.Client {
	return &http.Client{
		Timeout: 8 * time.Second,
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
			MaxIdleConnsPerHost: 1,
			Proxy:               nil,
		},
	}
}

// answer is an HTTP response.
type answer struct {
	status int
	body   []byte
	header http.Header
}

func (a answer) offset() int64 {
	n, err := strconv.ParseInt(a.header.Get("X-Keydir-Offset"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (a answer) version() int64 {
	version, _, _ := strings.Cut(strings.Trim(a.header.Get("ETag"), `"`), "-")
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func send(c *http.Client, method, url, body string, headers ...string) (answer, error) {
	request, err := http.NewRequest(method, url, bytes.NewBufferString(body))
	if err != nil {
		return answer{}, err
	}
	// Without this, net/http sends some requests again on a new connection.
	request.GetBody = nil
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.Do(request)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) || isDialError(err) {
			return answer{}, errNothing
		}
		return answer{}, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{response.StatusCode, data, response.Header}, nil
}

func isDialError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// do performs one operation on the node at URL. After errNothing the operation is not
// part of the history. Another error is an answer that no node may give.
func do(c *http.Client, url string, in input, consistent bool) (output, error) {
	path := url + "/v1/kv/" + in.Key
	var a answer
	var err error
	switch in.Op {
	case opPut:
		a, err = send(c, "PUT", path, in.Value)
	case opCreate:
		a, err = send(c, "PUT", path, in.Value, "If-None-Match", "*")
	case opSwap:
		a, err = send(c, "PUT", path, in.Value, "If-Match",
			`"`+strconv.FormatInt(in.Version, 10)+`"`)
	case opAppend:
		a, err = send(c, "POST", path+"?op=append", in.Value)
	case opDelete:
		a, err = send(c, "DELETE", path, "")
	case opGet:
		if consistent {
			path += "?consistent"
		}
		a, err = send(c, "GET", path, "")
	}
	if err != nil {
		if errors.Is(err, errNothing) || in.Op == opGet {
			return output{}, errNothing
		}
		return output{Got: gotUnknown}, nil
	}
	return interpret(in, a)
}

func interpret(in input, a answer) (output, error) {
	out := output{Got: gotOK, Version: a.version()}
	switch a.status {
	case 200, 201, 204:
	case 404:
		return output{Got: gotMissing}, nil
	case 412:
		if in.Op == opGet {
			return output{}, errNothing
		}
		return output{Got: gotRefused}, nil
	case 503:
		return output{}, errNothing
	case 504:
		if in.Op == opGet {
			return output{}, errNothing
		}
		return output{Got: gotUnknown}, nil
	default:
		return output{}, errors.New(in.Op + " " + in.Key + ": status " +
			strconv.Itoa(a.status) + ": " + string(a.body))
	}
	switch in.Op {
	case opGet:
		out.Value = string(a.body)
	case opPut:
		out.Created = a.status == 201
	case opAppend:
		var doc struct {
			Version int64
			Created bool
			Size    int
		}
		if err := json.Unmarshal(a.body, &doc); err != nil {
			return output{}, err
		}
		out.Version, out.Created, out.Size = doc.Version, doc.Created, doc.Size
	}
	return out, nil
}
