package differential

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/protobuf/proto"
)

const maxMismatches = 5

// pair is the server under test and the reference, started with the same flags.
type pair struct {
	t                  *testing.T
	subject, reference *harness.Server
	subjectConn        *grpc.ClientConn
	referenceConn      *grpc.ClientConn
	seed               int64

	mu         sync.Mutex
	mismatches int
}

func newPair(t *testing.T, seed int64, flags ...string) *pair {
	p := &pair{t: t, seed: seed}
	p.subject = harness.Start(t, harness.Subject(t), harness.Options{Flags: flags})
	p.reference = harness.Start(t, harness.Reference(t), harness.Options{Flags: flags})
	p.subject.AwaitVersions(t)
	p.reference.AwaitVersions(t)
	p.subjectConn, p.referenceConn = p.subject.Conn(t), p.reference.Conn(t)
	return p
}

// ask sends one request to both sides at once and tells whether the answers are equal.
func (p *pair) ask(label string, request Request, rename func(subject, reference Answer)) (reference Answer, equal bool) {
	ctx, cancel := context.WithTimeout(context.Background(), harness.CallTimeout)
	defer cancel()
	answers := make(chan Answer, 1)
	go func() { answers <- request.Send(ctx, p.subjectConn) }()
	reference = request.Send(ctx, p.referenceConn)
	subject := <-answers
	if rename != nil {
		// Names are given by first appearance, so the order comes first.
		if subject.Err == nil && reference.Err == nil {
			ties(request, subject)
			ties(request, reference)
		}
		rename(subject, reference)
	}
	// Equal changes the messages; what is learnt is what was answered.
	original := Answer{Message: proto.Clone(reference.Message), Err: reference.Err}
	if Equal(request, subject, reference) {
		return original, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mismatches++
	p.t.Errorf("seed %d, %s differs\nrequest:    %v\netcd 3.7.1: %v\nsubject:    %v",
		p.seed, label, request, reference, subject)
	if !p.subject.Running() || !p.reference.Running() {
		p.mismatches = maxMismatches
		p.t.Errorf("a server ended: subject running %v, reference running %v", p.subject.Running(), p.reference.Running())
	}
	return original, false
}

func (p *pair) tooMany() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mismatches >= maxMismatches
}

func seedAndCount(t *testing.T) (seed, count int64) {
	return harness.IntEnv(t, "DIFF_SEED", 1), harness.IntEnv(t, "DIFF_N", 5000)
}

// One client at a time: every answer, error and hash must be equal, revisions included. Watchers that are open throughout
// see the same events.
func TestSequential(t *testing.T) {
	seed, count := seedAndCount(t)
	p := newPair(t, seed)
	g := NewGenerator(seed)
	var watchers []*watchers
	for _, conn := range []*grpc.ClientConn{p.subjectConn, p.referenceConn} {
		watchers = append(watchers, openWatchers(t, conn, seed))
	}
	methods, refused := map[string]int{}, map[string]int{}
	failures, hashes := 0, 0
	began := time.Now()
	hash := func(label string) {
		request := hashKVCall(0)
		if g.unsettled[g.Revision] {
			// Something written settles what the hash is.
			_, _ = p.ask(label, putCall(&pb.PutRequest{Key: []byte("settle")}), nil)
			g.Revision++
		}
		if answer, equal := p.ask(label, request, nil); equal && answer.Err == nil {
			hashes++
		}
	}
	for i := range count {
		if p.tooMany() {
			break
		}
		if i%max(1, count/10) == 0 {
			hash(fmt.Sprintf("hash before request %d", i))
		}
		request := g.Next()
		answer, equal := p.ask(fmt.Sprintf("request %d", i), request, nil)
		methods[request.Method]++
		if answer.Err != nil {
			failures++
			refused[request.Method]++
		}
		if equal {
			g.Learn(request, answer)
		}
	}
	hash("hash at the end")
	everything := &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}}
	_, _ = p.ask("everything at the end", rangeCall(everything), nil)
	events := compareWatchers(p, watchers[0], watchers[1], g.Revision)
	t.Logf("seed %d: %d requests in %v, %d of them refused, %d equal hashes, revision %d, compacted to %d, %d watch events\nsent:    %v\nrefused: %v",
		seed, count, time.Since(began).Round(time.Millisecond), failures, hashes, g.Revision, g.Compacted, events, methods, refused)
	if failures == 0 || hashes < 2 && count >= 10 {
		t.Errorf("%d refused requests and %d hashes: the run proves too little", failures, hashes)
	}
}

// Several clients at once, each with its own keys, so that the interleaving does not show in its answers except in the
// revisions, which are named by first appearance.
func TestParallel(t *testing.T) {
	seed, count := seedAndCount(t)
	workers := harness.IntEnv(t, "DIFF_WORKERS", 8)
	each := count / workers / 2
	p := newPair(t, seed)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			g := NewPrivateGenerator(seed+1000*w, fmt.Sprintf("worker %d/", w))
			subjectNames, referenceNames := renamer{}, renamer{}
			rename := func(subject, reference Answer) {
				if subject.Err == nil && subject.Message != nil {
					subjectNames.rename(subject.Message.ProtoReflect())
				}
				if reference.Err == nil && reference.Message != nil {
					referenceNames.rename(reference.Message.ProtoReflect())
				}
			}
			for i := range each {
				if p.tooMany() {
					return
				}
				p.ask(fmt.Sprintf("worker %d, request %d", w, i), g.Next(), rename)
			}
			all := &pb.RangeRequest{Key: []byte(g.prefix), RangeEnd: g.prefixEnd()}
			p.ask(fmt.Sprintf("worker %d, all its keys", w), rangeCall(all), rename)
		})
	}
	group.Wait()
}

