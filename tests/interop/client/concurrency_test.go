package client

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/ordering"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestConcurrency(t *testing.T) {
	runCases(t, harness.Options{}, []testCase{
		{"session: close revokes, orphan expires", sessions},
		{"mutex excludes, in order", mutexes},
		{"mutex: try-lock, cancelled wait, lost session", mutexEdges},
		{"stm: transfers keep the sum", stmTransfers},
		{"stm: serializable snapshot", stmSnapshot},
		{"election: campaign, observe, proclaim, resign", elections},
		{"mirror: base and updates", mirrored},
		{"ordering wrapper", orderingWrapper},
		{"leasing wrapper", leasingWrapper},
		{"kubernetes interface", kubernetesInterface},
	})
}

func (f *fixture) session(options ...concurrency.SessionOption) *concurrency.Session {
	f.Helper()
	s, err := concurrency.NewSession(f.client, append([]concurrency.SessionOption{concurrency.WithTTL(10)}, options...)...)
	f.noError(err)
	f.Cleanup(func() { s.Close() })
	return s
}

func sessions(f *fixture) {
	s := f.session()
	f.put("k", "x", clientv3.WithLease(s.Lease()))
	f.noError(s.Close())
	equal(f, "keys after close", f.all().Count, 0)
	orphan := f.session(concurrency.WithTTL(2))
	f.put("o", "x", clientv3.WithLease(orphan.Lease()))
	orphan.Orphan()
	<-orphan.Done()
	deadline := time.Now().Add(8 * time.Second)
	for f.all().Count != 0 {
		if time.Now().After(deadline) {
			f.Fatal("the key of an orphaned session outlives its TTL")
		}
		time.Sleep(100 * time.Millisecond)
	}
	// A session whose lease is revoked by somebody else notices.
	robbed := f.session(concurrency.WithTTL(3))
	_, err := f.client.Revoke(f.ctx, robbed.Lease())
	f.noError(err)
	select {
	case <-robbed.Done():
	case <-time.After(8 * time.Second):
		f.Fatal("the session did not notice that its lease is gone")
	}
}

