package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

const writers = 6

// quick reconnection, since the server is away often and briefly.
func connect(t testing.TB, server *harness.Server) *grpc.ClientConn {
	return server.Conn(t, grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1.2, MaxDelay: 50 * time.Millisecond},
		MinConnectTimeout: 2 * time.Second,
	}))
}

// acknowledged is what the writers were told, kept over all crashes.
type acknowledged struct {
	revisions map[string]int64 // key → revision of its acknowledged put
	attempts  map[string]bool  // every key ever sent
	newest    int64            // highest revision in any answer
	term      uint64           // of raft, in the newest answer
	deepest   int64            // compact revision
	hash      *pb.HashKVResponse
}

// Every put that was acknowledged before a crash is there after it, at the revision that the answer named; the revision
// never goes back; the term grows; what was hashed once hashes the same.
func TestAcknowledgedPutsSurvive(t *testing.T) {
	mode := ModeFromEnvironment(t)
	cycles := int(harness.IntEnv(t, "CRASH_N", 50))
	random := rand.New(rand.NewPCG(uint64(mode.seed), 1))
	server := harness.New(t, harness.Subject(t), mode.Options(filepath.Join(t.TempDir(), "data")))
	known := &acknowledged{revisions: map[string]int64{}, attempts: map[string]bool{}}
	began := time.Now()
	for cycle := range cycles {
		if err := server.Start(); err != nil {
			t.Fatalf("cycle %d: %v", cycle, err)
		}
		conn := connect(t, server)
		known.check(t, conn, cycle)
		stopWriters := known.write(t, conn, cycle)
		if random.IntN(4) == 0 {
			// A compaction may be under way when the end comes.
			if revision := known.newest - 30; revision > known.deepest {
				ctx, cancel := context.WithTimeout(context.Background(), harness.CallTimeout)
				if _, err := pb.NewKVClient(conn).Compact(ctx, &pb.CompactionRequest{Revision: revision}); err != nil {
					t.Errorf("cycle %d: compact at %d: %v", cycle, revision, err)
				}
				cancel()
				known.deepest = revision
			}
		}
		time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
		if err := mode.Crash(server, cycle); err != nil {
			t.Fatalf("cycle %d: %v", cycle, err)
		}
		stopWriters()
		conn.Close()
		if t.Failed() {
			t.Fatalf("stopped after cycle %d; CRASH_SEED=%d, data in %s until the test ends", cycle, mode.seed, server.DataDir)
		}
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, server)
	known.check(t, conn, cycles)
	known.checkHistory(t, conn)
	conn.Close()
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	t.Logf("mode %s, seed %d: %d crashes in %v, %d of %d puts are there, revision %d, compacted to %d, term %d",
		mode.Name, mode.seed, cycles, time.Since(began).Round(time.Second), len(known.revisions), len(known.attempts), known.newest, known.deepest, known.term)
	if len(known.revisions) < cycles {
		t.Errorf("only %d acknowledged puts in %d cycles", len(known.revisions), cycles)
	}
}

// write starts the writers and returns when the first put is acknowledged. The function that it returns waits until they
// have noticed the crash, and adds what they were told.
func (k *acknowledged) write(t *testing.T, conn *grpc.ClientConn, cycle int) (stop func()) {
	t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	first := make(chan struct{})
	var once sync.Once
	ctx, cancel := context.WithCancel(context.Background())
	before := k.newest
	revisions, attempts, newest, term := map[string]int64{}, map[string]bool{}, k.newest, k.term
	for w := range writers {
		group.Add(1)
		go func() {
			defer group.Done()
			kv := pb.NewKVClient(conn)
			for i := 0; ; i++ {
				key := fmt.Sprintf("put/%d/%d/%d", cycle, w, i)
				mu.Lock()
				attempts[key] = true
				mu.Unlock()
				call, done := context.WithTimeout(ctx, harness.CallTimeout)
				// Values of up to 3 KiB, so that records cross sectors and pages.
				r, err := kv.Put(call, &pb.PutRequest{Key: []byte(key), Value: value(key, (i*397+w*51)%3000)})
				done()
				if err != nil {
					return
				}
				mu.Lock()
				revisions[key] = r.Header.Revision
				newest, term = max(newest, r.Header.Revision), r.Header.RaftTerm
				mu.Unlock()
				once.Do(func() { close(first) })
			}
		}()
	}
	select {
	case <-first:
	case <-time.After(harness.CallTimeout):
		t.Errorf("cycle %d: no put was acknowledged within %v", cycle, harness.CallTimeout)
	}
	mu.Lock()
	k.newest = newest
	mu.Unlock()
	return func() {
		group.Wait()
		cancel()
		seen := map[int64]string{}
		for key, revision := range revisions {
			if other, twice := seen[revision]; twice {
				t.Errorf("cycle %d: revision %d was given to %s and to %s", cycle, revision, key, other)
			}
			if revision <= before {
				t.Errorf("cycle %d: %s was acknowledged at revision %d; %d had been seen before the cycle", cycle, key, revision, before)
			}
			seen[revision] = key
			k.revisions[key] = revision
		}
		for key := range attempts {
			k.attempts[key] = true
		}
		k.newest, k.term = newest, term
	}
}

