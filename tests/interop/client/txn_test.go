package client

import (
	"fmt"
	"testing"

	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
)

func TestTxn(t *testing.T) {
	runCases(t, harness.Options{}, []testCase{
		{"then and else", txnBranches},
		{"compares: every target and operator", txnCompares},
		{"compares on an absent key", txnCompareAbsent},
		{"compares over a range", txnCompareRange},
		{"one revision, answers in order, own writes are seen", txnOrder},
		{"a txn that changes nothing keeps the revision", txnReadOnly},
		{"nested txns", txnNested},
		{"nested compares see the state before", txnNestedCompare},
		{"127 levels deep", txnDeep},
		{"128 operations, and too many", txnTooMany},
		{"duplicate keys", txnDuplicate},
		{"invalid operations", txnInvalid},
		{"an error leaves nothing behind", txnAtomic},
		{"ranges at past revisions", txnPast},
	})
}

func (f *fixture) txn(compares []clientv3.Cmp, then, otherwise []clientv3.Op) *clientv3.TxnResponse {
	f.Helper()
	r, err := f.client.Txn(f.ctx).If(compares...).Then(then...).Else(otherwise...).Commit()
	f.noError(err)
	return r
}

func (f *fixture) holds(compares ...clientv3.Cmp) bool {
	f.Helper()
	return f.txn(compares, nil, nil).Succeeded
}

func txnBranches(f *fixture) {
	key := f.key("k")
	absent := clientv3.Compare(clientv3.Version(key), "=", 0)
	r := f.txn([]clientv3.Cmp{absent}, []clientv3.Op{clientv3.OpPut(key, "created")}, []clientv3.Op{clientv3.OpGet(key)})
	equal(f, "succeeded", r.Succeeded, true)
	r = f.txn([]clientv3.Cmp{absent}, []clientv3.Op{clientv3.OpPut(key, "again")}, []clientv3.Op{clientv3.OpGet(key)})
	equal(f, "succeeded", r.Succeeded, false)
	f.wantPairs(r.Responses[0].GetResponseRange().Kvs, "k=created")
}

func txnCompares(f *fixture) {
	lease, err := f.client.Grant(f.ctx, 600)
	f.noError(err)
	f.put("k", "b")
	f.put("k", "b", clientv3.WithLease(lease.ID))
	kv := f.get("k").Kvs[0]
	key := f.key("k")
	for _, target := range []struct {
		name string
		cmp  clientv3.Cmp
		low  any
		same any
		high any
	}{
		{"version", clientv3.Version(key), 1, 2, 3},
		{"create", clientv3.CreateRevision(key), kv.CreateRevision - 1, kv.CreateRevision, kv.CreateRevision + 1},
		{"mod", clientv3.ModRevision(key), kv.ModRevision - 1, kv.ModRevision, kv.ModRevision + 1},
		{"value", clientv3.Value(key), "a", "b", "ba"},
		{"lease", clientv3.LeaseValue(key), lease.ID - 1, lease.ID, lease.ID + 1},
	} {
		for operator, want := range map[string][3]bool{
			"=": {false, true, false}, "!=": {true, false, true}, ">": {true, false, false}, "<": {false, false, true},
		} {
			for i, operand := range []any{target.low, target.same, target.high} {
				got := f.holds(clientv3.Compare(target.cmp, operator, operand))
				equal(f, fmt.Sprintf("%s %s %v", target.name, operator, operand), got, want[i])
			}
		}
	}
	equal(f, "all compares must hold",
		f.holds(clientv3.Compare(clientv3.Value(key), "=", "b"), clientv3.Compare(clientv3.Version(key), "=", 7)), false)
}

func txnCompareAbsent(f *fixture) {
	key := f.key("absent")
	equal(f, "version = 0", f.holds(clientv3.Compare(clientv3.Version(key), "=", 0)), true)
	equal(f, "create = 0", f.holds(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)), true)
	equal(f, "mod < 1", f.holds(clientv3.Compare(clientv3.ModRevision(key), "<", 1)), true)
	equal(f, "lease = 0", f.holds(clientv3.Compare(clientv3.LeaseValue(key), "=", 0)), true)
	for _, operator := range []string{"=", "!=", "<", ">"} {
		equal(f, "value "+operator+" nothing", f.holds(clientv3.Compare(clientv3.Value(key), operator, "")), false)
	}
}

func txnCompareRange(f *fixture) {
	f.put("r/1", "x")
	f.put("r/2", "x")
	f.put("r/3", "y")
	value := func(operator, operand string, end string) bool {
		f.Helper()
		return f.holds(clientv3.Compare(clientv3.Value(f.key("r/1")), operator, operand).WithRange(end))
	}
	equal(f, "all equal", value("=", "x", f.key("r/3")), true)
	equal(f, "not all equal", value("=", "x", f.key("r/4")), false)
	equal(f, "all greater", value(">", "a", f.key("r/4")), true)
	equal(f, "prefix", f.holds(clientv3.Compare(clientv3.Version(f.key("r/")), "=", 1).WithPrefix()), true)
	equal(f, "empty prefix counts as an absent key", f.holds(clientv3.Compare(clientv3.CreateRevision(f.key("none/")), "=", 0).WithPrefix()), true)
	equal(f, "from key", f.holds(clientv3.Compare(clientv3.CreateRevision(f.key("r/")), ">", 0).WithRange("\x00")), true)
}

