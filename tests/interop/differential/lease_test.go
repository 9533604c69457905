package differential

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

var leaseIDs = []int64{1, 2, math.MaxInt64, -1, math.MinInt64, 1 << 62, 42}

var leaseTTLs = []int64{math.MinInt64, -1, 0, 1, 2, 3, 1000, 9_000_000_000, 9_000_000_001, math.MaxInt64}

// Every lease call with ids and TTLs at the edges, on leases that are there, are not, and are there already.
func TestLeaseEdges(t *testing.T) {
	p := newPair(t, 0)
	calls := 0
	do := func(label string, r Request) {
		t.Helper()
		calls++
		if p.ask(label, r, nil); p.tooMany() {
			t.FailNow()
		}
	}
	everything := func(label string, id int64) {
		t.Helper()
		for _, keys := range []bool{false, true} {
			do(label, timeToLiveCall(&pb.LeaseTimeToLiveRequest{ID: id, Keys: keys}))
		}
		do(label, keepAliveCall([]int64{id}))
		do(label, leasesCall())
	}
	everything("nothing there", 0)
	for _, id := range leaseIDs {
		everything("unknown", id)
		do("revoke unknown", revokeCall(&pb.LeaseRevokeRequest{ID: id}))
		do("put with unknown", putCall(&pb.PutRequest{Key: []byte("k"), Lease: id}))
		do("txn with unknown", txnCall(&pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("k"), Lease: id}}}}}))
	}
	do("revoke 0", revokeCall(&pb.LeaseRevokeRequest{}))
	for n, ttl := range leaseTTLs {
		for _, id := range leaseIDs {
			label := fmt.Sprintf("lease %d, TTL %d", id, ttl)
			do(label, grantCall(&pb.LeaseGrantRequest{ID: id, TTL: ttl}))
			do(label+" again", grantCall(&pb.LeaseGrantRequest{ID: id, TTL: 5}))
			do(label+" again, too large", grantCall(&pb.LeaseGrantRequest{ID: id, TTL: math.MaxInt64}))
			everything(label, id)
			if n%2 == 0 {
				for _, key := range []string{"b", "a", "c"} {
					do(label+", put", putCall(&pb.PutRequest{Key: []byte(key), Lease: id, PrevKv: true}))
				}
				do(label+", put ignoring", putCall(&pb.PutRequest{Key: []byte("a"), Value: []byte("v"), IgnoreLease: true}))
				do(label+", put ignoring both", putCall(&pb.PutRequest{Key: []byte("a"), Lease: id, IgnoreLease: true}))
				do(label+", put off", putCall(&pb.PutRequest{Key: []byte("c")}))
				everything(label, id)
			}
			do(label+", revoke", revokeCall(&pb.LeaseRevokeRequest{ID: id}))
			do(label+", revoke again", revokeCall(&pb.LeaseRevokeRequest{ID: id}))
			do(label+", what is left", rangeCall(&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}}))
			everything(label+" revoked", id)
		}
	}
	// Keys move between leases, within txns too.
	for _, id := range leaseIDs[:3] {
		do("grant", grantCall(&pb.LeaseGrantRequest{ID: id, TTL: 1000 + id%7}))
	}
	leased := func(key string, id int64) *pb.RequestOp {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(key), Lease: id}}}
	}
	do("txn", txnCall(&pb.TxnRequest{Success: []*pb.RequestOp{leased("x", 1), leased("y", 2), leased("z", 1)}}))
	do("txn with one unknown changes nothing", txnCall(&pb.TxnRequest{Success: []*pb.RequestOp{leased("x", 2), leased("y", 77)}}))
	do("txn", txnCall(&pb.TxnRequest{Success: []*pb.RequestOp{leased("x", 2), txnDelete("z", "")}}))
	for _, id := range leaseIDs[:3] {
		everything("moved", id)
	}
	do("mixed keep-alives", keepAliveCall([]int64{1, 5, 2, 0, 1, -9, 1, 1, 2}))
	do("revoke", revokeCall(&pb.LeaseRevokeRequest{ID: 2}))
	do("what is left", rangeCall(&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}}))
	// Chosen by the server: positive, and there.
	for side, conn := range map[string]*grpc.ClientConn{"subject": p.subjectConn, "etcd": p.referenceConn} {
		for _, ttl := range leaseTTLs[:8] {
			r, err := pb.NewLeaseClient(conn).LeaseGrant(harness.Context(t), &pb.LeaseGrantRequest{TTL: ttl})
			if err != nil || r.ID <= 0 || r.TTL != max(ttl, 2) || r.Error != "" {
				t.Errorf("%s: grant without id, TTL %d: %v, %v", side, ttl, r, err)
			}
		}
	}
	t.Logf("%d calls", calls)
}

