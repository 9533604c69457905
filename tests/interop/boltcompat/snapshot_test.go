package boltcompat

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// number of the environment, for campaigns.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	return must[int](t)(strconv.Atoi(text))
}

// saveSnapshot does what `etcdctl snapshot save` does, and holds the stream to its rules.
func saveSnapshot(t *testing.T, ctx context.Context, client *clientv3.Client, path string) error {
	t.Helper()
	stream, err := pb.NewMaintenanceClient(client.ActiveConnection()).Snapshot(ctx, &pb.SnapshotRequest{})
	if err != nil {
		return err
	}
	out := must[*os.File](t)(os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600))
	defer out.Close()
	sum, total, got := sha256.New(), int64(-1), int64(0)
	for {
		response, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("after %d of %d bytes: %w", got, total, err)
		}
		// etcd knows its storage version a few seconds after its first start.
		if response.Version != "3.7.0" && os.Getenv("ETCD") != "1" || len(response.Blob) > 32<<10 {
			t.Errorf("a message with version %q and a blob of %d bytes", response.Version, len(response.Blob))
		}
		must[int](t)(out.Write(response.Blob))
		if total < 0 {
			total = int64(response.RemainingBytes) + int64(len(response.Blob))
		}
		if got == total {
			if string(response.Blob) != string(sum.Sum(nil)) || response.RemainingBytes != 0 {
				t.Errorf("the last message is not the SHA-256 of those before")
			}
			break
		}
		sum.Write(response.Blob)
		got += int64(len(response.Blob))
		if int64(response.RemainingBytes) != total-got {
			t.Errorf("%d bytes of %d came, and %d remain", got, total, response.RemainingBytes)
		}
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Errorf("behind the last message: %v", err)
	}
	return nil
}

// contents of an exported database, and what its metadata says of them.
type contents struct {
	file      string
	index     uint64
	term      uint64
	scheduled int64
	finished  int64
	revision  int64
	leases    []int64
	rows      []row
	keys      map[string]string
}

type row struct {
	key, value string
	main, sub  int64
	tombstone  bool
	kv         *mvccpb.KeyValue
}

func be64(text string) uint64 { return binary.BigEndian.Uint64([]byte(text)) }

func contentsOf(t *testing.T, file string) contents {
	t.Helper()
	all := rows(t, file)
	names := slices.Sorted(maps.Keys(all))
	if difference := cmp.Diff([]string{"alarm", "auth", "authRoles", "authUsers", "cluster", "key", "lease", "members", "members_removed", "meta"}, names); difference != "" {
		t.Fatalf("%s: buckets: %s", file, difference)
	}
	c := contents{file: file, scheduled: -1, finished: -1, revision: 1, keys: map[string]string{}}
	c.index, c.term = be64(all["meta"]["consistent_index"]), be64(all["meta"]["term"])
	if mark := all["meta"]["scheduledCompactRev"]; mark != "" {
		c.scheduled = int64(be64(mark))
	}
	if mark := all["meta"]["finishedCompactRev"]; mark != "" {
		c.finished = int64(be64(mark))
	}
	for key := range all["lease"] {
		c.leases = append(c.leases, int64(be64(key)))
	}
	slices.Sort(c.leases)
	for _, key := range slices.Sorted(maps.Keys(all["key"])) {
		r := row{key: key, value: all["key"][key], main: int64(be64(key[:8])), sub: int64(be64(key[9:17])), tombstone: len(key) == 18, kv: &mvccpb.KeyValue{}}
		if err := proto.Unmarshal([]byte(r.value), r.kv); err != nil {
			t.Fatal(err)
		}
		c.rows = append(c.rows, r)
		c.revision = r.main
		if r.tombstone {
			delete(c.keys, string(r.kv.Key))
		} else {
			c.keys[string(r.kv.Key)] = string(r.kv.Value)
		}
	}
	c.revision = max(c.revision, c.scheduled)
	return c
}

