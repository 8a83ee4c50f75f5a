// linear: load the nodes of a volume, record the requests and responses of clients, and
// check Keydir's guarantees (README.md, "Consistency and limits"):
//
//   - writes and ?consistent reads are linearizable, key by key (Porcupine);
//   - a plain read of one node never goes back in time;
//   - a read with X-Keydir-Offset includes the write of that token, on any node.
//
// The caller injects faults. With -stale the checked reads are plain reads, which
// guarantee less: under a partition the check must fail.
//
// Exit status 0: all guarantees held. 1: an error. 3: a guarantee was violated.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	roundKeys  = 3
	roundTime  = 400 * time.Millisecond
	checkLimit = 60 * time.Second
	overtime   = 2 * time.Minute
)

// tally counts operations and keeps the violations.
type tally struct {
	sync.Mutex
	counts  map[string]int
	broken  []string
	history []porcupine.Operation
}

func (t *tally) count(what string) {
	t.Lock()
	defer t.Unlock()
	t.counts[what]++
}

func (t *tally) fail(format string, args ...interface{}) {
	t.Lock()
	defer t.Unlock()
	t.broken = append(t.broken, fmt.Sprintf(format, args...))
}

func (t *tally) record(op porcupine.Operation) {
	t.Lock()
	defer t.Unlock()
	t.history = append(t.history, op)
	in, out := op.Input.(input), op.Output.(output)
	t.counts[in.Op+" "+out.Got]++
}

// run is one run of all clients. They use the keys of the current round, so that the
// history of a key stays short enough to be checked.
type run struct {
	nodes []string
	start time.Time
	until time.Time
	least int // operations
	stale bool
	tally *tally
}

// running reports whether clients continue: until the end of the run, and on a slow machine
// until the least number of operations is recorded.
func (r *run) running() bool {
	now := time.Now()
	if now.Before(r.until) {
		return true
	}
	r.tally.Lock()
	defer r.tally.Unlock()
	return len(r.tally.history) < r.least && now.Before(r.until.Add(overtime))
}

func (r *run) keys() []string {
	round := int(time.Since(r.start) / roundTime)
	keys := make([]string, roundKeys)
	for i := range keys {
		keys[i] = fmt.Sprintf("lin/%d-%d", round, i)
	}
	return keys
}

func choose(random *rand.Rand, version int64) string {
	switch n := random.Intn(20); {
	case n < 8:
		return opGet
	case n < 11:
		return opPut
	case n < 14:
		return opAppend
	case n < 16:
		return opCreate
	case n < 18 && version >= 0:
		return opSwap
	case n < 18:
		return opGet
	default:
		return opDelete
	}
}

func (r *run) client(id int, seed int64) {
	random := rand.New(rand.NewSource(seed))
	c := newHTTP()
	node := r.nodes[id%len(r.nodes)]
	seen := map[string]int64{} // versions, for swap
	for n := 0; r.running(); n++ {
		keys := r.keys()
		key := keys[random.Intn(len(keys))]
		version, known := seen[key]
		if !known {
			version = -1
		}
		in := input{Op: choose(random, version), Key: key, Version: version}
		if in.Op != opGet && in.Op != opDelete {
			in.Value = fmt.Sprintf("%d.%d,", id, n)
		}
		call := time.Since(r.start)
		out, err := do(c, node, in, !r.stale)
		back := time.Since(r.start)
		if errors.Is(err, errNothing) {
			r.tally.count("nothing done")
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if err != nil {
			r.tally.fail("%s: %v", node, err)
			return
		}
		if out.Version >= 0 && out.Got == gotOK {
			seen[key] = out.Version
		}
		op := porcupine.Operation{ClientId: id, Input: in, Call: int64(call), Output: out,
			Return: int64(back)}
		if out.Got == gotUnknown {
			// It may take effect at any time, so it never returns.
			op.Return = int64(time.Hour)
		}
		r.tally.record(op)
	}
}

// check returns the keys whose history no order explains, and those not decided in time.
func check(history []porcupine.Operation) (illegal []string, undecided []string) {
	m := model.ToModel()
	m.Partition = nil
	for _, part := range partition(history) {
		key := part[0].Input.(input).Key
		switch porcupine.CheckOperationsTimeout(m, part, checkLimit) {
		case porcupine.Illegal:
			illegal = append(illegal, key)
		case porcupine.Unknown:
			undecided = append(undecided, key)
		}
	}
	return illegal, undecided
}

func printHistory(history []porcupine.Operation, key string) {
	var ops []porcupine.Operation
	for _, op := range history {
		if op.Input.(input).Key == key {
			ops = append(ops, op)
		}
	}
	sort.Slice(ops, func(a, b int) bool { return ops[a].Call < ops[b].Call })
	fmt.Printf("history of %s:\n", key)
	for _, op := range ops {
		fmt.Printf("  %10.3f %10.3f client %d: %s\n", float64(op.Call)/1e6, float64(op.Return)/1e6,
			op.ClientId, describe(op.Input, op.Output))
	}
}

func main() {
	nodes := flag.String("nodes", "", "URLs of the nodes, comma-separated")
	seconds := flag.Float64("seconds", 10, "duration of the load")
	least := flag.Int("least", 0, "continue, for two minutes at most, until this number of operations is recorded")
	clients := flag.Int("clients", 9, "clients at once")
	seed := flag.Int64("seed", 1, "of the clients' choices")
	stale := flag.Bool("stale", false, "check plain reads as if they were ?consistent")
	flag.Parse()
	if *nodes == "" || *clients < 1 {
		flag.Usage()
		os.Exit(1)
	}
	t := &tally{counts: map[string]int{}}
	r := &run{nodes: strings.Split(*nodes, ","), start: time.Now(), stale: *stale, tally: t, least: *least}
	r.until = r.start.Add(time.Duration(*seconds * float64(time.Second)))
	var group sync.WaitGroup
	in := func(f func()) {
		group.Add(1)
		go func() {
			defer group.Done()
			f()
		}()
	}
	for id := 0; id < *clients; id++ {
		id := id
		in(func() { r.client(id, *seed+int64(id)) })
	}
	for i, node := range r.nodes {
		i, node := i, node
		in(func() { watchNode(node, r.running, r.keys, t) })
		in(func() { readOwnWrites(i, r.nodes, r.running, *seed+1000+int64(i), t) })
	}
	group.Wait()

	illegal, undecided := check(t.history)
	var names []string
	for name := range t.counts {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Printf("%s: %d\n", name, t.counts[name])
	}
	fmt.Printf("operations: %d\n", len(t.history))
	for _, what := range t.broken {
		fmt.Println("BROKEN:", what)
	}
	for _, key := range illegal {
		fmt.Println("BROKEN: not linearizable:", key)
	}
	if len(illegal) > 0 {
		printHistory(t.history, illegal[0])
	}
	for _, key := range undecided {
		fmt.Println("not decided in time:", key)
	}
	switch {
	case len(illegal) > 0 || len(t.broken) > 0:
		os.Exit(3)
	case len(undecided) > 0:
		os.Exit(1)
	}
}
