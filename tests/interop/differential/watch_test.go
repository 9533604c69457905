package differential

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// watchSide is one watch stream to one side, with every answer that came.
type watchSide struct {
	t         *testing.T
	name      string
	stream    pb.Watch_WatchClient
	in        chan *pb.WatchResponse
	ended     chan error
	got       map[int64][]*pb.WatchResponse // by watch id, in order; −1 has refusals too
	order     []*pb.WatchResponse           // created and canceled ones of all watchers
	compacted int                           // cancels by compaction
	marks     int                           // progress answers for the whole stream
	mark      int64                         // revision of the newest
}

func openStream(t *testing.T, name string, conn *grpc.ClientConn) *watchSide {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := pb.NewWatchClient(conn).Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := &watchSide{t: t, name: name, stream: stream, in: make(chan *pb.WatchResponse, 1<<16), ended: make(chan error, 1), got: map[int64][]*pb.WatchResponse{}}
	receiveAll(t, stream, cancel, s.in, s.ended)
	return s
}

func (s *watchSide) send(m *pb.WatchRequest) {
	s.t.Helper()
	if err := s.stream.Send(m); err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
}

func (s *watchSide) take(r *pb.WatchResponse) {
	headers(r.ProtoReflect())
	if r.WatchId == -1 && !r.Created && !r.Canceled && len(r.Events) == 0 {
		s.marks++
		s.mark = r.Header.Revision
		return
	}
	// When a compaction's cancel comes between other watchers' answers is open.
	if r.CompactRevision != 0 {
		s.compacted++
	} else if r.Created || r.Canceled {
		s.order = append(s.order, r)
	}
	s.got[r.WatchId] = append(s.got[r.WatchId], r)
}

// until takes answers until `reached`, asking for progress now and then if `ask`.
func (s *watchSide) until(what string, ask bool, reached func() bool) {
	s.t.Helper()
	deadline := time.After(harness.CallTimeout)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !reached() {
		select {
		case r := <-s.in:
			s.take(r)
		case <-again.C:
			if ask {
				s.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
			}
		case err := <-s.ended:
			s.t.Fatalf("%s: the stream ended while waiting for %s: %v", s.name, what, err)
		case <-deadline:
			s.t.Fatalf("%s: no %s within %v; %d controls, progress at %d", s.name, what, harness.CallTimeout, len(s.order), s.mark)
		}
	}
}

func (s *watchSide) progress(revision int64) {
	s.t.Helper()
	seen := s.marks
	s.until(fmt.Sprintf("progress at %d", revision), true, func() bool { return s.marks > seen && s.mark >= revision })
}

// quiet takes what comes in a while: for watchers that get no progress.
func (s *watchSide) quiet(d time.Duration) {
	end := time.After(d)
	for {
		select {
		case r := <-s.in:
			s.take(r)
		case <-end:
			return
		}
	}
}

func create(m *pb.WatchCreateRequest) *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: m}}
}

func cancelOf(id int64) *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}}
}

// twin is the same stream to both sides.
type twin struct {
	p                  *pair
	label              string
	subject, reference *watchSide
	requests           []*pb.WatchCreateRequest
}

func (p *pair) openTwin(label string) *twin {
	return &twin{p: p, label: label, subject: openStream(p.t, "subject", p.subjectConn), reference: openStream(p.t, "etcd 3.7.1", p.referenceConn)}
}

func (w *twin) sides() []*watchSide { return []*watchSide{w.subject, w.reference} }

func (w *twin) send(m *pb.WatchRequest) {
	w.p.t.Helper()
	for _, s := range w.sides() {
		s.send(m)
	}
	if c := m.GetCreateRequest(); c != nil {
		w.requests = append(w.requests, c)
	}
}

// controls waits until both sides have given so many created and canceled answers.
func (w *twin) controls(n int) {
	w.p.t.Helper()
	for _, s := range w.sides() {
		s.until(fmt.Sprintf("%d controls", n), false, func() bool { return len(s.order) >= n })
	}
}

func (w *twin) progress(revision int64) {
	w.p.t.Helper()
	for _, s := range w.sides() {
		s.progress(revision)
	}
}

func (w *twin) quiet(d time.Duration) {
	for _, s := range w.sides() {
		s.quiet(d)
	}
}

