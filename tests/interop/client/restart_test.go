package client

import (
	"context"
	"fmt"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A restart, clean or by SIGKILL, keeps keys, history, leases, the compact revision, identity and hashes.
func TestRestart(t *testing.T) {
	for name, end := range map[string]func(*harness.Server) error{
		"SIGTERM": (*harness.Server).Stop,
		"SIGKILL": func(s *harness.Server) error { s.Kill(); return nil },
	} {
		t.Run(name, func(t *testing.T) { restart(t, end) })
	}
}

func restart(t *testing.T, end func(*harness.Server) error) {
	server := harness.Start(t, harness.Subject(t), harness.Options{})
	f := &fixture{T: t, server: server, client: server.Client(t), prefix: "r/", ctx: harness.Context(t)}
	lease, err := f.client.Grant(f.ctx, 600)
	f.noError(err)
	f.put("leased", "x", clientv3.WithLease(lease.ID))
	for i := range 50 {
		f.put(fmt.Sprint("k", i%7), fmt.Sprint(i))
	}
	f.del("k3")
	middle := f.put("k0", "middle").Header.Revision
	f.compact(middle)
	gone := f.grant(600)
	_, err = f.client.Revoke(f.ctx, gone)
	f.noError(err)
	// A watcher of before the restart resumes after it.
	watcher := f.client.Watch(f.ctx, f.prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-watcher
	current := f.put("k1", "last").Header.Revision
	f.wantEvents(watcher, "PUT k1=last")
	state, past := f.all(), f.all(clientv3.WithRev(middle))
	hash, err := f.client.HashKV(f.ctx, server.Endpoint(), current)
	f.noError(err)

	for range 2 {
		f.noError(end(server))
		f.noError(server.Start())
	}

	f.awaitServing()
	again := f.all()
	equal(f, "state", f.pairs(again.Kvs), f.pairs(state.Kvs))
	for i, kv := range again.Kvs {
		equal(f, "key with its revisions", kv.String(), state.Kvs[i].String())
	}
	equal(f, "revision", again.Header.Revision, current)
	equal(f, "cluster id", again.Header.ClusterId, state.Header.ClusterId)
	equal(f, "member id", again.Header.MemberId, state.Header.MemberId)
	if again.Header.RaftTerm <= state.Header.RaftTerm {
		f.Fatalf("term %d after %d", again.Header.RaftTerm, state.Header.RaftTerm)
	}
	equal(f, "history", f.pairs(f.all(clientv3.WithRev(middle)).Kvs), f.pairs(past.Kvs))
	_, err = f.client.Get(f.ctx, "k", clientv3.WithRev(middle-1))
	f.wantError(err, rpctypes.ErrCompacted)
	sameHash, err := f.client.HashKV(f.ctx, server.Endpoint(), current)
	f.noError(err)
	equal(f, "hash", sameHash.Hash, hash.Hash)
	equal(f, "compact revision", sameHash.CompactRevision, middle)
	ttl, err := f.client.TimeToLive(f.ctx, lease.ID, clientv3.WithAttachedKeys())
	f.noError(err)
	equal(f, "granted TTL", ttl.GrantedTTL, 600)
	equal(f, "keys of the lease", len(ttl.Keys), 1)
	ttl, err = f.client.TimeToLive(f.ctx, gone)
	f.noError(err)
	equal(f, "TTL of a revoked lease", ttl.TTL, -1)
	equal(f, "revision of the next put", f.put("k2", "after").Header.Revision, current+1)
	f.wantEvents(watcher, "PUT k2=after")
	_, err = f.client.Revoke(f.ctx, lease.ID)
	f.noError(err)
	equal(f, "the leased key", f.get("leased").Count, 0)
}

// awaitServing waits until the client has found the server again.
func (f *fixture) awaitServing() {
	f.Helper()
	deadline := time.Now().Add(harness.CallTimeout)
	for {
		ctx, cancel := context.WithTimeout(f.ctx, 2*time.Second)
		_, err := f.client.Get(ctx, "any")
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			f.Fatalf("not serving again: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