func mutexes(f *fixture) {
	const workers, rounds = 5, 4
	var holders atomic.Int32
	counter := 0
	var group sync.WaitGroup
	for range workers {
		s := f.session()
		group.Go(func() {
			m := concurrency.NewMutex(s, f.key("lock"))
			for range rounds {
				if err := m.Lock(f.ctx); err != nil {
					f.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					f.Errorf("%d holders", n)
				}
				counter++
				holders.Add(-1)
				if err := m.Unlock(f.ctx); err != nil {
					f.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	equal(f, "sections", counter, workers*rounds)
}

func mutexEdges(f *fixture) {
	holder, other := f.session(), f.session()
	held := concurrency.NewMutex(holder, f.key("lock"))
	f.noError(held.TryLock(f.ctx))
	waiting := concurrency.NewMutex(other, f.key("lock"))
	f.wantError(waiting.TryLock(f.ctx), concurrency.ErrLocked)
	ctx, cancel := context.WithTimeout(f.ctx, 200*time.Millisecond)
	defer cancel()
	f.wantError(waiting.Lock(ctx), context.DeadlineExceeded)
	equal(f, "the one that gave up left no key", f.get("lock", clientv3.WithPrefix()).Count, 1)
	acquired := make(chan error, 1)
	go func() { acquired <- waiting.Lock(f.ctx) }()
	time.Sleep(100 * time.Millisecond)
	f.noError(holder.Close())
	f.noError(<-acquired)
	equal(f, "the owner's key exists", f.holds(waiting.IsOwner()), true)
	equal(f, "the former owner's does not", f.holds(held.IsOwner()), false)
	f.noError(waiting.Unlock(f.ctx))
}

func (f *fixture) sum(accounts int) int {
	f.Helper()
	total := 0
	for _, kv := range f.get("account/", clientv3.WithPrefix()).Kvs {
		n, err := strconv.Atoi(string(kv.Value))
		f.noError(err)
		total += n
	}
	return total
}

func stmTransfers(f *fixture) {
	const accounts, workers, transfers = 4, 6, 15
	for i := range accounts {
		f.put(fmt.Sprintf("account/%d", i), "100")
	}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range transfers {
				from, to := f.key(fmt.Sprintf("account/%d", (w+i)%accounts)), f.key(fmt.Sprintf("account/%d", (w+3*i+1)%accounts))
				_, err := concurrency.NewSTM(f.client, func(s concurrency.STM) error {
					a, _ := strconv.Atoi(s.Get(from))
					b, _ := strconv.Atoi(s.Get(to))
					if from == to {
						return nil
					}
					s.Put(from, strconv.Itoa(a-1))
					s.Put(to, strconv.Itoa(b+1))
					return nil
				}, concurrency.WithAbortContext(f.ctx))
				if err != nil {
					f.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	equal(f, "sum", f.sum(accounts), 100*accounts)
}

func stmSnapshot(f *fixture) {
	f.put("a", "1")
	f.put("b", "1")
	for _, level := range []concurrency.Isolation{concurrency.SerializableSnapshot, concurrency.Serializable, concurrency.RepeatableReads, concurrency.ReadCommitted} {
		first := true
		_, err := concurrency.NewSTM(f.client, func(s concurrency.STM) error {
			a := s.Get(f.key("a"))
			if first {
				first = false
				f.put("b", a+"x") // a writer in between
			}
			s.Put(f.key("c"), a+s.Get(f.key("b")))
			s.Del(f.key("d"))
			return nil
		}, concurrency.WithIsolation(level), concurrency.WithAbortContext(f.ctx))
		f.noError(err)
		equal(f, fmt.Sprintf("result at level %d", level), string(f.get("c").Kvs[0].Value), "11x")
	}
}

func elections(f *fixture) {
	first, second := concurrency.NewElection(f.session(), f.key("e")), concurrency.NewElection(f.session(), f.key("e"))
	_, err := first.Leader(f.ctx)
	f.wantError(err, concurrency.ErrElectionNoLeader)
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	observed := first.Observe(ctx)
	f.noError(first.Campaign(f.ctx, "one"))
	leader := func(want string) {
		f.Helper()
		select {
		case r := <-observed:
			equal(f, "observed", string(r.Kvs[0].Value), want)
		case <-time.After(harness.CallTimeout):
			f.Fatalf("%q was not observed", want)
		}
	}
	leader("one")
	won := make(chan error, 1)
	go func() { won <- second.Campaign(f.ctx, "two") }()
	f.noError(first.Proclaim(f.ctx, "one, again"))
	leader("one, again")
	r, err := second.Leader(f.ctx)
	f.noError(err)
	equal(f, "leader", string(r.Kvs[0].Value), "one, again")
	f.noError(first.Resign(f.ctx))
	f.noError(<-won)
	leader("two")
	f.wantError(first.Proclaim(f.ctx, "late"), concurrency.ErrElectionNotLeader)
}

func mirrored(f *fixture) {
	for i := range 3 {
		f.put(fmt.Sprint(i), "x")
	}
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	syncer := mirror.NewSyncer(f.client, f.prefix, 0)
	base, failed := syncer.SyncBase(ctx)
	keys := 0
	for r := range base {
		keys += len(r.Kvs)
	}
	f.noError(<-failed)
	equal(f, "keys in the base", keys, 3)
	updates := syncer.SyncUpdates(ctx)
	f.put("3", "y")
	f.wantEvents(updates, "PUT 3=y")
}

func orderingWrapper(f *fixture) {
	kv := ordering.NewKV(f.client.KV, func(clientv3.Op, clientv3.OpResponse, int64) error {
		return fmt.Errorf("a revision went back")
	})
	for i := range 20 {
		_, err := kv.Put(f.ctx, f.key("k"), fmt.Sprint(i))
		f.noError(err)
		r, err := kv.Get(f.ctx, f.key("k"), clientv3.WithSerializable())
		f.noError(err)
		f.wantPairs(r.Kvs, fmt.Sprint("k=", i))
	}
}

func leasingWrapper(f *fixture) {
	kv, closeKV, err := leasing.NewKV(f.client, f.key("leasing/"))
	f.noError(err)
	defer closeKV()
	f.put("k", "1")
	for range 3 {
		r, err := kv.Get(f.ctx, f.key("k"))
		f.noError(err)
		f.wantPairs(r.Kvs, "k=1")
	}
	_, err = kv.Put(f.ctx, f.key("k"), "2")
	f.noError(err)
	r, err := kv.Get(f.ctx, f.key("k"))
	f.noError(err)
	f.wantPairs(r.Kvs, "k=2")
	f.wantPairs(f.get("k").Kvs, "k=2")
}

func kubernetesInterface(f *fixture) {
	client, err := kubernetes.New(clientv3.Config{
		Endpoints:   []string{f.server.Endpoint()},
		DialOptions: []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())},
	})
	f.noError(err)
	defer client.Close()
	created, err := client.Kubernetes.OptimisticPut(f.ctx, f.key("k"), []byte("1"), 0, kubernetes.PutOptions{})
	f.noError(err)
	equal(f, "created", created.Succeeded, true)
	conflict, err := client.Kubernetes.OptimisticPut(f.ctx, f.key("k"), []byte("2"), 0, kubernetes.PutOptions{GetOnFailure: true})
	f.noError(err)
	equal(f, "conflict", conflict.Succeeded, false)
	equal(f, "the present value", string(conflict.KV.Value), "1")
	updated, err := client.Kubernetes.OptimisticPut(f.ctx, f.key("k"), []byte("2"), created.Revision, kubernetes.PutOptions{})
	f.noError(err)
	equal(f, "updated", updated.Succeeded, true)
	list, err := client.Kubernetes.List(f.ctx, f.prefix, kubernetes.ListOptions{Limit: 10})
	f.noError(err)
	equal(f, "listed", list.Count, 1)
	count, err := client.Kubernetes.Count(f.ctx, f.prefix, kubernetes.CountOptions{})
	f.noError(err)
	equal(f, "count", count, 1)
	got, err := client.Kubernetes.Get(f.ctx, f.key("k"), kubernetes.GetOptions{Revision: created.Revision})
	f.noError(err)
	equal(f, "at the first revision", string(got.KV.Value), "1")
	deleted, err := client.Kubernetes.OptimisticDelete(f.ctx, f.key("k"), created.Revision, kubernetes.DeleteOptions{GetOnFailure: true})
	f.noError(err)
	equal(f, "delete at an old revision", deleted.Succeeded, false)
	deleted, err = client.Kubernetes.OptimisticDelete(f.ctx, f.key("k"), updated.Revision, kubernetes.DeleteOptions{})
	f.noError(err)
	equal(f, "delete", deleted.Succeeded, true)
	f.compact(deleted.Revision)
	_, err = client.Kubernetes.Get(f.ctx, f.key("k"), kubernetes.GetOptions{Revision: created.Revision})
	f.wantError(err, rpctypes.ErrCompacted)
}