func txnOrder(f *fixture) {
	before := f.put("a", "0").Header.Revision
	r := f.txn(nil, []clientv3.Op{
		clientv3.OpGet(f.key("a")),
		clientv3.OpPut(f.key("a"), "1", clientv3.WithPrevKV()),
		clientv3.OpGet(f.key("a")),
		clientv3.OpPut(f.key("b"), "2"),
		clientv3.OpDelete(f.key("c"), clientv3.WithPrefix()),
		clientv3.OpGet(f.key(""), clientv3.WithPrefix()),
	}, nil)
	equal(f, "revision", r.Header.Revision, before+1)
	f.wantPairs(r.Responses[0].GetResponseRange().Kvs, "a=0")
	equal(f, "prev_kv", string(r.Responses[1].GetResponsePut().PrevKv.Value), "0")
	f.wantPairs(r.Responses[2].GetResponseRange().Kvs, "a=1")
	equal(f, "deleted", r.Responses[4].GetResponseDeleteRange().Deleted, 0)
	f.wantPairs(r.Responses[5].GetResponseRange().Kvs, "a=1 b=2")
	for _, kv := range r.Responses[5].GetResponseRange().Kvs {
		equal(f, "mod revision", kv.ModRevision, before+1)
	}
	deleted := f.txn(nil, []clientv3.Op{clientv3.OpDelete(f.key(""), clientv3.WithPrefix(), clientv3.WithPrevKV()), clientv3.OpGet(f.key("a"))}, nil)
	equal(f, "deleted", deleted.Responses[0].GetResponseDeleteRange().Deleted, 2)
	equal(f, "seen after the delete", deleted.Responses[1].GetResponseRange().Count, 0)
}

func txnReadOnly(f *fixture) {
	before := f.put("k", "v").Header.Revision
	r := f.txn(nil, []clientv3.Op{clientv3.OpGet(f.key("k")), clientv3.OpGet(f.key("k"), clientv3.WithSerializable())}, nil)
	equal(f, "revision of a read-only txn", r.Header.Revision, before)
	r = f.txn(nil, []clientv3.Op{clientv3.OpDelete(f.key("absent"))}, nil)
	equal(f, "revision of a txn that deletes nothing", r.Header.Revision, before)
	r = f.txn([]clientv3.Cmp{clientv3.Compare(clientv3.Version(f.key("k")), "=", 9)}, []clientv3.Op{clientv3.OpPut(f.key("k"), "w")}, nil)
	equal(f, "revision of a txn whose branch is empty", r.Header.Revision, before)
	equal(f, "answers", len(r.Responses), 0)
	equal(f, "empty txn", f.txn(nil, nil, nil).Succeeded, true)
}

func txnNested(f *fixture) {
	inner := clientv3.OpTxn(
		[]clientv3.Cmp{clientv3.Compare(clientv3.Version(f.key("flag")), ">", 0)},
		[]clientv3.Op{clientv3.OpPut(f.key("yes"), "1")},
		[]clientv3.Op{clientv3.OpPut(f.key("no"), "1"), clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpGet(f.key("no"))}, nil)})
	r := f.txn(nil, []clientv3.Op{clientv3.OpPut(f.key("first"), "1"), inner}, nil)
	nested := r.Responses[1].GetResponseTxn()
	equal(f, "inner succeeded", nested.Succeeded, false)
	f.wantPairs(nested.Responses[1].GetResponseTxn().Responses[0].GetResponseRange().Kvs, "no=1")
	f.put("flag", "1")
	r = f.txn(nil, []clientv3.Op{inner}, nil)
	equal(f, "inner succeeded", r.Responses[0].GetResponseTxn().Succeeded, true)
	equal(f, "keys", f.names(f.all().Kvs), "first flag no yes")
}

func txnNestedCompare(f *fixture) {
	r := f.txn(nil, []clientv3.Op{
		clientv3.OpPut(f.key("k"), "v"),
		clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.Version(f.key("k")), "=", 0)},
			[]clientv3.Op{clientv3.OpGet(f.key("k"))}, nil),
	}, nil)
	nested := r.Responses[1].GetResponseTxn()
	equal(f, "compared with the state before the txn", nested.Succeeded, true)
	f.wantPairs(nested.Responses[0].GetResponseRange().Kvs, "k=v")
}

func txnDeep(f *fixture) {
	operation := clientv3.OpPut(f.key("deepest"), "v")
	for range 127 {
		operation = clientv3.OpTxn(nil, []clientv3.Op{operation}, nil)
	}
	_, err := f.client.Do(f.ctx, operation)
	f.noError(err)
	f.wantPairs(f.all().Kvs, "deepest=v")
	for range 2 {
		operation = clientv3.OpTxn(nil, []clientv3.Op{operation}, nil)
	}
	_, err = f.client.Do(f.ctx, operation)
	f.wantError(err, rpctypes.ErrTooManyOps)
}