// compare holds what both sides gave against each other and forgets it. `exact`: answer by answer; else a watcher's events
// in a row (several revisions that are ready together may share an answer, and a watcher whose stream was full for a moment
// gets a later header), and its other answers.
func (w *twin) compare(phase string, exact bool) (answers int) {
	w.p.t.Helper()
	differs := func(what string, a, b any) {
		w.p.mismatches++
		w.p.t.Errorf("%s, %s: %s differs\nsubject:    %v\netcd 3.7.1: %v", w.label, phase, what, a, b)
	}
	if a, b := describe(w.subject.order), describe(w.reference.order); !slices.Equal(a, b) {
		i := 0
		for i < min(len(a), len(b)) && a[i] == b[i] {
			i++
		}
		differs(fmt.Sprintf("control answer %d of %d and %d", i, len(a), len(b)), strings.Join(a[i:min(i+2, len(a))], " | "), strings.Join(b[i:min(i+2, len(b))], " | "))
	}
	ids := map[int64]bool{}
	for id := range maps.Keys(w.subject.got) {
		ids[id] = true
	}
	for id := range maps.Keys(w.reference.got) {
		ids[id] = true
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		a, b := w.subject.got[id], w.reference.got[id]
		answers += len(b)
		if !exact {
			a, b = joined(a), joined(b)
		}
		if len(a) != len(b) {
			differs(fmt.Sprintf("the number of answers for watcher %d (%d, %d)", id, len(a), len(b)), strings.Join(describe(a), " | "), strings.Join(describe(b), " | "))
			continue
		}
		for i := range a {
			if !proto.Equal(a[i], b[i]) {
				differs(fmt.Sprintf("answer %d for watcher %d", i, id), describe(a[i : i+1])[0], describe(b[i : i+1])[0])
				break
			}
		}
		if w.p.tooMany() {
			w.p.t.FailNow()
		}
	}
	for _, s := range w.sides() {
		s.got, s.order = map[int64][]*pb.WatchResponse{}, nil
	}
	return answers
}

// joined puts neighbours that have only events into one answer, under the last one's header.
func joined(answers []*pb.WatchResponse) (out []*pb.WatchResponse) {
	for _, r := range answers {
		if len(r.Events) > 0 && r.Header.Revision < r.Events[len(r.Events)-1].Kv.ModRevision {
			panic(fmt.Sprintf("a header behind its events: %v", r))
		}
		if n := len(out) - 1; n >= 0 && len(r.Events) > 0 && len(out[n].Events) > 0 {
			out[n].Events = append(out[n].Events, r.Events...)
			continue
		}
		r = proto.Clone(r).(*pb.WatchResponse)
		if len(r.Events) > 0 {
			r.Header.Revision = 0
		}
		out = append(out, r)
	}
	return out
}

func describe(answers []*pb.WatchResponse) (out []string) {
	for _, r := range answers {
		out = append(out, shorten(prototext.MarshalOptions{Multiline: false}.Format(r)))
	}
	for i := range out {
		// prototext puts a random second space between fields.
		out[i] = strings.Join(strings.Fields(out[i]), " ")
	}
	return out
}

// do is one write on both sides; the answers must be equal too.
func (p *pair) do(label string, r Request) Answer {
	p.t.Helper()
	answer, equal := p.ask(label, r, nil)
	if !equal {
		p.t.FailNow()
	}
	return answer
}

func txnPut(key, value string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(key), Value: []byte(value)}}}
}

func txnDelete(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end)}}}
}

