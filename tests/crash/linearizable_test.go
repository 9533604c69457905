package crash

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	"github.com/anishathalye/porcupine"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

type kind int

const (
	get kind = iota
	put
	remove
	swap // put the value if the present one is as expected, else get
)

// input of an operation on one key.
type input struct {
	kind     kind
	key      string
	value    string
	expected string
}

// output of an operation. A crash may leave it unknown: it happened before the server was ready again, or never.
type output struct {
	unknown   bool
	succeeded bool // swap
	before    register
	revision  int64
}

// register is the state of one key. Each put writes a value that no other writes.
type register struct {
	value   string
	version int64 // 0: absent
}

func (r register) written(value string) register {
	return register{value: value, version: r.version + 1}
}

// step returns the states that may follow: none if the answer does not fit.
func step(state, in, out any) []any {
	r, operation, answer := state.(register), in.(input), out.(output)
	after := r
	succeeded := operation.kind == swap && r.version > 0 && r.value == operation.expected
	switch {
	case operation.kind == put, succeeded:
		after = r.written(operation.value)
	case operation.kind == remove:
		after = register{}
	}
	if answer.unknown {
		return []any{r, after}
	}
	if operation.kind == swap && answer.succeeded != succeeded || answer.before != r {
		return nil
	}
	return []any{after}
}

var model = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, operation := range history {
			key := operation.Input.(input).key
			byKey[key] = append(byKey[key], operation)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() []any { return []any{register{}} },
	Step: step,
	DescribeOperation: func(in, out any) string {
		operation, answer := in.(input), out.(output)
		name := [...]string{"get", "put", "delete", "swap"}[operation.kind]
		if answer.unknown {
			return fmt.Sprintf("%s %s %s→%s: ?", name, operation.key, operation.expected, operation.value)
		}
		return fmt.Sprintf("%s %s %s→%s: was %v, succeeded %v, revision %d", name, operation.key, operation.expected, operation.value, answer.before, answer.succeeded, answer.revision)
	},
	DescribeState: func(state any) string { return fmt.Sprint(state) },
}).ToModel()

func toRegister(kvs []*mvccpb.KeyValue) register {
	if len(kvs) == 0 {
		return register{}
	}
	return register{value: string(kvs[0].Value), version: kvs[0].Version}
}

// perform one operation; each tells what the key held before.
func perform(ctx context.Context, kv pb.KVClient, in input) (output, error) {
	key := []byte(in.key)
	switch in.kind {
	case get:
		r, err := kv.Range(ctx, &pb.RangeRequest{Key: key})
		return output{before: toRegister(r.GetKvs()), revision: r.GetHeader().GetRevision()}, err
	case put:
		r, err := kv.Put(ctx, &pb.PutRequest{Key: key, Value: []byte(in.value), PrevKv: true})
		var before []*mvccpb.KeyValue
		if r.GetPrevKv() != nil {
			before = append(before, r.PrevKv)
		}
		return output{before: toRegister(before), revision: r.GetHeader().GetRevision()}, err
	case remove:
		r, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: key, PrevKv: true})
		return output{before: toRegister(r.GetPrevKvs()), revision: r.GetHeader().GetRevision()}, err
	default:
		read := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: key}}}
		r, err := kv.Txn(ctx, &pb.TxnRequest{
			Compare: []*pb.Compare{{Key: key, Target: pb.Compare_VALUE, TargetUnion: &pb.Compare_Value{Value: []byte(in.expected)}}},
			Success: []*pb.RequestOp{read, {Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: key, Value: []byte(in.value)}}}},
			Failure: []*pb.RequestOp{read},
		})
		if err != nil {
			return output{}, err
		}
		return output{succeeded: r.Succeeded, before: toRegister(r.Responses[0].GetResponseRange().GetKvs()), revision: r.Header.Revision}, nil
	}
}