func txnTooMany(f *fixture) {
	operations := func(n int) (out []clientv3.Op) {
		for i := range n {
			out = append(out, clientv3.OpPut(f.key(fmt.Sprint(i)), "v"))
		}
		return out
	}
	f.txn(nil, operations(128), nil)
	_, err := f.client.Txn(f.ctx).Then(operations(129)...).Commit()
	f.wantError(err, rpctypes.ErrTooManyOps)
	_, err = f.client.Txn(f.ctx).Then(operations(1)...).Else(operations(129)...).Commit()
	f.wantError(err, rpctypes.ErrTooManyOps)
	var compares []clientv3.Cmp
	for range 129 {
		compares = append(compares, clientv3.Compare(clientv3.Version(f.key("0")), "=", 1))
	}
	_, err = f.client.Txn(f.ctx).If(compares...).Commit()
	f.wantError(err, rpctypes.ErrTooManyOps)
	equal(f, "keys", f.all().Count, 128)
}

func txnDuplicate(f *fixture) {
	key := f.key("k")
	put, remove := clientv3.OpPut(key, "v"), clientv3.OpDelete(f.key(""), clientv3.WithPrefix())
	for name, then := range map[string][]clientv3.Op{
		"put, put":           {put, put},
		"put, delete":        {put, remove},
		"delete, put":        {remove, put},
		"put, put in nested": {put, clientv3.OpTxn(nil, nil, []clientv3.Op{put})},
	} {
		_, err := f.client.Txn(f.ctx).Then(then...).Commit()
		if err == nil {
			f.Fatalf("%s: accepted", name)
		}
		f.wantError(err, rpctypes.ErrDuplicateKey)
	}
	f.txn(nil, []clientv3.Op{put}, []clientv3.Op{put})
	f.txn(nil, []clientv3.Op{remove, remove}, nil)
	f.txn(nil, []clientv3.Op{clientv3.OpTxn(nil, []clientv3.Op{put}, []clientv3.Op{put})}, nil)
}

func txnInvalid(f *fixture) {
	kv := f.rawKV()
	_, err := kv.Txn(f.ctx, &pb.TxnRequest{Success: []*pb.RequestOp{{}}})
	f.wantStatus(err, codes.InvalidArgument, "etcdserver: key not found")
	_, err = kv.Txn(f.ctx, &pb.TxnRequest{Compare: []*pb.Compare{{}}})
	f.wantStatus(err, codes.InvalidArgument, "etcdserver: key is not provided")
	_, err = f.client.Txn(f.ctx).Then(clientv3.OpPut("", "v")).Commit()
	f.wantError(err, rpctypes.ErrEmptyKey)
	_, err = f.client.Txn(f.ctx).Else(clientv3.OpDelete("")).Commit()
	f.wantError(err, rpctypes.ErrEmptyKey)
	_, err = f.client.Txn(f.ctx).Then(clientv3.OpPut(f.key("k"), "v", clientv3.WithIgnoreValue())).Commit()
	f.wantError(err, rpctypes.ErrValueProvided)
	_, err = f.client.Txn(f.ctx).Then(clientv3.OpPut(f.key("k"), "", clientv3.WithIgnoreValue())).Commit()
	f.wantError(err, rpctypes.ErrKeyNotFound)
	equal(f, "keys", f.all().Count, 0)
}

func txnAtomic(f *fixture) {
	before := f.put("k", "v").Header.Revision
	_, err := f.client.Txn(f.ctx).Then(
		clientv3.OpPut(f.key("first"), "v"),
		clientv3.OpDelete(f.key("k")),
		clientv3.OpPut(f.key("second"), "v", clientv3.WithLease(0x7777777777)),
	).Commit()
	f.wantError(err, rpctypes.ErrLeaseNotFound)
	got := f.all()
	f.wantPairs(got.Kvs, "k=v")
	equal(f, "revision", got.Header.Revision, before)
}

func txnPast(f *fixture) {
	old := f.put("k", "1").Header.Revision
	f.put("k", "2")
	r := f.txn(nil, []clientv3.Op{clientv3.OpGet(f.key("k"), clientv3.WithRev(old)), clientv3.OpPut(f.key("k"), "3"), clientv3.OpGet(f.key("k"))}, nil)
	f.wantPairs(r.Responses[0].GetResponseRange().Kvs, "k=1")
	f.wantPairs(r.Responses[2].GetResponseRange().Kvs, "k=3")
	_, err := f.client.Txn(f.ctx).Then(clientv3.OpGet(f.key("k"), clientv3.WithRev(r.Header.Revision+1)), clientv3.OpPut(f.key("k"), "4")).Commit()
	f.wantError(err, rpctypes.ErrFutureRev)
	f.wantPairs(f.all().Kvs, "k=3")
}
