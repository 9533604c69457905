package client

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

func TestWatch(t *testing.T) {
	// A message of 64 KiB is the largest request, so answers over 64 + 512 KiB may be split.
	runCases(t, harness.Options{Flags: []string{"--watch-progress-notify-interval=400ms", "--max-request-bytes=65536"}}, []testCase{
		{"puts and deletes arrive in order", watchEvents},
		{"start revision replays history", watchHistory},
		{"start revision in the future waits", watchFuture},
		{"prefix, range and from key", watchIntervals},
		{"prev-kv", watchPrevKV},
		{"filters", watchFilters},
		{"created notify", watchCreated},
		{"the events of one txn arrive together", watchTxn},
		{"a compacted start revision cancels", watchCompacted},
		{"refused creations", watchRefused},
		{"watch ids and cancel on one stream", watchIDs},
		{"500 watchers on one stream", watchMany},
		{"history longer than one batch", watchLongHistory},
		{"fragments", watchFragments},
		{"progress request", watchProgressRequest},
		{"progress notify", watchProgressNotify},
		{"a slow reader loses nothing", watchSlowReader},
		{"closing the context ends the channel", watchClose},
	})
}

// event is what a watcher saw, in short: "PUT k=v" or "DELETE k".
func (f *fixture) event(e *clientv3.Event) string {
	name := strings.TrimPrefix(string(e.Kv.Key), f.prefix)
	if e.Type == mvccpb.Event_DELETE {
		return "DELETE " + name
	}
	return "PUT " + name + "=" + string(e.Kv.Value)
}

// events reads n events.
func (f *fixture) events(channel clientv3.WatchChan, n int) (texts []string, events []*clientv3.Event) {
	f.Helper()
	timeout := time.After(harness.CallTimeout)
	for len(events) < n {
		select {
		case r, ok := <-channel:
			if !ok {
				f.Fatalf("the channel closed after %d of %d events", len(events), n)
			}
			f.noError(r.Err())
			for _, e := range r.Events {
				texts, events = append(texts, f.event(e)), append(events, e)
			}
		case <-timeout:
			f.Fatalf("%d of %d events within %v: %v", len(events), n, harness.CallTimeout, texts)
		}
	}
	return texts, events
}

func (f *fixture) wantEvents(channel clientv3.WatchChan, want ...string) []*clientv3.Event {
	f.Helper()
	texts, events := f.events(channel, len(want))
	equalSlices(f, "events", texts, want)
	return events
}

func (f *fixture) wantNothing(channel clientv3.WatchChan) {
	f.Helper()
	select {
	case r := <-channel:
		f.Fatalf("unexpected answer: %+v", r)
	case <-time.After(150 * time.Millisecond):
	}
}

// watch opens a watcher on a client of its own stream and waits until it is created.
func (f *fixture) watch(name string, options ...clientv3.OpOption) clientv3.WatchChan {
	f.Helper()
	ctx, cancel := context.WithCancel(f.ctx)
	f.Cleanup(cancel)
	channel := f.client.Watch(ctx, f.key(name), append(options, clientv3.WithCreatedNotify())...)
	select {
	case r := <-channel:
		f.noError(r.Err())
		equal(f, "created", r.Created, true)
		equal(f, "events in the created answer", len(r.Events), 0)
	case <-time.After(harness.CallTimeout):
		f.Fatal("the watcher was not created in time")
	}
	return channel
}

func watchEvents(f *fixture) {
	channel := f.watch("k")
	first := f.put("k", "1")
	f.put("other", "x")
	f.put("k", "2")
	deleted := f.del("k")
	f.put("k", "3")
	events := f.wantEvents(channel, "PUT k=1", "PUT k=2", "DELETE k", "PUT k=3")
	equal(f, "is create", events[0].IsCreate(), true)
	equal(f, "is modify", events[1].IsModify(), true)
	equal(f, "mod revision", events[0].Kv.ModRevision, first.Header.Revision)
	equal(f, "version", events[1].Kv.Version, 2)
	equal(f, "mod revision of the delete", events[2].Kv.ModRevision, deleted.Header.Revision)
	equal(f, "create revision of the delete", events[2].Kv.CreateRevision, 0)
	equal(f, "created anew", events[3].Kv.Version, 1)
}

func watchHistory(f *fixture) {
	first := f.put("k", "1").Header.Revision
	second := f.put("k", "2").Header.Revision
	f.del("k")
	f.wantEvents(f.watch("k", clientv3.WithRev(first)), "PUT k=1", "PUT k=2", "DELETE k")
	late := f.watch("k", clientv3.WithRev(second))
	f.put("k", "3")
	f.wantEvents(late, "PUT k=2", "DELETE k", "PUT k=3")
}