// hash is HashKV at the newest revision under a compact revision, from the rows alone: spec of etcd's hashByRev.
func (c contents) hash(compacted int64) uint32 {
	type revision struct{ main, sub int64 }
	newest := map[string]row{}
	for _, r := range c.rows {
		newest[string(r.kv.Key)] = r
	}
	keep := map[revision]bool{}
	for _, r := range newest {
		if !r.tombstone {
			keep[revision{r.main, r.sub}] = true
		}
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	io.WriteString(sum, "key")
	for _, r := range c.rows {
		if r.main <= compacted && len(keep) > 0 && !keep[revision{r.main, r.sub}] || r.main == compacted && r.tombstone {
			continue
		}
		io.WriteString(sum, r.key)
		io.WriteString(sum, r.value)
	}
	return sum.Sum32()
}

// model is a store as far as the load needs one, fed with the log.
type model struct {
	term      uint64
	revision  int64
	compacted int64
	keys      map[string]string
	leases    map[int64]bool
}

func (m *model) put(r *pb.PutRequest) { m.keys[string(r.Key)] = string(r.Value) }

// apply one entry. The load deletes only single keys and its transactions have no conditions.
func (m *model) apply(t *testing.T, entry *raftpb.Entry) {
	m.term = entry.GetTerm()
	if entry.GetType() != raftpb.EntryType_EntryNormal || len(entry.Data) == 0 {
		return
	}
	var request pb.InternalRaftRequest
	if err := proto.Unmarshal(entry.Data, &request); err != nil {
		t.Fatal(err)
	}
	switch {
	case request.Put != nil:
		m.revision++
		m.put(request.Put)
	case request.DeleteRange != nil:
		if _, there := m.keys[string(request.DeleteRange.Key)]; there {
			m.revision++
			delete(m.keys, string(request.DeleteRange.Key))
		}
	case request.Txn != nil:
		m.revision++
		for _, op := range request.Txn.Success {
			m.put(op.GetRequestPut())
		}
	case request.Compaction != nil:
		if r := request.Compaction.Revision; r > m.compacted && r <= m.revision {
			m.compacted = r
		}
	case request.LeaseGrant != nil:
		m.leases[request.LeaseGrant.ID] = true
	case request.LeaseRevoke != nil:
		delete(m.leases, request.LeaseRevoke.ID)
	}
}

// load writes until the context ends, compacting now and then well behind the newest revision.
func load(t *testing.T, ctx context.Context, server *harness.Server, writers int) (wait func(), writes *atomic.Int64) {
	var group sync.WaitGroup
	writes = &atomic.Int64{}
	failed := func(err error) bool {
		if err != nil && ctx.Err() == nil {
			t.Errorf("load: %v", err)
		}
		return err != nil
	}
	for w := range writers {
		client := server.Client(t)
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 77))
			var lease clientv3.LeaseID
			for ctx.Err() == nil {
				writes.Add(1)
				key := fmt.Sprintf("key/%d/%d", w, random.IntN(300))
				value := string(make([]byte, random.IntN(400))) + strconv.Itoa(random.Int())
				if random.IntN(200) == 0 {
					value = string(make([]byte, 30_000)) + value
				}
				var err error
				switch random.IntN(12) {
				case 0:
					_, err = client.Delete(ctx, key)
				case 1:
					_, err = client.Txn(ctx).Then(clientv3.OpPut(key, value), clientv3.OpPut(key+"b", value)).Commit()
				case 2:
					if lease != 0 {
						_, err = client.Revoke(ctx, lease)
						lease = 0
						break
					}
					var granted *clientv3.LeaseGrantResponse
					if granted, err = client.Grant(ctx, 10_000); err == nil {
						lease = granted.ID
					}
				default:
					_, err = client.Put(ctx, key, value)
				}
				if failed(err) {
					return
				}
			}
		})
	}
	client := server.Client(t)
	group.Go(func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(150 * time.Millisecond):
			}
			response, err := client.Get(ctx, "none")
			if failed(err) {
				return
			}
			if behind := response.Header.Revision - 700; behind > 1 {
				if _, err := client.Compact(ctx, behind); failed(err) {
					return
				}
			}
		}
	})
	return group.Wait, writes
}

