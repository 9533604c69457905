package client

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestMaintenance(t *testing.T) {
	runCases(t, harness.Options{Name: "lonely"}, []testCase{
		{"member list", memberList},
		{"status", statusAnswer},
		{"hashkv: errors, stable at a revision", hashKV},
		{"hash", hash},
		{"alarm list", alarmList},
		{"sync of endpoints", syncEndpoints},
		{"http: version, health, metrics", httpEndpoints},
	})
}

func memberList(f *fixture) {
	for _, options := range [][]clientv3.OpOption{nil, {clientv3.WithSerializable()}} {
		r, err := f.client.MemberList(f.ctx, options...)
		f.noError(err)
		equal(f, "members", len(r.Members), 1)
		member := r.Members[0]
		equal(f, "name", member.Name, "lonely")
		equal(f, "id", member.ID, r.Header.MemberId)
		equalSlices(f, "client URLs", member.ClientURLs, []string{f.server.ClientURL})
		equalSlices(f, "peer URLs", member.PeerURLs, []string{f.server.PeerURL})
		equal(f, "learner", member.IsLearner, false)
		equal(f, "revision in the header", r.Header.Revision, 0)
	}
}

func statusAnswer(f *fixture) {
	f.server.AwaitVersions(f.T)
	before := f.put("k", "v")
	r, err := f.client.Status(f.ctx, f.server.Endpoint())
	f.noError(err)
	equal(f, "version", r.Version, "3.7.1")
	equal(f, "storage version", r.StorageVersion, "3.7.0")
	equal(f, "leader", r.Leader, before.Header.MemberId)
	equal(f, "learner", r.IsLearner, false)
	equal(f, "errors", len(r.Errors), 0)
	equal(f, "quota", r.DbSizeQuota, 2147483648)
	equal(f, "term", r.RaftTerm, before.Header.RaftTerm)
	equal(f, "applied", r.RaftAppliedIndex, r.RaftIndex)
	equal(f, "revision", r.Header.Revision, before.Header.Revision)
	if r.DbSize <= 0 || r.DbSizeInUse <= 0 || r.DbSizeInUse > r.DbSize || r.DowngradeInfo == nil || r.DowngradeInfo.Enabled {
		f.Fatalf("status %v", (*pb.StatusResponse)(r))
	}
	f.put("k", "v")
	after, err := f.client.Status(f.ctx, f.server.Endpoint())
	f.noError(err)
	equal(f, "a put is one entry", after.RaftIndex, r.RaftIndex+1)
}

func hashKV(f *fixture) {
	endpoint := f.server.Endpoint()
	middle := f.put("k", "1").Header.Revision
	first, err := f.client.HashKV(f.ctx, endpoint, 0)
	f.noError(err)
	equal(f, "hash revision", first.HashRevision, middle)
	equal(f, "compact revision", first.CompactRevision, -1)
	equal(f, "header revision", first.Header.Revision, middle)
	f.put("k", "2")
	f.del("k")
	current := f.put("k", "3").Header.Revision
	again, err := f.client.HashKV(f.ctx, endpoint, middle)
	f.noError(err)
	equal(f, "the hash of a revision does not change", again.Hash, first.Hash)
	other, err := f.client.HashKV(f.ctx, endpoint, current)
	f.noError(err)
	if other.Hash == first.Hash {
		f.Fatal("two states with one hash")
	}
	f.compact(current - 1)
	compacted, err := f.client.HashKV(f.ctx, endpoint, current)
	f.noError(err)
	equal(f, "compact revision", compacted.CompactRevision, current-1)
	_, err = f.client.HashKV(f.ctx, endpoint, middle)
	f.wantError(err, rpctypes.ErrCompacted)
	_, err = f.client.HashKV(f.ctx, endpoint, current+1)
	f.wantError(err, rpctypes.ErrFutureRev)
}

func hash(f *fixture) {
	maintenance := pb.NewMaintenanceClient(f.conn)
	first, err := maintenance.Hash(f.ctx, &pb.HashRequest{})
	f.noError(err)
	again, err := maintenance.Hash(f.ctx, &pb.HashRequest{})
	f.noError(err)
	equal(f, "hash", again.Hash, first.Hash)
	f.put("k", "v")
	other, err := maintenance.Hash(f.ctx, &pb.HashRequest{})
	f.noError(err)
	if other.Hash == first.Hash {
		f.Fatal("a put did not change the hash")
	}
}

func alarmList(f *fixture) {
	r, err := f.client.AlarmList(f.ctx)
	f.noError(err)
	equal(f, "alarms", len(r.Alarms), 0)
}

func syncEndpoints(f *fixture) {
	client := f.server.Client(f.T)
	f.noError(client.Sync(f.ctx))
	equalSlices(f, "endpoints", client.Endpoints(), []string{f.server.ClientURL})
	_, err := client.Get(f.ctx, f.key("k"))
	f.noError(err)
}

func httpEndpoints(f *fixture) {
	fetch := func(path string) string {
		f.Helper()
		r, err := http.Get(f.server.ClientURL + path)
		f.noError(err)
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		f.noError(err)
		equal(f, "status of "+path, r.StatusCode, http.StatusOK)
		return string(body)
	}
	f.server.AwaitVersions(f.T)
	var version map[string]string
	f.noError(json.Unmarshal([]byte(fetch("/version")), &version))
	equal(f, "server version", version["etcdserver"], "3.7.1")
	equal(f, "cluster version", version["etcdcluster"], "3.7.0")
	equal(f, "health", strings.TrimSpace(fetch("/health")), `{"health":"true","reason":""}`)
	if !strings.Contains(fetch("/metrics"), "\netcd_server_has_leader 1\n") {
		f.Fatal("/metrics does not say etcd_server_has_leader 1")
	}
}
