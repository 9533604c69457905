package client

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestLease(t *testing.T) {
	runCases(t, harness.Options{}, []testCase{
		{"grant: chosen and custom ids, bounds of the TTL", leaseGrant},
		{"revoke deletes the keys in one revision", leaseRevoke},
		{"keys move between leases", leaseMove},
		{"time to live with keys", leaseTimeToLive},
		{"list", leaseList},
		{"keep alive once", leaseKeepAliveOnce},
		{"keep alive holds a lease beyond its TTL", leaseKeepAlive},
		{"keep alive stream: order, unknown leases, half-close", leaseKeepAliveStream},
		{"expiry deletes the keys and watchers see it", leaseExpiry},
		{"put with an unknown lease", leaseUnknown},
	})
}

func (f *fixture) grant(ttl int64) clientv3.LeaseID {
	f.Helper()
	r, err := f.client.Grant(f.ctx, ttl)
	f.noError(err)
	return r.ID
}

func leaseGrant(f *fixture) {
	r, err := f.client.Grant(f.ctx, 100)
	f.noError(err)
	equal(f, "TTL", r.TTL, 100)
	if r.ID <= 0 {
		f.Fatalf("lease id %d", r.ID)
	}
	lease := pb.NewLeaseClient(f.conn)
	for _, id := range []int64{1, 0x7fffffffffffffff, -5} {
		granted, err := lease.LeaseGrant(f.ctx, &pb.LeaseGrantRequest{ID: id, TTL: 100})
		f.noError(err)
		equal(f, "id", granted.ID, id)
		_, err = lease.LeaseGrant(f.ctx, &pb.LeaseGrantRequest{ID: id, TTL: 100})
		f.wantError(rpctypes.Error(err), rpctypes.ErrLeaseExist)
		_, err = f.client.Revoke(f.ctx, clientv3.LeaseID(id))
		f.noError(err)
	}
	_, err = f.client.Grant(f.ctx, 9_000_000_001)
	f.wantError(err, rpctypes.ErrLeaseTTLTooLarge)
	for _, ttl := range []int64{1, 0, -7} {
		r, err := f.client.Grant(f.ctx, ttl)
		f.noError(err)
		equal(f, "raised to the minimum", r.TTL, 2)
	}
}

func leaseRevoke(f *fixture) {
	id := f.grant(600)
	for _, name := range []string{"c", "a", "b"} {
		f.put(name, "x", clientv3.WithLease(id))
	}
	f.put("d", "x")
	revision := f.get("d").Header.Revision
	channel := f.watch("", clientv3.WithPrefix())
	r, err := f.client.Revoke(f.ctx, id)
	f.noError(err)
	equal(f, "revision", r.Header.Revision, revision+1)
	equal(f, "keys", f.names(f.all().Kvs), "d")
	for _, e := range f.wantEvents(channel, "DELETE a", "DELETE b", "DELETE c") {
		equal(f, "revision of the deletes", e.Kv.ModRevision, revision+1)
	}
	_, err = f.client.Revoke(f.ctx, id)
	f.wantError(err, rpctypes.ErrLeaseNotFound)
	empty := f.grant(600)
	r, err = f.client.Revoke(f.ctx, empty)
	f.noError(err)
	equal(f, "a lease without keys costs no revision", r.Header.Revision, revision+1)
}

func leaseMove(f *fixture) {
	first, second := f.grant(600), f.grant(600)
	f.put("moved", "1", clientv3.WithLease(first))
	f.put("moved", "2", clientv3.WithLease(second))
	f.put("detached", "1", clientv3.WithLease(first))
	f.put("detached", "2")
	f.put("deleted", "1", clientv3.WithLease(first))
	f.del("deleted")
	f.put("deleted", "2")
	equal(f, "lease in the key", f.get("moved").Kvs[0].Lease, int64(second))
	_, err := f.client.Revoke(f.ctx, first)
	f.noError(err)
	equal(f, "left by the first", f.names(f.all().Kvs), "deleted detached moved")
	_, err = f.client.Revoke(f.ctx, second)
	f.noError(err)
	equal(f, "left by the second", f.names(f.all().Kvs), "deleted detached")
}

