// Package walcompat compares what the server under test leaves on disk with what a real etcd 3.7.1 leaves, started with the
// same flags and given the same requests: the write-ahead log, read by etcd's own package, and the rows of all buckets.
package walcompat

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"etcdpp.test/interop/differential"
	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// member is one server's life: its data directory and what it was told that the other was told differently.
type member struct {
	dataDir string
	leases  []int64 // ids that the server chose, in order
}

// live starts the binary, sends the script with a restart in it, stops it cleanly.
func live(t *testing.T, binary string, ports *harness.Ports) *member {
	t.Helper()
	server := harness.Start(t, binary, harness.Options{Name: "one", Ports: ports})
	m := &member{dataDir: server.DataDir}
	server.AwaitVersions(t)
	conn := server.Conn(t)
	m.firstPart(t, conn)
	m.generated(t, conn)
	conn.Close()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	server.AwaitVersions(t)
	conn = server.Conn(t)
	m.secondPart(t, conn)
	conn.Close()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *member) firstPart(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	ctx := harness.Context(t)
	kv, lease := pb.NewKVClient(conn), pb.NewLeaseClient(conn)
	put := func(r *pb.PutRequest) *pb.RequestOp {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: r}}
	}
	read := func(key string) *pb.RequestOp {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte(key)}}}
	}
	steps := []func() error{
		func() error { _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("a"), Value: []byte("1")}); return err },
		func() error { _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("a"), PrevKv: true}); return err },
		func() error {
			_, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("big"), Value: []byte(strings.Repeat("b", 1_000_000))})
			return err
		},
		func() error { _, err := lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: 11, TTL: 1000}); return err },
		func() error {
			_, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("leased"), Value: []byte("x"), Lease: 11})
			return err
		},
		func() error {
			r, err := lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 2000})
			if err == nil {
				m.leases = append(m.leases, r.ID)
				_, err = kv.Put(ctx, &pb.PutRequest{Key: []byte("leased by chance"), Lease: r.ID})
			}
			return err
		},
		// Not in the log: reads.
		func() error {
			_, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte{0}})
			return err
		},
		func() error {
			_, err := kv.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{read("a")}, Failure: []*pb.RequestOp{read("b")}})
			return err
		},
		func() error {
			_, err := lease.LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: 11, Keys: true})
			return err
		},
		// In the log: a txn with a nested one that only reads, one that does nothing, a failure at apply.
		func() error {
			nested := &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{Success: []*pb.RequestOp{read("a")}}}}
			_, err := kv.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{nested}})
			return err
		},
		func() error {
			_, err := kv.Txn(ctx, &pb.TxnRequest{
				Compare: []*pb.Compare{{Key: []byte("a"), Target: pb.Compare_VERSION, TargetUnion: &pb.Compare_Version{Version: 9}}},
				Success: []*pb.RequestOp{put(&pb.PutRequest{Key: []byte("never")}), read("a")},
			})
			return err
		},
		func() error {
			_, err := kv.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{
				put(&pb.PutRequest{Key: []byte("t1"), Value: []byte("1")}), read("t1"), put(&pb.PutRequest{Key: []byte("t2"), Value: []byte("2")}),
				{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte("b"), RangeEnd: []byte("c")}}},
			}})
			return err
		},
		func() error { _, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte("t1")}); return err },
		func() error {
			_, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte("nothing")})
			return err
		},
		func() error {
			if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("unleased"), Lease: 424242}); err == nil {
				t.Error("a put with an unknown lease was accepted")
			}
			return nil
		},
		func() error {
			_, err := pb.NewMaintenanceClient(conn).Alarm(ctx, &pb.AlarmRequest{})
			return err
		},
		func() error {
			_, err := kv.Compact(ctx, &pb.CompactionRequest{Revision: 4, Physical: true})
			return err
		},
		func() error { _, err := lease.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: 11}); return err },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	// A lease that runs out: the server revokes it through the log.
	if _, err := lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: 12, TTL: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("fleeting"), Lease: 12}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(harness.CallTimeout); ; time.Sleep(50 * time.Millisecond) {
		r, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte("fleeting"), CountOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if r.Count == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the lease of 2 seconds did not expire")
		}
	}
}

// generated requests of the differential test, as far as they are the same for both.
func (m *member) generated(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	seed, count := harness.IntEnv(t, "DIFF_SEED", 1), harness.IntEnv(t, "WALCOMPAT_N", 400)
	ctx := harness.Context(t)
	r, err := pb.NewKVClient(conn).Range(ctx, &pb.RangeRequest{Key: []byte("a")})
	if err != nil {
		t.Fatal(err)
	}
	g := differential.NewGenerator(seed)
	g.Revision, g.Compacted = r.Header.Revision, 4
	for range count {
		request := g.Next()
		call, cancel := context.WithTimeout(context.Background(), harness.CallTimeout)
		g.Learn(request, request.Send(call, conn))
		cancel()
	}
}

// secondPart, after the restart: the log goes on in a new term.
func (m *member) secondPart(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	ctx := harness.Context(t)
	kv := pb.NewKVClient(conn)
	r, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("after"), Value: []byte("the restart")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Compact(ctx, &pb.CompactionRequest{Revision: r.Header.Revision, Physical: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := pb.NewLeaseClient(conn).LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: -9, TTL: 3000}); err != nil {
		t.Fatal(err)
	}
	// A history that stays.
	for i := range 60 {
		m := &pb.PutRequest{Key: fmt.Appendf(nil, "key %d", i%20), Value: fmt.Appendf(nil, "value %d", i)}
		if i%7 == 0 {
			m.Lease = -9
		}
		if _, err := kv.Put(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte("key 1"), RangeEnd: []byte("key 2")}); err != nil {
		t.Fatal(err)
	}
}