// Ten clients read and write a few keys while the server crashes under them; their history must be that of one register per
// key, and revisions must agree with real time.
func TestLinearizableOverCrashes(t *testing.T) {
	const clients, keys = 10, 5
	mode := ModeFromEnvironment(t)
	crashes := int(harness.IntEnv(t, "CRASH_RESTARTS", 10))
	server := harness.New(t, harness.Subject(t), mode.Options(filepath.Join(t.TempDir(), "data")))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var history []porcupine.Operation
	began := time.Now()
	now := func() int64 { return time.Since(began).Nanoseconds() }
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	up := newGate(true)
	for c := range clients {
		conn := connect(t, server)
		group.Add(1)
		go func() {
			defer group.Done()
			random := rand.New(rand.NewPCG(uint64(mode.seed), uint64(100+c)))
			kv := pb.NewKVClient(conn)
			recent := map[string]string{}
			for i := 0; ctx.Err() == nil; i++ {
				up.wait(ctx)
				in := input{kind: get, key: fmt.Sprintf("register/%d", random.IntN(keys)), value: fmt.Sprintf("%d.%d", c, i)}
				switch roll := random.IntN(10); {
				case roll < 3:
					in.kind = put
				case roll < 5:
					in.kind, in.expected = swap, recent[in.key]
				case roll < 6:
					in.kind = remove
				}
				call, done := context.WithTimeout(context.Background(), 5*time.Second)
				from := now()
				out, err := perform(call, kv, in)
				to := now()
				done()
				if err != nil {
					up.close()
					if in.kind == get {
						continue
					}
					out = output{unknown: true}
				} else {
					recent[in.key] = out.before.value
					if in.kind == put || out.succeeded {
						recent[in.key] = in.value
					}
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: c, Input: in, Call: from, Output: out, Return: to})
				mu.Unlock()
				time.Sleep(time.Duration(random.IntN(4)) * time.Millisecond)
			}
		}()
	}
	var starts []int64
	random := rand.New(rand.NewPCG(uint64(mode.seed), 2))
	for crash := range crashes {
		time.Sleep(time.Duration(100+random.IntN(300)) * time.Millisecond)
		if err := mode.Crash(server, crash); err != nil {
			t.Error(err)
			break
		}
		if err := server.Start(); err != nil {
			t.Error(err)
			break
		}
		starts = append(starts, now())
		up.open()
	}
	time.Sleep(300 * time.Millisecond)
	stop()
	group.Wait()

	unknown := 0
	for i := range history {
		if history[i].Output.(output).unknown {
			unknown++
			// Nobody sends it again: whatever process had it when its client gave up is dead at the next start, which
			// has read all that is left of it.
			history[i].Return = firstAfter(starts, history[i].Return)
		}
	}
	t.Logf("mode %s, seed %d: %d operations over %d crashes, %d of unknown outcome", mode.Name, mode.seed, len(history), crashes, unknown)
	if len(history) < 100*crashes {
		t.Errorf("only %d operations: the run proves too little", len(history))
	}
	checkRevisions(t, history)
	result, info := porcupine.CheckOperationsVerbose(model, history, time.Minute)
	if result != porcupine.Ok {
		picture := filepath.Join(os.TempDir(), fmt.Sprintf("etcdpp-history-%d.html", mode.seed))
		if err := porcupine.VisualizePath(model, info, picture); err != nil {
			picture = err.Error()
		}
		t.Fatalf("the history is not linearizable (%v; unknown: the check took too long); drawn in %s", result, picture)
	}
}

// firstAfter returns the first of the ascending times that is not before `from`; the end of time if there is none.
func firstAfter(times []int64, from int64) int64 {
	if at, _ := slices.BinarySearch(times, from); at < len(times) {
		return times[at]
	}
	return math.MaxInt64
}