func leaseTimeToLive(f *fixture) {
	id := f.grant(600)
	f.put("b", "x", clientv3.WithLease(id))
	f.put("a", "x", clientv3.WithLease(id))
	r, err := f.client.TimeToLive(f.ctx, id, clientv3.WithAttachedKeys())
	f.noError(err)
	equal(f, "granted TTL", r.GrantedTTL, 600)
	if r.TTL < 590 || r.TTL > 600 {
		f.Fatalf("TTL %d of 600", r.TTL)
	}
	var keys []string
	for _, key := range r.Keys {
		keys = append(keys, strings.TrimPrefix(string(key), f.prefix))
	}
	slices.Sort(keys)
	equalSlices(f, "keys", keys, []string{"a", "b"})
	r, err = f.client.TimeToLive(f.ctx, id)
	f.noError(err)
	equal(f, "keys unless asked for", len(r.Keys), 0)
	r, err = f.client.TimeToLive(f.ctx, 0x123456)
	f.noError(err)
	equal(f, "TTL of an unknown lease", r.TTL, -1)
	equal(f, "its id", int64(r.ID), 0x123456)
}

func leaseList(f *fixture) {
	long, short := f.grant(5000), f.grant(4000)
	r, err := f.client.Leases(f.ctx)
	f.noError(err)
	position := func(id clientv3.LeaseID) int {
		return slices.IndexFunc(r.Leases, func(s clientv3.LeaseStatus) bool { return s.ID == id })
	}
	if position(long) < 0 || position(short) < 0 || position(short) > position(long) {
		f.Fatalf("leases %v: want %v before %v", r.Leases, short, long)
	}
}

func leaseKeepAliveOnce(f *fixture) {
	id := f.grant(600)
	r, err := f.client.KeepAliveOnce(f.ctx, id)
	f.noError(err)
	equal(f, "TTL", r.TTL, 600)
	equal(f, "id", r.ID, id)
	_, err = f.client.KeepAliveOnce(f.ctx, 0x123456)
	f.wantError(err, rpctypes.ErrLeaseNotFound)
}

func leaseKeepAlive(f *fixture) {
	id := f.grant(2)
	f.put("k", "x", clientv3.WithLease(id))
	ctx, cancel := context.WithCancel(f.ctx)
	answers, err := f.client.KeepAlive(ctx, id)
	f.noError(err)
	began, renewed := time.Now(), 0
	for time.Since(began) < 3500*time.Millisecond {
		r, ok := <-answers
		if !ok {
			f.Fatalf("keep-alive ended after %v", time.Since(began))
		}
		equal(f, "TTL", r.TTL, 2)
		renewed++
	}
	if renewed < 3 {
		f.Fatalf("%d renewals", renewed)
	}
	equal(f, "key", f.get("k").Count, 1)
	cancel()
	for range answers {
	}
	_, err = f.client.Revoke(f.ctx, id)
	f.noError(err)
}

func leaseKeepAliveStream(f *fixture) {
	first, second := int64(f.grant(600)), int64(f.grant(700))
	stream, err := pb.NewLeaseClient(f.conn).LeaseKeepAlive(f.ctx)
	f.noError(err)
	ids := []int64{first, second, 0x123456, first, 0, second}
	for _, id := range ids {
		f.noError(stream.Send(&pb.LeaseKeepAliveRequest{ID: id}))
	}
	f.noError(stream.CloseSend())
	ttl := map[int64]int64{first: 600, second: 700}
	for _, id := range ids {
		r, err := stream.Recv()
		f.noError(err)
		equal(f, "id", r.ID, id)
		equal(f, "TTL", r.TTL, ttl[id])
	}
	_, err = stream.Recv()
	f.wantError(err, io.EOF)
}

func leaseExpiry(f *fixture) {
	id := f.grant(2)
	f.put("b", "x", clientv3.WithLease(id))
	f.put("a", "x", clientv3.WithLease(id))
	began := time.Now()
	channel := f.watch("", clientv3.WithPrefix())
	events := f.wantEvents(channel, "DELETE a", "DELETE b")
	took := time.Since(began)
	equal(f, "one revision", events[0].Kv.ModRevision, events[1].Kv.ModRevision)
	if took < 1500*time.Millisecond || took > 6*time.Second {
		f.Fatalf("a lease of 2 s expired after %v", took)
	}
	equal(f, "keys", f.all().Count, 0)
	r, err := f.client.TimeToLive(f.ctx, id)
	f.noError(err)
	equal(f, "TTL", r.TTL, -1)
	_, err = f.client.KeepAliveOnce(f.ctx, id)
	f.wantError(err, rpctypes.ErrLeaseNotFound)
}

func leaseUnknown(f *fixture) {
	_, err := f.client.Put(f.ctx, f.key("k"), "v", clientv3.WithLease(0x123456))
	f.wantError(err, rpctypes.ErrLeaseNotFound)
	equal(f, "keys", f.all().Count, 0)
}