// Leases that run out: the same keys go, in one revision each, and who asks for them meanwhile is told so.
func TestLeaseExpiry(t *testing.T) {
	p := newPair(t, 0)
	w := p.openTwin("expiry")
	w.send(create(&pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}, PrevKv: true}))
	w.controls(1)
	for id := range int64(3) {
		p.do("grant", grantCall(&pb.LeaseGrantRequest{ID: id + 1, TTL: 2 + 3*id}))
		for _, key := range []string{"c", "a", "b"} {
			p.do("put", putCall(&pb.PutRequest{Key: fmt.Appendf(nil, "%d%s", id, key), Lease: id + 1}))
		}
	}
	// The second one is held; the third runs out by itself.
	type held struct {
		stream pb.Lease_LeaseKeepAliveClient
		got    []*pb.LeaseKeepAliveResponse
	}
	var streams []*held
	for _, conn := range []*grpc.ClientConn{p.subjectConn, p.referenceConn} {
		stream, err := pb.NewLeaseClient(conn).LeaseKeepAlive(harness.Context(t))
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, &held{stream: stream})
	}
	for range 9 {
		for _, h := range streams {
			if err := h.stream.Send(&pb.LeaseKeepAliveRequest{ID: 2}); err != nil {
				t.Fatal(err)
			}
			r, err := h.stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			r.Header = nil // revisions of what runs out beside it
			h.got = append(h.got, r)
		}
		time.Sleep(time.Second)
	}
	for i := range streams[0].got {
		if !proto.Equal(streams[0].got[i], streams[1].got[i]) {
			t.Errorf("keep-alive %d: %v, etcd %v", i, streams[0].got[i], streams[1].got[i])
		}
	}
	for _, h := range streams {
		if err := h.stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if r, err := h.stream.Recv(); err != io.EOF {
			t.Errorf("after the half-close: %v, %v", r, err)
		}
	}
	w.quiet(50 * time.Millisecond)
	events := len(w.reference.got[0])
	w.compare("puts and ends", false)
	if events < 11 {
		t.Errorf("%d answers to the watcher: nothing ran out", events)
	}
	for id := range int64(4) {
		for _, keys := range []bool{false, true} {
			p.do("afterwards", timeToLiveCall(&pb.LeaseTimeToLiveRequest{ID: id, Keys: keys}))
		}
	}
	p.do("what is left", rangeCall(&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}}))
	p.do("list", leasesCall())
}

// In the list the lease that runs out first comes first.
func TestLeaseOrder(t *testing.T) {
	p := newPair(t, 0)
	for _, ttl := range []int64{500, 100, 900, 300, 700} {
		p.do("grant", grantCall(&pb.LeaseGrantRequest{ID: 10_000 - ttl, TTL: ttl}))
	}
	p.do("renew", keepAliveCall([]int64{9_900}))
	var lists [][]int64
	for _, conn := range []*grpc.ClientConn{p.subjectConn, p.referenceConn} {
		r, err := pb.NewLeaseClient(conn).LeaseLeases(context.Background(), &pb.LeaseLeasesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for _, l := range r.Leases {
			ids = append(ids, l.ID)
		}
		lists = append(lists, ids)
	}
	if !slices.Equal(lists[0], lists[1]) {
		t.Errorf("%v, etcd %v", lists[0], lists[1])
	}
}