// watchers are several watchers on one stream of one side, with what they have been told.
type watchers struct {
	stream   pb.Watch_WatchClient
	answers  chan *pb.WatchResponse
	finished chan error
	requests []*pb.WatchCreateRequest
}

func openWatchers(t *testing.T, conn *grpc.ClientConn, seed int64) *watchers {
	t.Helper()
	g := NewGenerator(seed + 77)
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := pb.NewWatchClient(conn).Watch(ctx)
	if err != nil {
		t.Fatalf("%v (connection %v)", err, conn.GetState() == connectivity.Ready)
	}
	w := &watchers{stream: stream, answers: make(chan *pb.WatchResponse, 1<<20), finished: make(chan error, 1)}
	w.requests = append(w.requests, &pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}, PrevKv: true, WatchId: 1})
	for len(w.requests) < 12 {
		m := g.watch()
		m.StartRevision, m.WatchId, m.ProgressNotify = 0, int64(len(w.requests)+1), false
		if m.RangeEnd != nil && string(m.RangeEnd) != "\x00" && string(m.Key) >= string(m.RangeEnd) {
			continue // would be refused, as requests in the sequence are
		}
		w.requests = append(w.requests, m)
	}
	for _, m := range w.requests {
		if err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: m}}); err != nil {
			t.Fatal(err)
		}
		created, err := stream.Recv()
		if err != nil || !created.Created || created.Canceled {
			t.Fatalf("watcher %v: %v, %v", m, created, err)
		}
	}
	receiveAll(t, stream, cancel, w.answers, w.finished)
	return w
}

// receiveAll hands on what a stream brings until it ends, as it does with the test.
func receiveAll(t *testing.T, stream pb.Watch_WatchClient, cancel context.CancelFunc, answers chan<- *pb.WatchResponse, ended chan<- error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			r, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			answers <- r
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// collect gives each watcher's events up to the revision.
func (w *watchers) collect(t *testing.T, revision int64) map[int64][]*pb.WatchResponse {
	t.Helper()
	got := map[int64][]*pb.WatchResponse{}
	deadline := time.After(harness.CallTimeout)
	ask := time.NewTicker(50 * time.Millisecond)
	defer ask.Stop()
	for {
		select {
		case <-ask.C:
			err := w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
			if err != nil {
				t.Errorf("watch stream: %v", err)
				return got
			}
		case r := <-w.answers:
			if r.WatchId == -1 && r.Header.GetRevision() >= revision {
				return got
			}
			got[r.WatchId] = append(got[r.WatchId], r)
		case err := <-w.finished:
			t.Errorf("the watch stream ended: %v", err)
			return got
		case <-deadline:
			t.Errorf("no progress answer for revision %d within %v", revision, harness.CallTimeout)
			return got
		}
	}
}

func compareWatchers(p *pair, subject, reference *watchers, revision int64) (events int) {
	a, b := subject.collect(p.t, revision), reference.collect(p.t, revision)
	unlike := 0
	for _, request := range subject.requests {
		mine, theirs := flatten(p.t, a[request.WatchId]), flatten(p.t, b[request.WatchId])
		events += len(theirs)
		if len(mine) != len(theirs) {
			p.t.Errorf("seed %d: watcher %v: %d events, etcd %d", p.seed, request, len(mine), len(theirs))
		}
		for i := range min(len(mine), len(theirs)) {
			// What was there before is read when the event is sent; a compaction may have been faster, on either side.
			if (mine[i].PrevKv == nil) != (theirs[i].PrevKv == nil) {
				mine[i].PrevKv, theirs[i].PrevKv = nil, nil
				unlike++
			}
			if !proto.Equal(mine[i], theirs[i]) {
				p.t.Errorf("seed %d: watcher %v, event %d:\nsubject:    %v\netcd 3.7.1: %v", p.seed, request, i, mine[i], theirs[i])
				break
			}
		}
	}
	if unlike > 3+events/50 {
		p.t.Errorf("seed %d: %d of %d events have prev_kv on one side only", p.seed, unlike, events)
	}
	return events
}

// flatten joins a watcher's answers and checks that no revision is split between two of them, fragments aside.
func flatten(t *testing.T, answers []*pb.WatchResponse) (events []*mvccpb.Event) {
	t.Helper()
	last := int64(0)
	for _, r := range answers {
		if r.Canceled {
			t.Errorf("watcher %d was cancelled: %v", r.WatchId, r)
		}
		for i, e := range r.Events {
			if e.Kv.ModRevision < last || i == 0 && e.Kv.ModRevision == last {
				t.Errorf("watcher %d: revision %d after %d in another answer", r.WatchId, e.Kv.ModRevision, last)
			}
			last = e.Kv.ModRevision
		}
		if r.Fragment {
			last--
		}
		events = append(events, r.Events...)
	}
	return slices.Clip(events)
}
