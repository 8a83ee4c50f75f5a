package main

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

func op(client int, call, back int64, in input, out output) porcupine.Operation {
	in.Key = "k"
	return porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: back}
}

func put(v string) input           { return input{Op: opPut, Value: v} }
func done(version int64) output    { return output{Got: gotOK, Version: version} }
func created(v int64) output       { return output{Got: gotOK, Version: v, Created: true} }
func got(s string, v int64) output { return output{Got: gotOK, Value: s, Version: v} }

var (
	get     = input{Op: opGet}
	del     = input{Op: opDelete}
	missing = output{Got: gotMissing}
	refused = output{Got: gotRefused}
	unknown = output{Got: gotUnknown}
	never   = int64(time.Hour)
)

func TestCheck(t *testing.T) {
	appended := func(size int, version int64, created bool) output {
		return output{Got: gotOK, Version: version, Created: created, Size: size}
	}
	cases := []struct {
		name    string
		legal   bool
		history []porcupine.Operation
	}{
		{"in order", true, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(1)), op(1, 3, 4, get, got("a", 1)),
			op(0, 5, 6, put("b"), done(2)), op(1, 7, 8, get, got("b", 2)),
			op(0, 9, 10, del, done(0)), op(1, 11, 12, get, missing)}},
		{"a stale read", false, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(1)), op(0, 3, 4, put("b"), done(2)),
			op(1, 5, 6, get, got("a", 1))}},
		{"a read while it is written may see either", true, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(1)), op(0, 3, 9, put("b"), done(2)),
			op(1, 4, 5, get, got("a", 1)), op(1, 6, 7, get, got("b", 2))}},
		{"but not go back", false, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(1)), op(0, 3, 9, put("b"), done(2)),
			op(1, 4, 5, get, got("b", 2)), op(1, 6, 7, get, got("a", 1))}},
		{"a lost write", false, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(1)), op(1, 3, 4, get, missing)}},
		{"two that create", false, []porcupine.Operation{
			op(0, 1, 9, input{Op: opCreate, Value: "a"}, created(1)),
			op(1, 1, 9, input{Op: opCreate, Value: "b"}, created(2))}},
		{"one creates, one is refused", true, []porcupine.Operation{
			op(0, 1, 9, input{Op: opCreate, Value: "a"}, created(1)),
			op(1, 1, 9, input{Op: opCreate, Value: "b"}, refused)}},
		{"two swaps of one version", false, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(1)),
			op(0, 3, 9, input{Op: opSwap, Value: "b", Version: 1}, done(2)),
			op(1, 3, 9, input{Op: opSwap, Value: "c", Version: 1}, done(3))}},
		{"a swap refused without reason", false, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(1)),
			op(0, 3, 4, input{Op: opSwap, Value: "b", Version: 1}, refused)}},
		{"unknown, and done", true, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(1)), op(0, 3, never, put("b"), unknown),
			op(1, 5, 6, get, got("a", 1)), op(1, 7, 8, get, got("b", 7))}},
		{"unknown, and not done", true, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(1)), op(0, 3, never, put("b"), unknown),
			op(1, 5, 6, get, got("a", 1))}},
		{"unknown, done and undone", false, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(1)), op(0, 3, never, put("b"), unknown),
			op(1, 5, 6, get, got("b", 7)), op(1, 7, 8, get, got("a", 1))}},
		{"a value from nowhere", false, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(1)), op(1, 3, 4, get, got("z", 2))}},
		{"an append lost", false, []porcupine.Operation{
			op(0, 1, 2, input{Op: opAppend, Value: "x"}, appended(1, 1, true)),
			op(0, 3, 4, input{Op: opAppend, Value: "y"}, appended(2, 2, false)),
			op(1, 5, 6, get, got("y", 2))}},
		{"an append done twice", false, []porcupine.Operation{
			op(0, 1, 2, input{Op: opAppend, Value: "x"}, appended(1, 1, true)),
			op(1, 5, 6, get, got("xx", 2))}},
		{"versions go up", false, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(5)), op(0, 3, 4, put("b"), done(4))}},
		{"deleted by two", false, []porcupine.Operation{
			op(0, 1, 2, put("a"), created(1)), op(0, 3, 9, del, done(0)),
			op(1, 3, 9, del, done(0))}},
	}
	for _, c := range cases {
		illegal, undecided := check(c.history)
		if len(undecided) > 0 || (len(illegal) == 0) != c.legal {
			t.Errorf("%s: legal=%v, want %v", c.name, len(illegal) == 0, c.legal)
		}
	}
}