// writeHistory makes the same history on both sides: creations, changes, tombstones, keys that come again, revisions with
// several changes, a lease's end. It gives the revision at its end.
func (p *pair) writeHistory(from, to int64) int64 {
	p.t.Helper()
	revision := from
	for revision < to {
		n := revision
		var r Request
		switch n % 7 {
		case 0:
			r = txnCall(&pb.TxnRequest{Success: []*pb.RequestOp{txnPut("a", fmt.Sprint("txn", n)), txnDelete("b", ""), txnPut("c/1", "x"), txnPut("\x00", "low"), txnPut("zz", "high")}})
		case 1:
			r = putCall(&pb.PutRequest{Key: []byte("a"), Value: fmt.Append(nil, n)})
		case 2:
			r = putCall(&pb.PutRequest{Key: []byte("b"), Value: fmt.Append(nil, n)})
		case 3:
			r = deleteCall(&pb.DeleteRangeRequest{Key: []byte("a"), RangeEnd: []byte("c")})
		case 4:
			r = putCall(&pb.PutRequest{Key: []byte("c/2"), Value: fmt.Append(nil, n)})
		case 5:
			r = txnCall(&pb.TxnRequest{Success: []*pb.RequestOp{txnPut("c/3", fmt.Sprint(n)), txnPut("a", "again")}})
		default:
			r = deleteCall(&pb.DeleteRangeRequest{Key: []byte("c/"), RangeEnd: []byte("c0")})
		}
		answer := p.do(fmt.Sprintf("history at %d", n), r)
		var now int64
		switch m := answer.Message.(type) {
		case *pb.PutResponse:
			now = m.Header.Revision
		case *pb.TxnResponse:
			now = m.Header.Revision
		case *pb.DeleteRangeResponse:
			now = m.Header.Revision
		}
		if now == revision {
			// Nothing to delete: something is put instead.
			p.do("history", putCall(&pb.PutRequest{Key: []byte("a"), Value: []byte("filler")}))
			now++
		}
		revision = now
	}
	return revision
}

var watchRanges = [][2]string{
	{"", ""}, {"", "\x00"}, {"a", ""}, {"a", "b"}, {"a", "\x00"}, {"c/", "c0"}, {"zz", "\x00"}, {"\x00", ""}, {"\x00", "\x00"}, {"\x00", "b"}, {"nothing", ""},
	{"b", "a"}, {"a", "a"}, {"b", "\x00\x00"}, {"", "\x00\x00"},
}

var watchFilters = [][]pb.WatchCreateRequest_FilterType{nil, {pb.WatchCreateRequest_NOPUT}, {pb.WatchCreateRequest_NODELETE},
	{pb.WatchCreateRequest_NOPUT, pb.WatchCreateRequest_NODELETE}, {7, -1}, {pb.WatchCreateRequest_NODELETE, pb.WatchCreateRequest_NODELETE}}

// A watcher started at every interesting revision, with every combination of options, on one stream per start: the created
// answers, the history, what comes live, and the cancels.
func TestWatchStarts(t *testing.T) {
	p := newPair(t, 0)
	compacted := p.writeHistory(1, 40)
	p.do("compaction", compactCall(&pb.CompactionRequest{Revision: compacted, Physical: true}))
	current := p.writeHistory(compacted, compacted+30)
	var starts []int64
	starts = append(starts, math.MinInt64, -2, -1, 0, 1, 2)
	for k := int64(-2); k <= 2; k++ {
		starts = append(starts, compacted+k)
	}
	for k := int64(-3); k <= 3; k++ {
		starts = append(starts, 1000+k) // stands for current + k
	}
	starts = append(starts, math.MaxInt64)
	watchers, answers := 0, 0
	for _, start := range starts {
		ahead := int64(0)
		if start > 900 && start < 1100 {
			ahead = start - 1000
			start = current + ahead
		}
		label := fmt.Sprintf("start %d (current %d, compacted %d)", start, current, compacted)
		w := p.openTwin(label)
		n := 0
		for ri, r := range watchRanges {
			for fi, filters := range watchFilters {
				for options := range 8 {
					m := &pb.WatchCreateRequest{Key: []byte(r[0]), RangeEnd: []byte(r[1]), StartRevision: start, Filters: filters,
						PrevKv: options&1 != 0, Fragment: options&2 != 0, ProgressNotify: options&4 != 0}
					switch (ri*7 + fi*3 + options) % 9 {
					case 0:
						m.WatchId = int64(100_000 + n)
					case 1:
						m.WatchId = int64(n / 2) // often taken already
					case 2:
						m.WatchId = -int64(n + 2)
					case 3:
						if n%5 == 0 {
							m.WatchId = math.MaxInt64 - int64(n%10)
						}
					}
					w.send(create(m))
					n++
				}
			}
		}
		watchers += n
		w.controls(n)
		refused := 0
		live := map[int64]bool{}
		for _, r := range w.reference.order {
			if r.Canceled {
				refused++
			} else {
				live[r.WatchId] = true
			}
		}
		switch {
		case start > 0 && start < compacted:
			for _, s := range w.sides() {
				s.until("cancels by compaction", false, func() bool { return s.compacted == len(live) })
			}
			w.quiet(50 * time.Millisecond)
		case len(live) == 0:
		case start <= current:
			w.progress(current)
		default:
			w.quiet(200 * time.Millisecond)
		}
		answers += w.compare("created and history", true)
		if !(start > 0 && start < compacted) {
			current = p.writeHistory(current, current+5)
			if start != math.MaxInt64 && len(live) > 0 {
				w.progress(current)
			} else {
				w.quiet(200 * time.Millisecond)
			}
			answers += w.compare("live", false)
		}
		// Canceled twice, and some that never were: only a known one is answered, also one that a compaction ended.
		ids := slices.Sorted(maps.Keys(live))
		for _, id := range ids {
			w.send(cancelOf(id))
			w.send(cancelOf(id))
			w.send(cancelOf(id + 500_000))
		}
		w.send(create(&pb.WatchCreateRequest{Key: []byte("end"), WatchId: 77}))
		w.controls(len(ids) + 1)
		answers += w.compare("cancels", true)
	}
	t.Logf("%d starts, %d watchers, %d equal answers", len(starts), watchers, answers)
}