func value(key string, size int) []byte {
	v := []byte(key + "=")
	for len(v) < size {
		v = append(v, byte('a'+len(v)%26))
	}
	return v
}

func (k *acknowledged) check(t *testing.T, conn *grpc.ClientConn, cycle int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*harness.CallTimeout)
	defer cancel()
	all, err := pb.NewKVClient(conn).Range(ctx, &pb.RangeRequest{Key: []byte("put/"), RangeEnd: []byte("put0")}, grpc.WaitForReady(true))
	if err != nil {
		t.Fatalf("cycle %d: %v", cycle, err)
	}
	if all.Header.Revision < k.newest {
		t.Errorf("cycle %d: revision %d after the restart; %d had been acknowledged", cycle, all.Header.Revision, k.newest)
	}
	if all.Header.RaftTerm <= k.term {
		t.Errorf("cycle %d: term %d after the restart, %d before", cycle, all.Header.RaftTerm, k.term)
	}
	present := make(map[string]int64, len(all.Kvs))
	for _, kv := range all.Kvs {
		key := string(kv.Key)
		present[key] = kv.ModRevision
		if !k.attempts[key] {
			t.Errorf("cycle %d: key %q was never put", cycle, key)
		}
		if len(kv.Value) < len(key)+1 || string(kv.Value[:len(key)+1]) != key+"=" || string(value(key, len(kv.Value))) != string(kv.Value) {
			t.Errorf("cycle %d: the value of %q is not what was put", cycle, key)
		}
		// A put without answer that is there after all is part of the state from now on.
		if k.revisions[key] == 0 {
			k.revisions[key] = kv.ModRevision
		}
	}
	missing := 0
	for key, revision := range k.revisions {
		if present[key] != revision {
			if missing++; missing <= 5 {
				t.Errorf("cycle %d: %s was acknowledged at revision %d, now it is at %d (0: absent)", cycle, key, revision, present[key])
			}
		}
	}
	if missing > 0 {
		t.Errorf("cycle %d: %d acknowledged puts are not there", cycle, missing)
	}
	// One revision per put and nothing else.
	if want := int64(len(present)) + 1; all.Header.Revision != want {
		t.Errorf("cycle %d: revision %d with %d puts", cycle, all.Header.Revision, len(present))
	}
	k.newest, k.term = all.Header.Revision, all.Header.RaftTerm

	maintenance := pb.NewMaintenanceClient(conn)
	if k.hash != nil {
		again, err := maintenance.HashKV(ctx, &pb.HashKVRequest{Revision: k.hash.HashRevision})
		switch {
		case err != nil && k.hash.HashRevision >= k.deepest:
			t.Errorf("cycle %d: hash at %d: %v", cycle, k.hash.HashRevision, err)
		case err == nil && again.CompactRevision == k.hash.CompactRevision && again.Hash != k.hash.Hash:
			t.Errorf("cycle %d: the hash of revision %d was %d, now it is %d", cycle, k.hash.HashRevision, k.hash.Hash, again.Hash)
		}
	}
	if k.hash, err = maintenance.HashKV(ctx, &pb.HashKVRequest{}); err != nil {
		t.Errorf("cycle %d: hash: %v", cycle, err)
	} else if k.deepest > 0 && k.hash.CompactRevision != k.deepest {
		t.Errorf("cycle %d: compact revision %d, acknowledged was %d", cycle, k.hash.CompactRevision, k.deepest)
	}
}

// checkHistory replays everything that a watcher may still see: each revision once, in order.
func (k *acknowledged) checkHistory(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*harness.CallTimeout)
	defer cancel()
	stream, err := pb.NewWatchClient(conn).Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	next := max(k.deepest, 2)
	err = stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{
		CreateRequest: &pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}, StartRevision: next}}})
	for err == nil && next <= k.newest {
		var r *pb.WatchResponse
		if r, err = stream.Recv(); err != nil {
			break
		}
		if r.Canceled {
			t.Fatalf("the watcher was cancelled: %v", r)
		}
		for _, e := range r.Events {
			if e.Kv.ModRevision != next {
				t.Fatalf("the watcher saw revision %d after %d", e.Kv.ModRevision, next-1)
			}
			next++
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
