package boltcompat

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
)

// keyState is what a member serves without users and roles.
func keyState(t *testing.T, ctx context.Context, server *harness.Server) state {
	t.Helper()
	client := server.Client(t)
	hash := must[*clientv3.HashKVResponse](t)(client.HashKV(ctx, server.Endpoint(), 0))
	s := state{Hash: hash.Hash, Revision: hash.Header.Revision, Keys: map[string]string{}}
	for _, kv := range must[*clientv3.GetResponse](t)(client.Get(ctx, "", clientv3.WithPrefix())).Kvs {
		s.Keys[string(kv.Key)] = fmt.Sprintf("%d %d %d %d %s", kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease, kv.Value)
	}
	for _, lease := range must[*clientv3.LeaseLeasesResponse](t)(client.Leases(ctx)).Leases {
		s.Leases = append(s.Leases, int64(lease.ID))
		s.LeaseKeys += len(must[*clientv3.LeaseTimeToLiveResponse](t)(client.TimeToLive(ctx, lease.ID, clientv3.WithAttachedKeys())).Keys)
	}
	slices.Sort(s.Leases)
	return s
}

// startRestored restores a saved snapshot with etcdutl and starts a real etcd on it.
func startRestored(t *testing.T, saved string) *harness.Server {
	t.Helper()
	restored := harness.New(t, harness.Reference(t), harness.Options{})
	if err := os.RemoveAll(restored.DataDir); err != nil {
		t.Fatal(err)
	}
	if err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: saved, Name: "default", OutputDataDir: restored.DataDir, PeerURLs: []string{restored.PeerURL},
		InitialCluster: "default=" + restored.PeerURL, InitialClusterToken: "restored",
	}); err != nil {
		t.Fatalf("restore: %v", err)
	}
	if err := restored.Start(); err != nil {
		t.Fatal(err)
	}
	return restored
}

// compareRestored compares what an etcd on a saved snapshot serves.
func compareRestored(t *testing.T, ctx context.Context, saved string, before state) {
	t.Helper()
	restored := startRestored(t, saved)
	defer restored.Kill()
	if difference := cmp.Diff(before, keyState(t, ctx, restored)); difference != "" {
		t.Errorf("the restored member serves something else:\n%.2000s", difference)
	}
}

// fillAtRandom sends requests of every kind that one member takes.
func fillAtRandom(t *testing.T, ctx context.Context, server *harness.Server, requests int) {
	t.Helper()
	const writers = 16
	var group sync.WaitGroup
	for w := range writers {
		client := server.Client(t)
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 5))
			var leases []clientv3.LeaseID
			var revision int64
			for range requests / writers {
				key := fmt.Sprintf("key/%d", random.IntN(5000))
				value := string(make([]byte, random.IntN(200))) + fmt.Sprint(random.Int())
				var err error
				switch n := random.IntN(100); {
				case n < 50:
					var response *clientv3.PutResponse
					if response, err = client.Put(ctx, key, value); err == nil {
						revision = response.Header.Revision
					}
				case n < 58:
					_, err = client.Delete(ctx, key)
				case n < 61:
					_, err = client.Delete(ctx, key, clientv3.WithPrefix())
				case n < 75:
					_, err = client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
						Then(clientv3.OpPut(key, value), clientv3.OpPut(key+"/b", "")).
						Else(clientv3.OpDelete(key), clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut(key+"/c", value)}, nil)).Commit()
				case n < 80:
					var granted *clientv3.LeaseGrantResponse
					if granted, err = client.Grant(ctx, 5000); err == nil {
						leases = append(leases, granted.ID)
					}
				case n < 90 && len(leases) > 0:
					_, err = client.Put(ctx, key, value, clientv3.WithLease(leases[random.IntN(len(leases))]))
				case n < 93 && len(leases) > 3:
					_, err = client.Revoke(ctx, leases[0])
					leases = leases[1:]
				case n == 99 && random.IntN(20) == 0 && revision > 1000:
					if _, err = client.Compact(ctx, revision-900); err != nil && strings.Contains(err.Error(), "compacted") {
						err = nil
					}
				default:
					_, err = client.Get(ctx, key, clientv3.WithLimit(3))
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if output, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v %s", err, output)
	}
}

