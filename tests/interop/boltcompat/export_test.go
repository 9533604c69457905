// Package boltcompat hands databases that mvccdump wrote to those who have to live with them: bbolt's own check, etcdutl's
// snapshot status and restore, and a real etcd that starts on them.
package boltcompat

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"etcdpp.test/interop/harness"
	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
)

func mvccdumpCommand(arguments ...string) *exec.Cmd {
	tool := os.Getenv("MVCCDUMP")
	if tool == "" {
		tool = filepath.Join(filepath.Dir(os.Getenv("ETCDPPD")), "mvccdump")
	}
	return exec.Command(tool, arguments...)
}

func mvccdump(t *testing.T, arguments ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command := mvccdumpCommand(arguments...)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%v: %v\n%s%s", command, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// rows of a database as bbolt reads them, and what bbolt's check says of it.
func rows(t *testing.T, file string) map[string]map[string]string {
	t.Helper()
	db, err := bolt.Open(file, 0o600, &bolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := map[string]map[string]string{}
	if err := db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check(bolt.WithKVStringer(bolt.HexKVStringer())) {
			t.Errorf("%s: bbolt check: %v", file, err)
		}
		return tx.ForEach(func(name []byte, bucket *bolt.Bucket) error {
			all[string(name)] = map[string]string{}
			return bucket.ForEach(func(k, v []byte) error {
				all[string(name)][string(k)] = string(v)
				return nil
			})
		})
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// fill makes a history with every kind of row that one member has.
func fill(t *testing.T, ctx context.Context, client *clientv3.Client) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	var last int64
	lease := must[*clientv3.LeaseGrantResponse](t)(client.Grant(ctx, 3000))
	for i := range 3000 {
		key := fmt.Sprintf("key/%d", random.IntN(400))
		size := random.IntN(300)
		if i%100 == 0 {
			size = 20_000
		}
		switch random.IntN(10) {
		case 0:
			last = must[*clientv3.DeleteResponse](t)(client.Delete(ctx, key)).Header.Revision
		case 1:
			last = must[*clientv3.PutResponse](t)(client.Put(ctx, key, "leased", clientv3.WithLease(lease.ID))).Header.Revision
		case 2:
			last = must[*clientv3.TxnResponse](t)(client.Txn(ctx).Then(clientv3.OpPut(key, "a"), clientv3.OpPut(key+"b", "b"), clientv3.OpDelete("key/1")).Commit()).Header.Revision
		default:
			last = must[*clientv3.PutResponse](t)(client.Put(ctx, key, string(bytes.Repeat([]byte{byte('a' + i%26)}, size)))).Header.Revision
		}
		if i == 1500 {
			must[*clientv3.CompactResponse](t)(client.Compact(ctx, last, clientv3.WithCompactPhysical()))
		}
	}
	must[*clientv3.AuthRoleAddResponse](t)(client.RoleAdd(ctx, "reader"))
	must[*clientv3.AuthRoleGrantPermissionResponse](t)(client.RoleGrantPermission(ctx, "reader", "key/", "key0", clientv3.PermissionType(clientv3.PermRead)))
	must[*clientv3.AuthUserAddResponse](t)(client.UserAdd(ctx, "alice", "secret"))
	must[*clientv3.AuthUserGrantRoleResponse](t)(client.UserGrantRole(ctx, "alice", "reader"))
}

// state of a member that has to survive the way through our file.
type state struct {
	Hash      uint32
	Revision  int64
	Keys      map[string]string
	Leases    []int64
	LeaseKeys int
	Users     []string
	Roles     []string
}

func stateOf(t *testing.T, ctx context.Context, server *harness.Server) state {
	t.Helper()
	client := server.Client(t)
	s := keyState(t, ctx, server)
	s.Users = must[*clientv3.AuthUserListResponse](t)(client.UserList(ctx)).Users
	s.Roles = must[*clientv3.AuthRoleListResponse](t)(client.RoleList(ctx)).Roles
	return s
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in := must[*os.File](t)(os.Open(from))
	defer in.Close()
	out := must[*os.File](t)(os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600))
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}

// filledAndStopped is a real etcd that has been, and what it served.
func filledAndStopped(t *testing.T, ctx context.Context) (*harness.Server, state) {
	t.Helper()
	server := harness.Start(t, harness.Reference(t), harness.Options{})
	fill(t, ctx, server.Client(t))
	before := stateOf(t, ctx, server)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	return server, before
}

func TestEtcdLivesOnWhatWeWrote(t *testing.T) {
	ctx := harness.Context(t)
	server, before := filledAndStopped(t, ctx)

	database := filepath.Join(server.DataDir, "member", "snap", "db")
	exported := filepath.Join(t.TempDir(), "exported.db")
	mvccdump(t, "export", "--bbolt", exported, server.DataDir)
	if difference := cmp.Diff(rows(t, database), rows(t, exported)); difference != "" {
		t.Fatalf("the export has other rows:\n%.2000s", difference)
	}

	// In the place of etcd's own file, beside etcd's own log.
	copyFile(t, exported, database)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(before, stateOf(t, ctx, server)); difference != "" {
		t.Errorf("etcd on our file serves something else:\n%.2000s", difference)
	}
	client := server.Client(t)
	for i := range 500 {
		must[*clientv3.PutResponse](t)(client.Put(ctx, fmt.Sprintf("more/%d", i), "written on our file"))
	}
	must[*clientv3.CompactResponse](t)(client.Compact(ctx, before.Revision+200, clientv3.WithCompactPhysical()))
	must[*clientv3.DefragmentResponse](t)(client.Defragment(ctx, server.Endpoint()))
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	rows(t, database)
	mvccdump(t, "verify", database)
}

func TestEtcdutlTakesOurSnapshots(t *testing.T) {
	ctx := harness.Context(t)
	server, before := filledAndStopped(t, ctx)
	database := filepath.Join(server.DataDir, "member", "snap", "db")
	saved := filepath.Join(t.TempDir(), "saved.db")
	mvccdump(t, "export", "--bbolt", saved, "--snapshot", server.DataDir)

	etcdutl := snapshot.NewV3(zap.NewNop())
	ours := must[snapshot.Status](t)(etcdutl.Status(saved))
	theirs := must[snapshot.Status](t)(etcdutl.Status(database))
	ours.TotalSize, theirs.TotalSize = 0, 0 // ours has no free pages
	if difference := cmp.Diff(theirs, ours); difference != "" {
		t.Errorf("snapshot status: %s", difference)
	}

	restored := startRestored(t, saved)
	if difference := cmp.Diff(before, stateOf(t, ctx, restored)); difference != "" {
		t.Errorf("the restored member serves something else:\n%.2000s", difference)
	}
}

// A page of etcd's file is lost: what salvage makes of the rest is a database that bbolt and etcdutl accept.
func TestSalvagedDatabaseIsSound(t *testing.T) {
	ctx := harness.Context(t)
	server := harness.Start(t, harness.Reference(t), harness.Options{})
	fill(t, ctx, server.Client(t))
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(server.DataDir, "member", "snap", "db")
	whole := rows(t, database)
	bytes := must[[]byte](t)(os.ReadFile(database))
	for _, page := range []int{0, 1, 3, 10, 20, 30} {
		damaged := append([]byte(nil), bytes...)
		clear(damaged[page*4096 : (page+1)*4096])
		path := filepath.Join(t.TempDir(), "damaged.db")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		rescued := path + ".rescued"
		command := mvccdumpCommand("salvage", path, rescued, "--snapshot")
		if output, err := command.CombinedOutput(); err != nil && command.ProcessState.ExitCode() != 1 {
			t.Fatalf("page %d: %v\n%s", page, err, output)
		}
		found := rows(t, rescued)
		missing := 0
		for key, value := range whole["key"] {
			if there, ok := found["key"][key]; !ok {
				missing++
			} else if there != value && len(value) < 4000 {
				t.Errorf("page %d: row %x has another value", page, key)
			}
		}
		if missing > 130 {
			t.Errorf("page %d: %d of %d rows are missing", page, missing, len(whole["key"]))
		}
		if _, err := snapshot.NewV3(zap.NewNop()).Status(rescued); err != nil {
			t.Errorf("page %d: snapshot status: %v", page, err)
		}
	}
}