// checkRevisions: what was answered before another operation began has a lower revision than a later change, and no higher
// one than a later read.
func checkRevisions(t *testing.T, history []porcupine.Operation) {
	t.Helper()
	known := slices.DeleteFunc(slices.Clone(history), func(o porcupine.Operation) bool { return o.Output.(output).unknown })
	byReturn := slices.Clone(known)
	slices.SortFunc(byReturn, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	slices.SortFunc(known, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	newest, done := int64(0), 0
	for _, o := range known {
		for done < len(byReturn) && byReturn[done].Return < o.Call {
			newest = max(newest, byReturn[done].Output.(output).revision)
			done++
		}
		in, out := o.Input.(input), o.Output.(output)
		changed := in.kind == put || out.succeeded || in.kind == remove && out.before.version > 0
		if out.revision < newest || changed && out.revision == newest {
			t.Errorf("revision %d answered to %s, after %d had been seen", out.revision, model.DescribeOperation(in, out), newest)
		}
	}
}

// gate keeps clients from piling up operations of unknown outcome while the server is away.
type gate struct {
	mu     sync.Mutex
	opened chan struct{}
	isOpen bool
}

func newGate(open bool) *gate {
	g := &gate{opened: make(chan struct{}), isOpen: open}
	if open {
		close(g.opened)
	}
	return g
}

func (g *gate) wait(ctx context.Context) {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	select {
	case <-opened:
	case <-ctx.Done():
	case <-time.After(2 * time.Second): // closed by a late error, after the server had come back
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isOpen {
		g.isOpen, g.opened = false, make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.isOpen {
		g.isOpen = true
		close(g.opened)
	}
}

// The judge itself: what it must accept and what it must not.
func TestModel(t *testing.T) {
	operation := func(call, back int64, in input, out output) porcupine.Operation {
		in.key = "k"
		return porcupine.Operation{Input: in, Call: call, Output: out, Return: back}
	}
	for _, c := range []struct {
		name    string
		history []porcupine.Operation
		ok      bool
	}{
		{"put, then get", []porcupine.Operation{
			operation(0, 1, input{kind: put, value: "a"}, output{}),
			operation(2, 3, input{kind: get}, output{before: register{"a", 1}}),
		}, true},
		{"a lost put", []porcupine.Operation{
			operation(0, 1, input{kind: put, value: "a"}, output{}),
			operation(2, 3, input{kind: get}, output{}),
		}, false},
		{"a put of unknown outcome shows late", []porcupine.Operation{
			operation(0, math.MaxInt64, input{kind: put, value: "a"}, output{unknown: true}),
			operation(2, 3, input{kind: get}, output{}),
			operation(4, 5, input{kind: get}, output{before: register{"a", 1}}),
		}, true},
		{"a put of unknown outcome shows and goes", []porcupine.Operation{
			operation(0, math.MaxInt64, input{kind: put, value: "a"}, output{unknown: true}),
			operation(2, 3, input{kind: get}, output{before: register{"a", 1}}),
			operation(4, 5, input{kind: get}, output{}),
		}, false},
		{"a put applied twice", []porcupine.Operation{
			operation(0, 1, input{kind: put, value: "a"}, output{}),
			operation(2, 3, input{kind: get}, output{before: register{"a", 2}}),
		}, false},
		{"a swap that must fail", []porcupine.Operation{
			operation(0, 1, input{kind: put, value: "a"}, output{}),
			operation(2, 3, input{kind: swap, expected: "b", value: "c"}, output{succeeded: true, before: register{"a", 1}}),
		}, false},
		{"a deleted key", []porcupine.Operation{
			operation(0, 1, input{kind: put, value: "a"}, output{}),
			operation(2, 3, input{kind: remove}, output{before: register{"a", 1}}),
			operation(4, 5, input{kind: get}, output{}),
		}, true},
	} {
		if got := porcupine.CheckOperations(model, c.history); got != c.ok {
			t.Errorf("%s: linearizable is %v", c.name, got)
		}
	}
}