// An etcd member's directory is taken over while kill -9 comes at any moment, and goes back to etcd. TAKEOVER_REQUESTS and
// TAKEOVER_ROUNDS set how much it holds and how often it is taken over.
func TestTakeoverUnderKill9(t *testing.T) {
	if os.Getenv("ETCD") == "1" {
		t.Skip("SKIPPED: etcd does not take over its own directory")
	}
	requests, rounds := number(t, "TAKEOVER_REQUESTS", 4000), number(t, "TAKEOVER_ROUNDS", 3)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	ports := harness.FreePorts(t)
	etcd := harness.Start(t, harness.Reference(t), harness.Options{Ports: ports})
	fillAtRandom(t, ctx, etcd, requests)
	client := etcd.Client(t)
	must[*clientv3.AuthRoleAddResponse](t)(client.RoleAdd(ctx, "reader"))
	must[*clientv3.AuthUserAddResponse](t)(client.UserAdd(ctx, "alice", "secret"))
	must[*clientv3.AuthUserGrantRoleResponse](t)(client.UserGrantRole(ctx, "alice", "reader"))
	must[*clientv3.PutResponse](t)(client.Put(ctx, "last", "word"))
	before := stateOf(t, ctx, etcd)
	etcd.Kill()
	served := before
	served.Users, served.Roles = nil, nil
	original := etcd.DataDir
	database := must[os.FileInfo](t)(os.Stat(filepath.Join(original, "member", "snap", "db")))

	// How long an undisturbed one takes decides when the kills come.
	window := time.Duration(0)
	kills, inTheMiddle := 0, 0
	var taken *harness.Server
	for round := range rounds {
		directory := filepath.Join(t.TempDir(), "taken")
		copyTree(t, original, directory)
		snap := filepath.Join(directory, "member", "snap")
		taken = harness.New(t, harness.Subject(t), harness.Options{DataDir: directory, Ports: ports})
		for attempt := 0; window > 0 && attempt < 8; attempt++ {
			command := exec.Command(taken.Binary, taken.Args()...)
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			// Rather early: the start of the member behind the takeover takes its part of the window.
			time.Sleep(time.Duration(float64(window) * math.Pow(rand.Float64(), 2)))
			_ = command.Process.Kill()
			_ = command.Wait()
			kills++
			// etcd's file is there, as it was, under the one name or the other.
			kept, _ := filepath.Glob(filepath.Join(snap, "db*"))
			if len(kept) != 1 {
				t.Fatalf("round %d: etcd's files are %v", round, kept)
			}
			if info := must[os.FileInfo](t)(os.Stat(kept[0])); info.Size() != database.Size() || !info.ModTime().Equal(database.ModTime()) {
				t.Errorf("round %d: %s was changed", round, kept[0])
			}
			if filepath.Base(kept[0]) == "db" {
				inTheMiddle++
			}
		}
		begin := time.Now()
		if err := taken.Start(); err != nil {
			t.Fatal(err)
		}
		if window == 0 {
			window = time.Since(begin)
		}
		if difference := cmp.Diff(served, keyState(t, ctx, taken)); difference != "" {
			t.Fatalf("round %d: what was taken over is something else:\n%.2000s", round, difference)
		}
		if round+1 < rounds {
			taken.Kill()
		}
	}

	// It goes on, and goes back: through a snapshot, and as the same member on the same log.
	client = taken.Client(t)
	for i := range 300 {
		must[*clientv3.PutResponse](t)(client.Put(ctx, fmt.Sprintf("more/%d", i), "written after"))
	}
	must[*clientv3.CompactResponse](t)(client.Compact(ctx, before.Revision+100, clientv3.WithCompactPhysical()))
	after := keyState(t, ctx, taken)
	saved := filepath.Join(t.TempDir(), "saved.db")
	if err := saveSnapshot(t, ctx, client, saved); err != nil {
		t.Fatal(err)
	}
	compareRestored(t, ctx, saved, after)
	if err := taken.Stop(); err != nil {
		t.Fatal(err)
	}
	mvccdump(t, "export", "--bbolt", filepath.Join(taken.DataDir, "member", "snap", "db"), taken.DataDir)
	back := harness.New(t, harness.Reference(t), harness.Options{DataDir: taken.DataDir, Ports: ports})
	if err := back.Start(); err != nil {
		t.Fatal(err)
	}
	after.Users, after.Roles = before.Users, before.Roles
	if difference := cmp.Diff(after, stateOf(t, ctx, back)); difference != "" {
		t.Errorf("etcd on our log and our export serves something else:\n%.2000s", difference)
	}
	must[*clientv3.PutResponse](t)(back.Client(t).Put(ctx, "etcd", "again"))
	again := keyState(t, ctx, back)
	if err := back.Stop(); err != nil {
		t.Fatal(err)
	}

	// Two databases now: which one counts is not ours to guess, until ours is moved away.
	if err := taken.Start(); err == nil || !strings.Contains(taken.Log(), "of another index") {
		t.Errorf("a directory with two databases: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(taken.DataDir, "member", "etcdpp")); err != nil {
		t.Fatal(err)
	}
	if err := taken.Start(); err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(again, keyState(t, ctx, taken)); difference != "" {
		t.Errorf("taken over once more it is something else:\n%.2000s", difference)
	}
	t.Logf("%d requests, revision %d, %d keys; %d takeovers, %d kills (%d before etcd's file had its new name): HashKV %d equal, and equal again in etcd",
		requests, before.Revision, len(before.Keys), rounds, kills, inTheMiddle, before.Hash)
}

// What is not for us is left as it was, and one line says what to do.
func TestTakeoverRefusals(t *testing.T) {
	if os.Getenv("ETCD") == "1" {
		t.Skip("SKIPPED: etcd does not take over its own directory")
	}
	ctx := harness.Context(t)
	ports := harness.FreePorts(t)
	etcd := harness.Start(t, harness.Reference(t), harness.Options{Ports: ports})
	client := etcd.Client(t)
	must[*clientv3.PutResponse](t)(client.Put(ctx, "a", "b"))
	time.Sleep(200 * time.Millisecond) // a commit
	other := harness.FreePorts(t)
	refuse := func(directory, why string) {
		t.Helper()
		database := filepath.Join(directory, "member", "snap", "db")
		before, err := os.ReadFile(database)
		if err != nil {
			t.Fatal(err)
		}
		server := harness.New(t, harness.Subject(t), harness.Options{DataDir: directory, Ports: other})
		if err := server.Start(); err == nil {
			t.Fatalf("%s: it was taken", why)
		}
		if !strings.Contains(server.Log(), why) {
			t.Errorf("%q is not said:\n%s", why, server.Log())
		}
		after, _ := os.ReadFile(database)
		if string(before) != string(after) {
			t.Errorf("%s: the database was changed", why)
		}
		if _, err := os.Stat(filepath.Join(directory, "member", "etcdpp", "data.lmdb")); err == nil {
			t.Errorf("%s: a database was made", why)
		}
	}
	refuse(etcd.DataDir, "stop it first")
	if err := etcd.Stop(); err != nil {
		t.Fatal(err)
	}
	edited := func(edit func(tx *bolt.Tx) error) string {
		t.Helper()
		directory := filepath.Join(t.TempDir(), "edited")
		copyTree(t, etcd.DataDir, directory)
		db, err := bolt.Open(filepath.Join(directory, "member", "snap", "db"), 0o600, &bolt.Options{NoFreelistSync: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(edit); err != nil {
			t.Fatal(err)
		}
		db.Close()
		return directory
	}
	put := func(bucket, key, value string) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(key), []byte(value)) }
	}
	refuse(edited(put("auth", "authEnabled", "\x01")), "authentication enabled")
	refuse(edited(put("members", "1", `{"id":1,"peerURLs":["http://127.0.0.1:1"],"name":"b"}`)), "a cluster with 2 members")
	refuse(edited(put("cluster", "downgrade", `{"target-version":"3.6.0","enabled":true}`)), "downgrade cancel")
	refuse(edited(put("meta", "storageVersion", "3.8.0")), "storage version 3.8.0 is not supported")
	refuse(edited(func(tx *bolt.Tx) error {
		return errors.Join(tx.Bucket([]byte("meta")).Delete([]byte("storageVersion")), tx.Bucket([]byte("meta")).Delete([]byte("term")))
	}), "etcd 3.4 or older")
	refuse(edited(put("key", "\x00\x00\x00\x00\x00\x00\x00\x09_\x00\x00\x00\x00\x00\x00\x00\x00", "\x0a\xff")), "mvccdump verify")
	refuse(edited(put("key", "nonsense", "")), "mvccdump verify")

	damaged := filepath.Join(t.TempDir(), "damaged")
	copyTree(t, etcd.DataDir, damaged)
	database := filepath.Join(damaged, "member", "snap", "db")
	bytes := must[[]byte](t)(os.ReadFile(database))
	clear(bytes[:8192])
	if err := os.WriteFile(database, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	refuse(damaged, "mvccdump verify")
	withoutLog := filepath.Join(t.TempDir(), "log")
	copyTree(t, etcd.DataDir, withoutLog)
	if err := os.RemoveAll(filepath.Join(withoutLog, "member", "wal")); err != nil {
		t.Fatal(err)
	}
	refuse(withoutLog, "there is no log")

	// What stands as 3.5 or 3.6 left it is taken, and follows the cluster to 3.7.
	for _, version := range []string{"3.5.0", "3.6.0"} {
		directory := edited(func(tx *bolt.Tx) error {
			if version == "3.5.0" {
				return errors.Join(tx.Bucket([]byte("meta")).Delete([]byte("storageVersion")), put("cluster", "clusterVersion", version)(tx))
			}
			return errors.Join(put("meta", "storageVersion", version)(tx), put("cluster", "clusterVersion", version)(tx))
		})
		server := harness.Start(t, harness.Subject(t), harness.Options{DataDir: directory, Ports: other})
		client := server.Client(t)
		if value := must[*clientv3.GetResponse](t)(client.Get(ctx, "a")); len(value.Kvs) != 1 {
			t.Errorf("%s: the key is gone", version)
		}
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if must[*clientv3.StatusResponse](t)(client.Status(ctx, server.Endpoint())).StorageVersion == "3.7.0" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: the storage version stays", version)
			}
		}
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}