// Ids on one stream: chosen, counted, doubled, freed and taken again; requests that are none.
func TestWatchIds(t *testing.T) {
	p := newPair(t, 0)
	current := p.writeHistory(1, 30)
	p.do("compaction", compactCall(&pb.CompactionRequest{Revision: 10, Physical: true}))
	w := p.openTwin("ids")
	answers, compactions := 0, 0
	step := func(name string, controls int, requests ...*pb.WatchRequest) {
		t.Helper()
		for _, r := range requests {
			w.send(r)
		}
		w.controls(controls)
		for _, s := range w.sides() {
			s.until("cancel by compaction", false, func() bool { return s.compacted == compactions })
		}
		w.quiet(30 * time.Millisecond)
		answers += w.compare(name, true)
	}
	on := func(id, start int64) *pb.WatchRequest {
		return create(&pb.WatchCreateRequest{Key: []byte("a"), WatchId: id, StartRevision: start})
	}
	step("nothing asked", 0, &pb.WatchRequest{})
	step("progress without watchers", 0, &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
	step("cancel without watchers", 0, cancelOf(0), cancelOf(-1), cancelOf(math.MaxInt64))
	step("counted", 3, on(0, 0), on(0, 0), on(0, 0))
	step("chosen ahead of the counter", 4, on(3, 0), on(0, 0), on(4, 0), on(0, 0))
	step("doubles", 3, on(1, 0), on(3, 0), on(4, 0))
	step("canceled and taken again", 5, cancelOf(1), on(1, 0), cancelOf(1), on(0, 0), on(1, 0))
	step("minus one is an id", 2, on(-1, 0), on(-1, 0))
	step("minus one is canceled", 1, cancelOf(-1))
	compactions = 1
	step("ends by compaction", 1, on(50, 3))
	step("its id is still taken, until it is canceled", 1, on(50, 0))
	step("and it can be canceled once", 1, cancelOf(50), cancelOf(50))
	step("then it is free", 1, on(50, 0))
	compactions = 2
	step("counted ends by compaction", 1, on(0, 3))
	step("counter goes on", 1, on(0, 0))
	step("negative starts before wrong ranges and doubles", 3, create(&pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("a"), StartRevision: -1}),
		on(3, -5), create(&pb.WatchCreateRequest{StartRevision: math.MinInt64, WatchId: 3}))
	step("wrong ranges before doubles", 2, create(&pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("a"), WatchId: 3}),
		create(&pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("b"), StartRevision: 3}))
	// A client that has said all it has to say is still told what happens.
	for _, s := range w.sides() {
		if err := s.stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
	}
	current = p.writeHistory(current, current+9)
	w.quiet(300 * time.Millisecond)
	answers += w.compare("after the half-close", false)
	t.Logf("%d equal answers", answers)
	if answers < 40 {
		t.Errorf("only %d answers: the run proves too little", answers)
	}
}