// Exports under load and compaction: what each says of itself is what it holds, which the log tells. SNAPSHOTS sets their number.
func TestSnapshotsUnderLoad(t *testing.T) {
	count := number(t, "SNAPSHOTS", 24)
	server := harness.Start(t, harness.Subject(t), harness.Options{Flags: []string{"--max-wals=0", "--snapshot-count=5000"}})
	ctx, stop := context.WithCancel(context.Background())
	wait, writes := load(t, ctx, server, 4)
	defer wait()
	defer stop()
	client := server.Client(t)
	folder := t.TempDir()
	type facts struct {
		contents
		hash uint32
	}
	var exports []facts
	sameCompaction := 0
	for i := range count {
		path := filepath.Join(folder, "saved.db")
		if err := saveSnapshot(t, ctx, client, path); err != nil {
			t.Fatal(err)
		}
		c := contentsOf(t, path)
		if i == count/2 {
			status := must[snapshot.Status](t)(snapshot.NewV3(zap.NewNop()).Status(path))
			if status.Revision != c.rows[len(c.rows)-1].main || status.Version != "3.7.0" && os.Getenv("ETCD") != "1" {
				t.Errorf("snapshot status: %+v of revision %d", status, c.revision)
			}
		}
		live, err := client.HashKV(ctx, server.Endpoint(), c.revision)
		if err != nil {
			t.Fatalf("HashKV at %d: %v", c.revision, err)
		}
		if live.CompactRevision == max(c.scheduled, c.finished) {
			sameCompaction++
		}
		if hash := c.hash(live.CompactRevision); hash != live.Hash {
			t.Errorf("export %d at revision %d: HashKV %d, of the member %d (compacted at %d, at export %d)", i, c.revision, hash, live.Hash, live.CompactRevision, c.scheduled)
		}
		c.rows = nil
		exports = append(exports, facts{contents: c})
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		if t.Failed() {
			return
		}
	}
	stop()
	wait()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}

	directory := filepath.Join(server.DataDir, "member", "wal")
	markers, err := wal.ValidSnapshotEntries(zap.NewNop(), directory)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := wal.OpenForRead(zap.NewNop(), directory, markers[0])
	if err != nil {
		t.Fatal(err)
	}
	_, _, entries, err := reader.ReadAll()
	reader.Close()
	if err != nil {
		t.Fatal(err)
	}
	if markers[0].GetIndex() != 0 {
		t.Fatalf("the log begins at %d", markers[0].GetIndex())
	}
	m := model{revision: 1, compacted: -1, keys: map[string]string{}, leases: map[int64]bool{}}
	at, partly := 0, 0
	for _, entry := range entries {
		m.apply(t, entry)
		for ; at < len(exports) && exports[at].index == entry.GetIndex(); at++ {
			e := exports[at]
			if e.term != m.term || e.revision != m.revision || e.scheduled != m.compacted || e.finished > e.scheduled {
				t.Errorf("index %d: export says term %d, revision %d, compacted %d (finished %d); the log %d, %d, %d", e.index, e.term, e.revision, e.scheduled,
					e.finished, m.term, m.revision, m.compacted)
			}
			if e.finished != e.scheduled {
				partly++
			}
			if !slices.Equal(e.leases, slices.Sorted(maps.Keys(m.leases))) {
				t.Errorf("index %d: %d leases, the log has %d", e.index, len(e.leases), len(m.leases))
			}
			if !maps.Equal(e.keys, m.keys) {
				t.Errorf("index %d: %d keys, the log has %d, or other values", e.index, len(e.keys), len(m.keys))
			}
		}
	}
	if at != len(exports) {
		t.Errorf("%d of %d exports have an index of the log, in order", at, len(exports))
	}
	t.Logf("%d exports during %d writes up to revision %d, compacted %d: metadata = contents, HashKV equal; %d in the middle of a compaction, %d with the member's own compact revision",
		len(exports), writes.Load(), m.revision, m.compacted, partly, sameCompaction)
}

// A snapshot that was saved from a running member: etcdutl restores it, and a real etcd serves it.
func TestEtcdutlRestoresALiveMembersSnapshot(t *testing.T) {
	ctx := harness.Context(t)
	server := harness.Start(t, harness.Subject(t), harness.Options{})
	client := server.Client(t)
	lease := must[*clientv3.LeaseGrantResponse](t)(client.Grant(ctx, 3000))
	for i := range 500 {
		must[*clientv3.PutResponse](t)(client.Put(ctx, fmt.Sprintf("key/%d", i%90), fmt.Sprint(i), clientv3.WithLease(lease.ID)))
	}
	must[*clientv3.CompactResponse](t)(client.Compact(ctx, 300, clientv3.WithCompactPhysical()))
	before := keyState(t, ctx, server)
	saved := filepath.Join(t.TempDir(), "saved.db")
	if err := saveSnapshot(t, ctx, client, saved); err != nil {
		t.Fatal(err)
	}
	compareRestored(t, ctx, saved, before)
}

// Streams that nobody reads to the end cost nothing but their buffers, and the member goes on.
func TestAbandonedSnapshots(t *testing.T) {
	ctx := harness.Context(t)
	server := harness.Start(t, harness.Subject(t), harness.Options{})
	client := server.Client(t)
	for i := range 300 {
		must[*clientv3.PutResponse](t)(client.Put(ctx, fmt.Sprintf("key/%d", i), string(make([]byte, 30_000))))
	}
	maintenance := pb.NewMaintenanceClient(client.ActiveConnection())
	for range 40 {
		short, cancel := context.WithCancel(ctx)
		stream := must[pb.Maintenance_SnapshotClient](t)(maintenance.Snapshot(short, &pb.SnapshotRequest{}))
		if _, err := stream.Recv(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("first message: %v", err)
		}
		cancel()
		// The next waits until this one's end has come to the member, else it may be one too many.
		must[*clientv3.PutResponse](t)(client.Put(ctx, "between", "snapshots"))
	}
	var group sync.WaitGroup
	for i := range 6 {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		group.Go(func() {
			if err := saveSnapshot(t, ctx, client, path); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	// One is on its way when the member stops.
	stream := must[pb.Maintenance_SnapshotClient](t)(maintenance.Snapshot(ctx, &pb.SnapshotRequest{}))
	must[*pb.SnapshotResponse](t)(stream.Recv())
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
}
