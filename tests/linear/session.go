package main

import (
	"fmt"
	"math/rand"
	"net/http"
	"strconv"
	"time"
)

// watchNode reads keys of one node with plain reads, and checks that neither the offset
// of its responses nor the version of a key goes back.
func watchNode(node string, running func() bool, keys func() []string, t *tally) {
	c := newHTTP()
	last := int64(-1)
	versions := map[string]int64{}
	for running() {
		for _, key := range keys() {
			a, err := send(c, "GET", node+"/v1/kv/"+key, "")
			if err != nil || a.status == 503 {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			if a.status != 200 && a.status != 404 {
				t.fail("%s: GET %s: status %d", node, key, a.status)
				return
			}
			if offset := a.offset(); offset < last {
				t.fail("%s went back: offset %d after %d", node, offset, last)
				return
			} else {
				last = offset
			}
			if a.status == 200 {
				version := a.version()
				if version < versions[key] {
					t.fail("%s went back: %s has version %d after %d", node, key,
						version, versions[key])
					return
				}
				if version > last {
					t.fail("%s: %s has version %d, newer than its offset %d", node,
						key, version, last)
					return
				}
				versions[key] = version
			}
			t.count("plain read")
			// Clients and nodes share few processors.
			time.Sleep(time.Millisecond)
		}
	}
}

// readOwnWrites writes a key of its own to one node and reads it from another, with the
// offset of the write as the token.
func readOwnWrites(id int, nodes []string, running func() bool, seed int64, t *tally) {
	c := newHTTP()
	random := rand.New(rand.NewSource(seed))
	key := fmt.Sprintf("own/%d", id)
	last := ""                   // acknowledged
	perhaps := map[string]bool{} // written since, with unknown outcome
	token, version := int64(0), int64(-1)
	for n := 0; running(); n++ {
		writer, reader := random.Intn(len(nodes)), random.Intn(len(nodes))
		value := fmt.Sprintf("%d-%d", id, n)
		in := input{Op: opPut, Key: key, Value: value}
		a, err := send(c, "PUT", nodes[writer]+"/v1/kv/"+key, in.Value)
		switch {
		case err == errNothing || (err == nil && a.status == 503):
			time.Sleep(20 * time.Millisecond)
			continue
		case err != nil || a.status == 504:
			perhaps[value] = true
			continue
		case a.status != 200 && a.status != 201:
			t.fail("PUT %s: status %d", key, a.status)
			return
		}
		if a.version() <= version || a.offset() < token {
			t.fail("%s: version %d after %d, offset %d after %d", key, a.version(), version,
				a.offset(), token)
			return
		}
		// A write of unknown outcome may still take effect, so it stays possible.
		last, version, token = value, a.version(), a.offset()
		if !readBack(c, nodes[reader], key, last, perhaps, token, t) {
			return
		}
	}
}

func readBack(c *http.Client, node, key, last string, perhaps map[string]bool, token int64, t *tally) bool {
	a, err := send(c, "GET", node+"/v1/kv/"+key, "", "X-Keydir-Offset",
		strconv.FormatInt(token, 10))
	if err != nil || a.status == 503 {
		return true
	}
	if a.status == 412 {
		t.count("not there in time")
		return true
	}
	if a.status != 200 || (string(a.body) != last && !perhaps[string(a.body)]) {
		t.fail("%s: wrote %q at offset %d, then %s answered %d %q at offset %d", key, last, token,
			node, a.status, a.body, a.offset())
		return false
	}
	if a.offset() < token {
		t.fail("%s answered at offset %d where %d was asked for", node, a.offset(), token)
		return false
	}
	t.count("own write read")
	return true
}