// Large answers: cut at the same events where the client takes fragments; and more revisions than fit one batch.
func TestWatchLarge(t *testing.T) {
	const limit = 65536
	p := newPair(t, 0, "--max-request-bytes", fmt.Sprint(limit), "--max-txn-ops", "2000")
	current := int64(1)
	put := func(key string, bytes int) {
		p.do("put", putCall(&pb.PutRequest{Key: []byte(key), Value: make([]byte, bytes)}))
		current++
	}
	for i := range 30 {
		put(fmt.Sprintf("big/%d", i%4), 1+(i*7919)%60_000)
	}
	// One revision with many changes, larger with prev_kv than without.
	var puts, deletes []*pb.RequestOp
	for i := range 1200 {
		puts = append(puts, txnPut(fmt.Sprintf("many/%05d", i), strings.Repeat("v", 20)))
		deletes = append(deletes, txnDelete(fmt.Sprintf("many/%05d", i), ""))
	}
	p.do("many", txnCall(&pb.TxnRequest{Success: puts}))
	p.do("many again", txnCall(&pb.TxnRequest{Success: puts}))
	p.do("many gone", txnCall(&pb.TxnRequest{Success: deletes}))
	current += 3
	for i := range 2500 {
		put("rows", i%3)
	}
	answers, fragments := 0, 0
	for _, m := range []*pb.WatchCreateRequest{
		{Key: []byte("big/"), RangeEnd: []byte("big0")},
		{Key: []byte("big/"), RangeEnd: []byte("big0"), Fragment: true},
		{Key: []byte("big/"), RangeEnd: []byte("big0"), Fragment: true, PrevKv: true},
		{Key: []byte("big/1"), Fragment: true, PrevKv: true},
		{Key: []byte("many/"), RangeEnd: []byte("many0"), Fragment: true, PrevKv: true},
		{Key: []byte("many/"), RangeEnd: []byte("many0"), Fragment: true, Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NOPUT}},
		{Key: []byte("rows"), StartRevision: 34},
		{Key: []byte("rows"), StartRevision: 1000, PrevKv: true},
		{Key: []byte("rows"), StartRevision: current - 999},
		{Key: []byte("rows"), StartRevision: current - 1000},
	} {
		if m.StartRevision == 0 {
			m.StartRevision = 1
		}
		w := p.openTwin(m.String())
		w.send(create(m))
		w.controls(1)
		w.progress(current)
		for _, r := range w.reference.got[0] {
			if r.Fragment {
				fragments++
			}
		}
		answers += w.compare("history", !m.Fragment || len(w.reference.got[0]) > 0)
	}
	t.Logf("%d equal answers, %d fragments", answers, fragments)
	if fragments == 0 {
		t.Error("nothing was cut")
	}
}

// Progress by time and by request, as watchers come, go and start in the future.
func TestWatchProgress(t *testing.T) {
	p := newPair(t, 0, "--watch-progress-notify-interval", "200ms")
	current := p.writeHistory(1, 12)
	w := p.openTwin("progress")
	for id := range int64(4) {
		w.send(create(&pb.WatchCreateRequest{Key: []byte(string(rune('a' + id))), WatchId: id + 1, ProgressNotify: id != 2, StartRevision: current - 2}))
	}
	w.controls(4)
	notified := func(s *watchSide) map[int64]bool {
		ids := map[int64]bool{}
		for id, answers := range s.got {
			for _, r := range answers {
				if !r.Created && len(r.Events) == 0 {
					if r.Header.Revision != current {
						t.Errorf("%s: progress at %d, current %d", s.name, r.Header.Revision, current)
					}
					ids[id] = true
				}
			}
		}
		return ids
	}
	for _, s := range w.sides() {
		s.until("notifications", false, func() bool { return len(notified(s)) == 3 })
		s.quiet(300 * time.Millisecond)
		if ids := notified(s); len(ids) != 3 || ids[3] {
			t.Errorf("%s: progress for %v, wanted for 1, 2 and 4", s.name, ids)
		}
	}
	// A watcher of the future holds the answer to a request back until its revision is there.
	ask := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}
	for _, future := range []int64{0, 1, 2, 3} {
		w := p.openTwin(fmt.Sprintf("start at current + %d", future))
		w.send(create(&pb.WatchCreateRequest{Key: []byte("q"), StartRevision: current + future}))
		w.controls(1)
		w.quiet(250 * time.Millisecond)
		var answered [4][2]int
		for step := range answered {
			w.send(ask)
			w.quiet(60 * time.Millisecond)
			for i, s := range w.sides() {
				answered[step][i] = s.marks
			}
			current = p.writeHistory(current, current+1)
		}
		for step, marks := range answered {
			if marks[0] != marks[1] {
				t.Errorf("start at current + %d, %d revisions later: %d answers, etcd %d", future, step, marks[0], marks[1])
			}
		}
	}
}