func watchFuture(f *fixture) {
	revision := f.put("k", "now").Header.Revision
	channel := f.watch("k", clientv3.WithRev(revision+3))
	f.put("k", "1")
	f.put("k", "2")
	f.put("k", "3")
	f.put("k", "4")
	f.wantEvents(channel, "PUT k=3", "PUT k=4")
}

func watchIntervals(f *fixture) {
	prefix := f.watch("a/", clientv3.WithPrefix())
	between := f.watch("a/2", clientv3.WithRange(f.key("b")))
	from := f.watch("b", clientv3.WithFromKey())
	for _, name := range []string{"a", "a/1", "a/2", "a0", "b", "c"} {
		f.put(name, "x")
	}
	f.wantEvents(prefix, "PUT a/1=x", "PUT a/2=x")
	f.wantEvents(between, "PUT a/2=x", "PUT a0=x")
	f.wantEvents(from, "PUT b=x", "PUT c=x")
	everything := f.client.Watch(f.ctx, "", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-everything
	f.put("d", "x")
	f.wantEvents(everything, "PUT d=x")
}

func watchPrevKV(f *fixture) {
	start := f.put("k", "0").Header.Revision
	channel := f.watch("k", clientv3.WithPrevKV())
	f.put("k", "1")
	f.del("k")
	f.put("k", "2")
	check := func(events []*clientv3.Event) {
		f.Helper()
		equal(f, "before the put", string(events[0].PrevKv.Value), "0")
		equal(f, "its mod revision", events[0].PrevKv.ModRevision, start)
		equal(f, "before the delete", string(events[1].PrevKv.Value), "1")
		if events[2].PrevKv != nil {
			f.Fatalf("a creation with prev_kv %v", events[2].PrevKv)
		}
	}
	check(f.wantEvents(channel, "PUT k=1", "DELETE k", "PUT k=2"))
	check(f.wantEvents(f.watch("k", clientv3.WithPrevKV(), clientv3.WithRev(start+1)), "PUT k=1", "DELETE k", "PUT k=2"))
}

func watchFilters(f *fixture) {
	start := f.put("k", "0").Header.Revision
	noPut, noDelete := f.watch("k", clientv3.WithFilterPut()), f.watch("k", clientv3.WithFilterDelete())
	f.put("k", "1")
	f.del("k")
	f.put("k", "2")
	f.wantEvents(noPut, "DELETE k")
	f.wantEvents(noDelete, "PUT k=1", "PUT k=2")
	f.wantEvents(f.watch("k", clientv3.WithFilterDelete(), clientv3.WithRev(start)), "PUT k=0", "PUT k=1", "PUT k=2")
	nothing := f.watch("k", clientv3.WithFilterDelete(), clientv3.WithFilterPut())
	f.put("k", "3")
	f.wantNothing(nothing)
}

func watchCreated(f *fixture) {
	revision := f.put("k", "v").Header.Revision
	r := <-f.client.Watch(f.ctx, f.key("k"), clientv3.WithCreatedNotify())
	equal(f, "created", r.Created, true)
	equal(f, "revision", r.Header.Revision, revision)
}

func watchTxn(f *fixture) {
	channel := f.watch("", clientv3.WithPrefix())
	f.put("b", "0")
	f.wantEvents(channel, "PUT b=0")
	r := f.txn(nil, []clientv3.Op{
		clientv3.OpPut(f.key("c"), "1"), clientv3.OpDelete(f.key("b")), clientv3.OpPut(f.key("a"), "2"),
	}, nil)
	answer := <-channel
	equal(f, "events in one answer", len(answer.Events), 3)
	equal(f, "revision of the answer", answer.Header.Revision, r.Header.Revision)
	for i, want := range []string{"PUT c=1", "DELETE b", "PUT a=2"} {
		equal(f, "event", f.event(answer.Events[i]), want)
		equal(f, "mod revision", answer.Events[i].Kv.ModRevision, r.Header.Revision)
	}
}

func watchCompacted(f *fixture) {
	first := f.put("k", "1").Header.Revision
	f.put("k", "2")
	at := f.put("k", "3").Header.Revision
	f.compact(at)
	channel := f.client.Watch(f.ctx, f.key("k"), clientv3.WithRev(first))
	r := <-channel
	f.wantError(r.Err(), rpctypes.ErrCompacted)
	equal(f, "canceled", r.Canceled, true)
	equal(f, "compact revision", r.CompactRevision, at)
	if _, open := <-channel; open {
		f.Fatal("the channel stays open")
	}
	f.wantEvents(f.watch("k", clientv3.WithRev(at)), "PUT k=3")
}

// rawWatch is a watch stream without the client library.
type rawWatch struct {
	*fixture
	stream  pb.Watch_WatchClient
	answers chan *pb.WatchResponse
}

func (f *fixture) rawWatch() *rawWatch {
	f.Helper()
	ctx, cancel := context.WithCancel(f.ctx)
	stream, err := pb.NewWatchClient(f.conn).Watch(ctx)
	f.noError(err)
	w := &rawWatch{fixture: f, stream: stream, answers: make(chan *pb.WatchResponse, 10000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(w.answers)
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			w.answers <- r
		}
	}()
	f.Cleanup(func() { cancel(); <-done })
	return w
}

func (w *rawWatch) create(request *pb.WatchCreateRequest) {
	w.Helper()
	w.noError(w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: request}}))
}

