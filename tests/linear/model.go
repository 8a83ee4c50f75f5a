package main

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// Kinds of operations on one key.
const (
	opPut    = "put"    // PUT
	opCreate = "create" // PUT, If-None-Match: *
	opSwap   = "swap"   // PUT, If-Match: "version"
	opAppend = "append" // POST ?op=append
	opDelete = "delete" // DELETE
	opGet    = "get"    // GET ?consistent
)

// Results of an operation.
const (
	gotOK      = "ok"
	gotMissing = "missing" // 404
	gotRefused = "refused" // 412
	gotUnknown = "unknown" // 504, or the connection ended without an answer
)

// input is the request of a client.
type input struct {
	Op      string
	Key     string
	Value   string // put, create, swap, append
	Version int64  // swap
}

// output is the result of the request.
type output struct {
	Got     string
	Value   string // get
	Version int64
	Created bool // put, append
	Size    int  // append
}

// anyVersion is the version of an entry written with unknown outcome.
const anyVersion = -1

// entry is the state of one key.
type entry struct {
	Exists  bool
	Value   string
	Version int64
}

func written(value string, version int64) entry {
	return entry{Exists: true, Value: value, Version: version}
}

// step returns the possible states of the key after an operation with this result, or
// none if the result is impossible.
func step(state, in, out interface{}) []interface{} {
	e, i, o := state.(entry), in.(input), out.(output)
	if o.Got == gotUnknown {
		return stepUnknown(e, i)
	}
	if !answerFits(e, i, o) {
		return nil
	}
	if o.Got != gotOK {
		return []interface{}{e}
	}
	switch i.Op {
	case opDelete:
		return []interface{}{entry{}}
	case opGet:
		return []interface{}{written(e.Value, o.Version)}
	case opAppend:
		return []interface{}{written(e.Value+i.Value, o.Version)}
	default:
		return []interface{}{written(i.Value, o.Version)}
	}
}

func sameVersion(e entry, version int64) bool {
	return e.Version == anyVersion || e.Version == version
}

func answerFits(e entry, i input, o output) bool {
	// A write's version is its offset in the log.
	if o.Got == gotOK && i.Op != opGet && i.Op != opDelete && o.Version <= e.Version {
		return false
	}
	switch i.Op + " " + o.Got {
	case opPut + " " + gotOK:
		return o.Created == !e.Exists
	case opAppend + " " + gotOK:
		return o.Created == !e.Exists && o.Size == len(e.Value)+len(i.Value)
	case opCreate + " " + gotOK:
		return !e.Exists
	case opCreate + " " + gotRefused:
		return e.Exists
	case opSwap + " " + gotOK:
		return e.Exists && sameVersion(e, i.Version)
	case opSwap + " " + gotRefused:
		return !e.Exists || e.Version == anyVersion || e.Version != i.Version
	case opDelete + " " + gotOK:
		return e.Exists
	case opDelete + " " + gotMissing:
		return !e.Exists
	case opGet + " " + gotOK:
		return e.Exists && e.Value == o.Value && sameVersion(e, o.Version)
	case opGet + " " + gotMissing:
		return !e.Exists
	}
	return false
}

// stepUnknown returns the states after an operation of unknown outcome. It takes effect
// at some time, perhaps after all others, which is the same as never.
func stepUnknown(e entry, i input) []interface{} {
	done := written(i.Value, anyVersion)
	switch i.Op {
	case opPut:
		return []interface{}{done}
	case opAppend:
		return []interface{}{written(e.Value+i.Value, anyVersion)}
	case opDelete:
		return []interface{}{entry{}}
	case opCreate:
		if e.Exists {
			return []interface{}{e}
		}
		return []interface{}{done}
	case opSwap:
		if !e.Exists || !sameVersion(e, i.Version) {
			return []interface{}{e}
		}
		if e.Version == anyVersion {
			return []interface{}{e, done}
		}
		return []interface{}{done}
	}
	return []interface{}{e}
}

func partition(history []porcupine.Operation) [][]porcupine.Operation {
	byKey := map[string][]porcupine.Operation{}
	var keys []string
	for _, op := range history {
		key := op.Input.(input).Key
		if _, found := byKey[key]; !found {
			keys = append(keys, key)
		}
		byKey[key] = append(byKey[key], op)
	}
	parts := make([][]porcupine.Operation, 0, len(keys))
	for _, key := range keys {
		parts = append(parts, byKey[key])
	}
	return parts
}

func describe(in, out interface{}) string {
	i, o := in.(input), out.(output)
	text := i.Op
	if i.Op == opSwap {
		text += fmt.Sprintf("[%d]", i.Version)
	}
	if i.Op != opGet && i.Op != opDelete {
		text += fmt.Sprintf("(%s)", i.Value)
	}
	return fmt.Sprintf("%s -> %s %q version=%d created=%v size=%d", text, o.Got, o.Value,
		o.Version, o.Created, o.Size)
}

// model is one key of Keydir, read with ?consistent.
var model = porcupine.NondeterministicModel{
	Partition: partition,
	Init:      func() []interface{} { return []interface{}{entry{}} },
	Step:      step,
	Equal:     func(a, b interface{}) bool { return a == b },

	DescribeOperation: describe,
	DescribeState:     func(state interface{}) string { return fmt.Sprintf("%+v", state) },
}