func (w *rawWatch) cancel(id int64) {
	w.Helper()
	w.noError(w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}}))
}

func (w *rawWatch) progress() {
	w.Helper()
	w.noError(w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}))
}

func (w *rawWatch) next() *pb.WatchResponse {
	w.Helper()
	select {
	case r, ok := <-w.answers:
		if !ok {
			w.Fatal("the stream ended")
		}
		return r
	case <-time.After(harness.CallTimeout):
		w.Fatal("no answer on the watch stream")
	}
	return nil
}

func watchRefused(f *fixture) {
	w := f.rawWatch()
	for _, c := range []struct {
		request *pb.WatchCreateRequest
		reason  string
	}{
		{&pb.WatchCreateRequest{Key: []byte("k"), StartRevision: -1}, "etcdserver: mvcc: required revision has been compacted"},
		{&pb.WatchCreateRequest{Key: []byte("k"), RangeEnd: []byte("a")}, "mvcc: watcher range is empty"},
	} {
		w.create(c.request)
		r := w.next()
		equal(f, "created", r.Created, true)
		equal(f, "canceled", r.Canceled, true)
		equal(f, "watch id", r.WatchId, -1)
		equal(f, "reason", r.CancelReason, c.reason)
	}
	w.create(&pb.WatchCreateRequest{Key: []byte("k"), WatchId: 7})
	equal(f, "watch id", w.next().WatchId, 7)
	w.create(&pb.WatchCreateRequest{Key: []byte("k"), WatchId: 7})
	equal(f, "reason", w.next().CancelReason, "mvcc: duplicate watch ID provided on the WatchStream")
}

func watchIDs(f *fixture) {
	w := f.rawWatch()
	for want := range int64(3) {
		w.create(&pb.WatchCreateRequest{Key: []byte(f.key("k"))})
		r := w.next()
		equal(f, "created", r.Created, true)
		equal(f, "watch id", r.WatchId, want)
	}
	w.cancel(1)
	r := w.next()
	equal(f, "canceled", r.Canceled, true)
	equal(f, "watch id", r.WatchId, 1)
	equal(f, "reason", r.CancelReason, "")
	w.cancel(99) // unknown: no answer
	f.put("k", "v")
	got := map[int64]bool{w.next().WatchId: true, w.next().WatchId: true}
	equal(f, "events at the two that are left", got[0] && got[2], true)
	w.create(&pb.WatchCreateRequest{Key: []byte(f.key("k"))})
	equal(f, "an id is not used again", w.next().WatchId, 3)
}

func watchMany(f *fixture) {
	const watchers = 500
	var channels []clientv3.WatchChan
	for i := range watchers {
		channels = append(channels, f.client.Watch(f.ctx, f.key(fmt.Sprint(i%50)), clientv3.WithCreatedNotify()))
	}
	for _, channel := range channels {
		if r := <-channel; !r.Created {
			f.Fatalf("not created: %+v", r)
		}
	}
	for round := range 2 {
		for i := range 50 {
			f.put(fmt.Sprint(i), fmt.Sprint(round))
		}
	}
	for i, channel := range channels {
		f.wantEvents(channel, fmt.Sprintf("PUT %d=0", i%50), fmt.Sprintf("PUT %d=1", i%50))
	}
}

func watchLongHistory(f *fixture) {
	const changes = 2500 // a batch holds at most 1000 revisions
	start := f.put("start", "").Header.Revision
	gate := make(chan struct{}, 32)
	failed := make(chan error, changes)
	for i := range changes {
		gate <- struct{}{}
		go func() {
			_, err := f.client.Put(f.ctx, f.key(fmt.Sprintf("%05d", i)), "v")
			<-gate
			failed <- err
		}()
	}
	for range changes {
		f.noError(<-failed)
	}
	_, events := f.events(f.watch("", clientv3.WithPrefix(), clientv3.WithRev(start)), changes+1)
	for i, e := range events {
		equal(f, "mod revision", e.Kv.ModRevision, start+int64(i))
	}
}

func watchFragments(f *fixture) {
	const values = 20
	var start int64
	for i := range values {
		revision := f.put(fmt.Sprintf("%02d", i), strings.Repeat("x", 60_000)).Header.Revision
		if i == 0 {
			start = revision
		}
	}
	request := &pb.WatchCreateRequest{Key: []byte(f.prefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(f.prefix)), StartRevision: start}
	whole := f.rawWatch()
	whole.create(request)
	equal(f, "created", whole.next().Created, true)
	r := whole.next()
	equal(f, "events without fragments", len(r.Events), values)
	equal(f, "fragment", r.Fragment, false)
	request.Fragment = true
	split := f.rawWatch()
	split.create(request)
	equal(f, "created", split.next().Created, true)
	events, pieces := 0, 0
	for events < values {
		r := split.next()
		pieces++
		for _, e := range r.Events {
			equal(f, "key", string(e.Kv.Key), f.key(fmt.Sprintf("%02d", events)))
			events++
		}
		equal(f, "all but the last are marked", r.Fragment, events < values)
	}
	if pieces < 2 {
		f.Fatal("the answer was not split")
	}
	merged := f.client.Watch(f.ctx, f.prefix, clientv3.WithPrefix(), clientv3.WithRev(start), clientv3.WithFragment())
	answer := <-merged
	f.noError(answer.Err())
	equal(f, "events merged by the client", len(answer.Events), values)
}

func watchProgressRequest(f *fixture) {
	w := f.rawWatch()
	w.progress() // without watchers: no answer
	w.create(&pb.WatchCreateRequest{Key: []byte(f.key("k"))})
	equal(f, "created", w.next().Created, true)
	revision := f.put("k", "v").Header.Revision
	equal(f, "events", len(w.next().Events), 1)
	f.put("other", "v")
	w.progress()
	r := w.next()
	equal(f, "watch id", r.WatchId, -1)
	equal(f, "events", len(r.Events), 0)
	equal(f, "revision", r.Header.Revision, revision+1)
	// The client library routes it to every watcher of the stream.
	ctx := context.WithValue(f.ctx, streamKey{}, "own")
	channel := f.client.Watch(ctx, f.key("k"), clientv3.WithCreatedNotify())
	<-channel
	f.noError(f.client.RequestProgress(ctx))
	select {
	case r := <-channel:
		equal(f, "is progress", r.IsProgressNotify(), true)
		equal(f, "revision", r.Header.Revision, revision+1)
	case <-time.After(harness.CallTimeout):
		f.Fatal("no progress")
	}
}

type streamKey struct{}

func watchProgressNotify(f *fixture) {
	w := f.rawWatch()
	w.create(&pb.WatchCreateRequest{Key: []byte(f.key("k")), ProgressNotify: true})
	w.create(&pb.WatchCreateRequest{Key: []byte(f.key("k"))})
	equal(f, "created", w.next().Created, true)
	equal(f, "created", w.next().Created, true)
	revision := f.put("other", "v").Header.Revision
	began := time.Now()
	for range 2 {
		r := w.next()
		equal(f, "watch id", r.WatchId, 0)
		equal(f, "events", len(r.Events), 0)
		equal(f, "revision", r.Header.Revision, revision)
	}
	if waited := time.Since(began); waited > 3*time.Second {
		f.Fatalf("two progress notifies at 400 ms took %v", waited)
	}
}

func watchSlowReader(f *fixture) {
	const changes = 400
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	stream, err := pb.NewWatchClient(f.server.Conn(f.T, grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10))).Watch(ctx)
	f.noError(err)
	f.noError(stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte(f.key("k"))}}}))
	created, err := stream.Recv()
	f.noError(err)
	equal(f, "created", created.Created, true)
	value := strings.Repeat("v", 20_000)
	start := f.put("k", "first").Header.Revision
	for range changes {
		f.put("k", value) // 8 MB behind a closed window
	}
	seen := int64(0)
	for seen <= changes {
		r, err := stream.Recv()
		f.noError(err)
		for _, e := range r.Events {
			equal(f, "mod revision", e.Kv.ModRevision, start+seen)
			seen++
		}
	}
}

func watchClose(f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	channel := f.client.Watch(ctx, f.key("k"), clientv3.WithCreatedNotify())
	<-channel
	cancel()
	for range channel {
	}
	watcher := clientv3.NewWatcher(f.client)
	channel = watcher.Watch(f.ctx, f.key("k"), clientv3.WithCreatedNotify())
	<-channel
	f.noError(watcher.Close())
	for range channel {
	}
}
