package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
)

func TestKV(t *testing.T) {
	runCases(t, harness.Options{}, []testCase{
		{"put then get: value, revisions, version, header", putThenGet},
		{"a deleted key starts anew", deletedKeyStartsAnew},
		{"intervals: key, range, prefix, from key, everything, empty", intervals},
		{"limit and more", limitAndMore},
		{"paging through a range", paging},
		{"sort by every target in both orders", sorting},
		{"sort with limit cuts after sorting", sortWithLimit},
		{"count only", countOnly},
		{"keys only", keysOnly},
		{"every past revision is readable", pastRevisions},
		{"filters on mod and create revision", revisionFilters},
		{"serializable get", serializableGet},
		{"many gets at once get each its own key and revision", manyGetsAtOnce},
		{"get at a future revision", futureRevision},
		{"put with prev-kv", putPrevKV},
		{"put with ignore-value and ignore-lease", putIgnore},
		{"empty key", emptyKey},
		{"delete: counts, prev-kv, nothing to delete", deletes},
		{"binary keys and values", binaryKeys},
		{"values up to the request limit", largeValues},
		{"too large requests are typed errors", tooLarge},
		{"do: operations as values", doOperations},
		{"concurrent puts get distinct, dense revisions", concurrentPuts},
		{"namespace wrapper", namespaceWrapper},
		{"gzip compressor", gzipCompressor},
		{"has-leader metadata", hasLeader},
		{"a cancelled and an expired context", contexts},
		{"unknown method and service", unknownMethod},
		{"range stream: whole range, limit, count, revision", rangeStream},
		{"range stream: refused options", rangeStreamRefused},
		{"compaction: typed errors on both ends", compaction},
		{"compaction keeps what is visible", compactionKeeps},
	})
}

func putThenGet(f *fixture) {
	first := f.put("k", "v1")
	second := f.put("k", "v2")
	equal(f, "revision of the second put", second.Header.Revision, first.Header.Revision+1)
	if first.PrevKv != nil {
		f.Fatal("prev_kv without being asked for")
	}
	got := f.get("k")
	equal(f, "count", got.Count, 1)
	equal(f, "more", got.More, false)
	kv := got.Kvs[0]
	equal(f, "value", string(kv.Value), "v2")
	equal(f, "create revision", kv.CreateRevision, first.Header.Revision)
	equal(f, "mod revision", kv.ModRevision, second.Header.Revision)
	equal(f, "version", kv.Version, 2)
	equal(f, "lease", kv.Lease, 0)
	header := got.Header
	if header.ClusterId == 0 || header.MemberId == 0 || header.RaftTerm < 2 {
		f.Fatalf("header %v", header)
	}
	equal(f, "revision in the header", header.Revision, second.Header.Revision)
	absent := f.get("absent")
	equal(f, "count of an absent key", absent.Count, 0)
	equal(f, "keys of an absent key", len(absent.Kvs), 0)
}

func deletedKeyStartsAnew(f *fixture) {
	f.put("k", "1")
	f.put("k", "2")
	deleted := f.del("k")
	equal(f, "deleted", deleted.Deleted, 1)
	equal(f, "count after the delete", f.get("k").Count, 0)
	again := f.put("k", "3")
	kv := f.get("k").Kvs[0]
	equal(f, "version", kv.Version, 1)
	equal(f, "create revision", kv.CreateRevision, again.Header.Revision)
}

func intervals(f *fixture) {
	for _, name := range []string{"a", "a/1", "a/2", "a0", "b", "z"} {
		f.put(name, "x")
	}
	names := func(r *clientv3.GetResponse) string { return f.names(r.Kvs) }
	equal(f, "prefix", names(f.get("a/", clientv3.WithPrefix())), "a/1 a/2")
	equal(f, "range", names(f.get("a", clientv3.WithRange(f.key("a0")))), "a a/1 a/2")
	equal(f, "empty range", names(f.get("b", clientv3.WithRange(f.key("a")))), "")
	equal(f, "range of equal ends", names(f.get("b", clientv3.WithRange(f.key("b")))), "")
	equal(f, "whole prefix", names(f.all()), "a a/1 a/2 a0 b z")
	fromKey := f.get("b", clientv3.WithFromKey(), clientv3.WithLimit(2))
	equal(f, "from key", names(fromKey), "b z")
	everything, err := f.client.Get(f.ctx, "", clientv3.WithPrefix(), clientv3.WithCountOnly())
	f.noError(err)
	total, err := f.client.Get(f.ctx, "\x00", clientv3.WithFromKey(), clientv3.WithCountOnly())
	f.noError(err)
	equal(f, "everything", everything.Count, total.Count)
	for _, prefix := range []string{"\xff", "\xff\xff"} {
		_, err = f.client.Put(f.ctx, prefix+f.prefix, "top")
		f.noError(err)
		top, err := f.client.Get(f.ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		f.noError(err)
		equal(f, "keys under a prefix of 0xff", top.Count, 1)
		_, err = f.client.Delete(f.ctx, prefix+f.prefix)
		f.noError(err)
	}
}

func limitAndMore(f *fixture) {
	for i := range 5 {
		f.put(fmt.Sprint(i), "x")
	}
	for _, c := range []struct {
		limit int64
		keys  int
		more  bool
	}{{0, 5, false}, {1, 1, true}, {4, 4, true}, {5, 5, false}, {6, 5, false}, {-1, 5, false}} {
		got := f.all(clientv3.WithLimit(c.limit))
		equal(f, fmt.Sprintf("limit %d: keys", c.limit), len(got.Kvs), c.keys)
		equal(f, fmt.Sprintf("limit %d: more", c.limit), got.More, c.more)
		equal(f, fmt.Sprintf("limit %d: count", c.limit), got.Count, 5)
	}
}

func paging(f *fixture) {
	const keys = 257
	var operations []clientv3.Op
	for i := range keys {
		operations = append(operations, clientv3.OpPut(f.key(fmt.Sprintf("%04d", i)), fmt.Sprint(i)))
		if len(operations) == 100 || i == keys-1 {
			_, err := f.client.Txn(f.ctx).Then(operations...).Commit()
			f.noError(err)
			operations = nil
		}
	}
	end := clientv3.GetPrefixRangeEnd(f.prefix)
	from, seen, revision := f.prefix, 0, int64(0)
	for {
		page, err := f.client.Get(f.ctx, from, clientv3.WithRange(end), clientv3.WithLimit(10), clientv3.WithRev(revision))
		f.noError(err)
		if revision == 0 {
			revision = page.Header.Revision
			f.put("00001-not-in-this-read", "x")
		}
		equal(f, "count of what is left", page.Count, int64(keys-seen))
		for _, kv := range page.Kvs {
			equal(f, "key", string(kv.Key), f.key(fmt.Sprintf("%04d", seen)))
			seen++
		}
		if !page.More {
			break
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
	equal(f, "keys seen", seen, keys)
}

// sortable has distinct values in every field, in different orders.
func (f *fixture) sortable() {
	f.put("a", "v3")
	f.put("b", "v1")
	f.put("c", "v4")
	f.put("d", "v0")
	for name, times := range map[string]int{"d": 1, "a": 2, "c": 3} {
		value := string(f.get(name).Kvs[0].Value)
		for range times {
			f.put(name, value)
		}
	}
}

func sorting(f *fixture) {
	f.sortable()
	for target, less := range map[clientv3.SortTarget]func(a, b *mvccpb.KeyValue) bool{
		clientv3.SortByKey:            func(a, b *mvccpb.KeyValue) bool { return bytes.Compare(a.Key, b.Key) < 0 },
		clientv3.SortByVersion:        func(a, b *mvccpb.KeyValue) bool { return a.Version < b.Version },
		clientv3.SortByCreateRevision: func(a, b *mvccpb.KeyValue) bool { return a.CreateRevision < b.CreateRevision },
		clientv3.SortByModRevision:    func(a, b *mvccpb.KeyValue) bool { return a.ModRevision < b.ModRevision },
		clientv3.SortByValue:          func(a, b *mvccpb.KeyValue) bool { return bytes.Compare(a.Value, b.Value) < 0 },
	} {
		want := f.all().Kvs
		sort.Slice(want, func(i, j int) bool { return less(want[i], want[j]) })
		equal(f, fmt.Sprintf("target %d ascending", target), f.names(f.all(clientv3.WithSort(target, clientv3.SortAscend)).Kvs), f.names(want))
		equal(f, fmt.Sprintf("target %d none", target), f.names(f.all(clientv3.WithSort(target, clientv3.SortNone)).Kvs), f.names(want))
		slices.Reverse(want)
		equal(f, fmt.Sprintf("target %d descending", target), f.names(f.all(clientv3.WithSort(target, clientv3.SortDescend)).Kvs), f.names(want))
	}
	for _, request := range []*pb.RangeRequest{{SortOrder: 3}, {SortTarget: 5}, {SortOrder: -1}} {
		request.Key = []byte(f.prefix)
		_, err := f.rawKV().Range(f.ctx, request)
		f.wantStatus(err, codes.InvalidArgument, "etcdserver: invalid sort option")
		f.wantError(rpctypes.Error(err), rpctypes.ErrInvalidSortOption)
	}
}

func sortWithLimit(f *fixture) {
	f.sortable()
	got := f.all(clientv3.WithSort(clientv3.SortByVersion, clientv3.SortDescend), clientv3.WithLimit(2))
	equal(f, "keys", f.names(got.Kvs), "c a")
	equal(f, "more", got.More, true)
	equal(f, "count", got.Count, 4)
	last, err := f.client.Get(f.ctx, f.prefix, clientv3.WithLastKey()...)
	f.noError(err)
	equal(f, "last key", f.names(last.Kvs), "d")
	newest, err := f.client.Get(f.ctx, f.prefix, clientv3.WithLastRev()...)
	f.noError(err)
	equal(f, "newest change", len(newest.Kvs), 1)
	oldest, err := f.client.Get(f.ctx, f.prefix, clientv3.WithFirstCreate()...)
	f.noError(err)
	equal(f, "first created", f.names(oldest.Kvs), "a")
}

func countOnly(f *fixture) {
	f.sortable()
	got := f.all(clientv3.WithCountOnly(), clientv3.WithLimit(1))
	equal(f, "count", got.Count, 4)
	equal(f, "keys", len(got.Kvs), 0)
	equal(f, "more", got.More, false)
}

func keysOnly(f *fixture) {
	f.sortable()
	full := f.all()
	got := f.all(clientv3.WithKeysOnly())
	equal(f, "keys", len(got.Kvs), len(full.Kvs))
	for i, kv := range got.Kvs {
		equal(f, "value", len(kv.Value), 0)
		equal(f, "key", string(kv.Key), string(full.Kvs[i].Key))
		equal(f, "mod revision", kv.ModRevision, full.Kvs[i].ModRevision)
		equal(f, "create revision", kv.CreateRevision, full.Kvs[i].CreateRevision)
		equal(f, "version", kv.Version, full.Kvs[i].Version)
	}
	byValue := f.all(clientv3.WithKeysOnly(), clientv3.WithSort(clientv3.SortByValue, clientv3.SortAscend))
	equal(f, "keys only, by value", f.pairs(byValue.Kvs), "d= b= a= c=")
}

func pastRevisions(f *fixture) {
	states := map[int64]string{}
	note := func(revision int64) { states[revision] = f.pairs(f.all().Kvs) }
	for i := range 6 {
		note(f.put(fmt.Sprint(i%3), fmt.Sprint("v", i)).Header.Revision)
	}
	note(f.del("1").Header.Revision)
	note(f.put("1", "again").Header.Revision)
	note(f.del("", clientv3.WithPrefix()).Header.Revision)
	note(f.put("0", "last").Header.Revision)
	for revision, want := range states {
		got := f.all(clientv3.WithRev(revision))
		f.wantPairs(got.Kvs, want)
		for _, kv := range got.Kvs {
			if kv.ModRevision > revision || kv.CreateRevision > kv.ModRevision {
				f.Fatalf("revision %d shows %v", revision, kv)
			}
		}
		if got.Header.Revision <= revision && states[got.Header.Revision] != "0=last" {
			f.Fatalf("header revision %d of a read at %d", got.Header.Revision, revision)
		}
	}
	f.wantPairs(f.all(clientv3.WithRev(-3)).Kvs, "0=last")
}

func revisionFilters(f *fixture) {
	var revisions []int64
	for i := range 5 {
		revisions = append(revisions, f.put(fmt.Sprint(i), "x").Header.Revision)
	}
	touched := f.put("1", "y").Header.Revision
	for _, c := range []struct {
		option clientv3.OpOption
		want   string
	}{
		{clientv3.WithMinModRev(revisions[3]), "1 3 4"},
		{clientv3.WithMaxModRev(revisions[2]), "0 2"},
		{clientv3.WithMinModRev(touched), "1"},
		{clientv3.WithMinCreateRev(revisions[3]), "3 4"},
		{clientv3.WithMaxCreateRev(revisions[1]), "0 1"},
		{clientv3.WithMaxCreateRev(1), ""},
	} {
		got := f.all(c.option)
		equal(f, "keys", f.names(got.Kvs), c.want)
		equal(f, "count ignores filters", got.Count, 5)
	}
	both := f.all(clientv3.WithMinCreateRev(revisions[1]), clientv3.WithMaxModRev(revisions[3]), clientv3.WithLimit(1))
	equal(f, "both filters and a limit", f.names(both.Kvs), "2")
	equal(f, "more", both.More, true)
}

func serializableGet(f *fixture) {
	f.put("k", "v")
	f.wantPairs(f.get("k", clientv3.WithSerializable()).Kvs, "k=v")
}

func futureRevision(f *fixture) {
	revision := f.put("k", "v").Header.Revision
	_, err := f.client.Get(f.ctx, f.key("k"), clientv3.WithRev(revision+1))
	f.wantError(err, rpctypes.ErrFutureRev)
	if errors.Is(err, rpctypes.ErrCompacted) {
		f.Fatal("a future revision is not a compacted one")
	}
}

func putPrevKV(f *fixture) {
	if r := f.put("k", "1", clientv3.WithPrevKV()); r.PrevKv != nil {
		f.Fatalf("prev_kv of a new key: %v", r.PrevKv)
	}
	previous := f.get("k").Kvs[0]
	r := f.put("k", "2", clientv3.WithPrevKV())
	equal(f, "prev_kv", r.PrevKv.String(), previous.String())
}

func putIgnore(f *fixture) {
	lease, err := f.client.Grant(f.ctx, 600)
	f.noError(err)
	f.put("k", "v", clientv3.WithLease(lease.ID))
	f.put("k", "", clientv3.WithIgnoreValue(), clientv3.WithLease(lease.ID))
	kv := f.get("k").Kvs[0]
	equal(f, "value kept", string(kv.Value), "v")
	equal(f, "version", kv.Version, 2)
	f.put("k", "w", clientv3.WithIgnoreLease())
	kv = f.get("k").Kvs[0]
	equal(f, "lease kept", kv.Lease, int64(lease.ID))
	equal(f, "value", string(kv.Value), "w")
	f.put("k", "", clientv3.WithIgnoreValue())
	equal(f, "a put without lease detaches", f.get("k").Kvs[0].Lease, 0)
	_, err = f.client.Put(f.ctx, f.key("absent"), "", clientv3.WithIgnoreValue())
	f.wantError(err, rpctypes.ErrKeyNotFound)
	_, err = f.client.Put(f.ctx, f.key("absent"), "v", clientv3.WithIgnoreLease())
	f.wantError(err, rpctypes.ErrKeyNotFound)
	_, err = f.client.Put(f.ctx, f.key("k"), "v", clientv3.WithIgnoreValue())
	f.wantError(err, rpctypes.ErrValueProvided)
	_, err = f.client.Put(f.ctx, f.key("k"), "v", clientv3.WithIgnoreLease(), clientv3.WithLease(lease.ID))
	f.wantError(err, rpctypes.ErrLeaseProvided)
	_, err = f.client.Revoke(f.ctx, lease.ID)
	f.noError(err)
}

func emptyKey(f *fixture) {
	_, err := f.client.Put(f.ctx, "", "v")
	f.wantError(err, rpctypes.ErrEmptyKey)
	_, err = f.client.Get(f.ctx, "")
	f.wantError(err, rpctypes.ErrEmptyKey)
	_, err = f.client.Delete(f.ctx, "")
	f.wantError(err, rpctypes.ErrEmptyKey)
	f.put("k", "")
	equal(f, "an empty value", len(f.get("k").Kvs[0].Value), 0)
}

func deletes(f *fixture) {
	before := f.put("a", "1").Header.Revision
	nothing := f.del("absent")
	equal(f, "deleted", nothing.Deleted, 0)
	equal(f, "revision unchanged", nothing.Header.Revision, before)
	f.put("b", "2")
	f.put("c", "3")
	r := f.del("a", clientv3.WithRange(f.key("c")), clientv3.WithPrevKV())
	equal(f, "deleted", r.Deleted, 2)
	f.wantPairs(r.PrevKvs, "a=1 b=2")
	equal(f, "one revision for all", r.Header.Revision, before+3)
	f.put("d", "4")
	r = f.del("c", clientv3.WithFromKey(), clientv3.WithPrevKV())
	if r.Deleted < 2 {
		f.Fatalf("from key deleted %d", r.Deleted)
	}
	f.wantPairs(r.PrevKvs[:2], "c=3 d=4")
	r = f.del("", clientv3.WithPrefix())
	equal(f, "nothing is left", r.Deleted, 0)
}

func binaryKeys(f *fixture) {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	for _, name := range []string{string(all), "\x00", "\x00\x00", "\xff", "ключ", string([]byte{0xc3, 0x28})} {
		f.put(name, string(all))
		kvs := f.get(name).Kvs
		equal(f, "keys", len(kvs), 1)
		equal(f, "key", string(kvs[0].Key), f.key(name))
		if !bytes.Equal(kvs[0].Value, all) {
			f.Fatalf("value of %q differs", name)
		}
	}
	keys := f.all().Kvs
	if !slices.IsSortedFunc(keys, func(a, b *mvccpb.KeyValue) int { return bytes.Compare(a.Key, b.Key) }) {
		f.Fatal("keys are not in byte order")
	}
}

func largeValues(f *fixture) {
	for _, size := range []int{4096, 64 << 10, 1 << 20, 1<<20 + 500_000} {
		value := strings.Repeat("x", size-1) + "!"
		f.put("large", value)
		if got := f.get("large").Kvs[0].Value; string(got) != value {
			f.Fatalf("a value of %d bytes came back as %d bytes", size, len(got))
		}
	}
	// The answer may be much larger than any request.
	for i := range 6 {
		f.put(fmt.Sprint("many", i), strings.Repeat("y", 1<<20))
	}
	equal(f, "keys in one large answer", len(f.get("many", clientv3.WithPrefix()).Kvs), 6)
	f.del("", clientv3.WithPrefix())
}

func tooLarge(f *fixture) {
	_, err := f.client.Put(f.ctx, f.key("k"), strings.Repeat("x", 1572864))
	f.wantError(err, rpctypes.ErrRequestTooLarge)
	_, err = f.client.Txn(f.ctx).Then(clientv3.OpPut(f.key("k"), strings.Repeat("x", 1572864))).Commit()
	f.wantError(err, rpctypes.ErrRequestTooLarge)
	request := &pb.PutRequest{Key: []byte(f.key("k")), Value: bytes.Repeat([]byte("x"), 3<<20)}
	_, err = f.rawKV().Put(f.ctx, request)
	f.wantStatus(err, codes.ResourceExhausted,
		fmt.Sprintf("grpc: received message larger than max (%d vs. 2097152)", 3<<20+len(request.Key)+8-1))
	equal(f, "nothing was written", f.all().Count, 0)
}

func doOperations(f *fixture) {
	r, err := f.client.Do(f.ctx, clientv3.OpPut(f.key("k"), "v"))
	f.noError(err)
	revision := r.Put().Header.Revision
	r, err = f.client.Do(f.ctx, clientv3.OpGet(f.key("k")))
	f.noError(err)
	equal(f, "mod revision", r.Get().Kvs[0].ModRevision, revision)
	r, err = f.client.Do(f.ctx, clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpGet(f.key("k"))}, nil))
	f.noError(err)
	equal(f, "succeeded", r.Txn().Succeeded, true)
	r, err = f.client.Do(f.ctx, clientv3.OpDelete(f.key("k")))
	f.noError(err)
	equal(f, "deleted", r.Del().Deleted, 1)
}

func concurrentPuts(f *fixture) {
	const workers, each = 16, 25
	before := f.put("start", "").Header.Revision
	revisions := make(chan int64, workers*each)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range each {
				r, err := f.client.Put(f.ctx, f.key(fmt.Sprintf("%d/%d", w, i)), "v")
				if err != nil {
					f.Error(err)
					return
				}
				revisions <- r.Header.Revision
			}
		})
	}
	group.Wait()
	close(revisions)
	var sorted []int64
	for r := range revisions {
		sorted = append(sorted, r)
	}
	slices.Sort(sorted)
	equal(f, "puts", len(sorted), workers*each)
	for i, r := range sorted {
		equal(f, "revision", r, before+1+int64(i))
	}
	equal(f, "keys", f.all().Count, workers*each+1)
}

// Gets of one key that arrive together are read together; none may see another's.
func manyGetsAtOnce(f *fixture) {
	const keys, rounds, workers = 300, 40, 64
	name := func(i int) string { return f.key(fmt.Sprintf("%03d", i)) }
	value := func(i, version int) string {
		if i%3 == 0 { // so large that not all of what came together is read together
			return fmt.Sprintf("%d.%d/%s", i, version, strings.Repeat("large", 40_000))
		}
		return fmt.Sprintf("%d.%d", i, version)
	}
	first := make([]int64, keys)
	for version := 1; version <= 2; version++ {
		for i := range keys {
			r, err := f.client.Put(f.ctx, name(i), value(i, version))
			f.noError(err)
			if version == 1 {
				first[i] = r.Header.Revision
			}
		}
	}
	newest := f.put("last", "").Header.Revision
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for r := range rounds {
				i := (w*rounds + r*7) % keys
				options, want := []clientv3.OpOption{}, value(i, 2)
				if w%2 == 0 {
					options = append(options, clientv3.WithSerializable())
				}
				var wantError error
				switch r % 5 {
				case 0:
					options, want = append(options, clientv3.WithRev(first[i])), value(i, 1)
				case 1:
					options, want = append(options, clientv3.WithRev(first[i]-1)), ""
				case 2:
					options, wantError = append(options, clientv3.WithRev(newest+1000)), rpctypes.ErrFutureRev
				case 3:
					options, want = append(options, clientv3.WithKeysOnly()), ""
				}
				got, err := f.client.Get(f.ctx, name(i), options...)
				if wantError != nil {
					if !errors.Is(err, wantError) {
						f.Errorf("get at a future revision: %v", err)
					}
					continue
				}
				if err != nil {
					f.Error(err)
					return
				}
				there := r%5 != 1
				if got.Count != int64(len(got.Kvs)) || (len(got.Kvs) == 1) != there || got.Header.Revision < newest {
					f.Errorf("%s: %v", name(i), got)
				} else if there && (string(got.Kvs[0].Key) != name(i) || string(got.Kvs[0].Value) != want) {
					f.Errorf("%s: key %s, value of %d bytes", name(i), got.Kvs[0].Key, len(got.Kvs[0].Value))
				}
			}
		})
	}
	group.Wait()
}

func namespaceWrapper(f *fixture) {
	kv := namespace.NewKV(f.client.KV, f.prefix)
	_, err := kv.Put(f.ctx, "k", "v")
	f.noError(err)
	r, err := kv.Get(f.ctx, "", clientv3.WithPrefix())
	f.noError(err)
	equal(f, "key", string(r.Kvs[0].Key), "k")
	f.wantPairs(f.get("k").Kvs, "k=v")
}

func gzipCompressor(f *fixture) {
	client := f.server.Client(f.T, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	value := strings.Repeat("compressible ", 5000)
	_, err := client.Put(f.ctx, f.key("k"), value)
	f.noError(err)
	r, err := client.Get(f.ctx, f.key("k"))
	f.noError(err)
	equal(f, "value", string(r.Kvs[0].Value), value)
	plain := f.get("k")
	equal(f, "value without compressor", string(plain.Kvs[0].Value), value)
	// What is inside counts: a small message that unfolds beyond the limit is refused.
	_, err = pb.NewKVClient(f.conn).Put(f.ctx, &pb.PutRequest{Key: []byte(f.key("bomb")), Value: make([]byte, 3<<20)}, grpc.UseCompressor(gzip.Name))
	if rpctypes.ErrorDesc(err) == "" || err == nil {
		f.Fatalf("a message that unfolds to 3 MiB was accepted: %v", err)
	}
}

func hasLeader(f *fixture) {
	ctx := clientv3.WithRequireLeader(f.ctx)
	_, err := f.client.Put(ctx, f.key("k"), "v")
	f.noError(err)
	_, err = f.client.Get(ctx, f.key("k"))
	f.noError(err)
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	created := <-f.client.Watch(watch, f.key("k"), clientv3.WithCreatedNotify())
	f.noError(created.Err())
	equal(f, "created", created.Created, true)
}

func contexts(f *fixture) {
	cancelled, cancel := context.WithCancel(f.ctx)
	cancel()
	_, err := f.client.Get(cancelled, f.key("k"))
	f.wantError(err, context.Canceled)
	expired, cancel := context.WithDeadline(f.ctx, time.Now().Add(-time.Second))
	defer cancel()
	_, err = f.client.Get(expired, f.key("k"))
	f.wantError(err, context.DeadlineExceeded)
	f.put("k", "the connection still serves")
}

func unknownMethod(f *fixture) {
	var out pb.PutResponse
	err := f.conn.Invoke(f.ctx, "/etcdserverpb.KV/Nope", &pb.PutRequest{}, &out)
	f.wantStatus(err, codes.Unimplemented, "unknown method Nope for service etcdserverpb.KV")
	err = f.conn.Invoke(f.ctx, "/etcdserverpb.Nope/Nope", &pb.PutRequest{}, &out)
	f.wantStatus(err, codes.Unimplemented, "unknown service etcdserverpb.Nope")
}

func (f *fixture) stream(name string, options ...clientv3.OpOption) ([]clientv3.RangeStreamResponse, error) {
	f.Helper()
	chunks, err := f.client.GetStream(f.ctx, f.key(name), options...)
	f.noError(err)
	var all []clientv3.RangeStreamResponse
	for chunk := range chunks {
		if err := chunk.Err(); err != nil {
			return all, err
		}
		all = append(all, chunk)
	}
	return all, nil
}

func rangeStream(f *fixture) {
	var revision int64
	for i := range 60 {
		revision = f.put(fmt.Sprintf("%03d", i), strings.Repeat("x", i)).Header.Revision
	}
	check := func(what string, options ...clientv3.OpOption) {
		f.Helper()
		options = append(options, clientv3.WithPrefix())
		want := f.get("", options...)
		chunks, err := f.stream("", options...)
		f.noError(err)
		var kvs []*mvccpb.KeyValue
		for i, chunk := range chunks {
			kvs = append(kvs, chunk.Kvs...)
			equal(f, what+": only the last chunk has a header", chunk.Header != nil, i == len(chunks)-1)
		}
		last := chunks[len(chunks)-1]
		equal(f, what+": keys", f.pairs(kvs), f.pairs(want.Kvs))
		equal(f, what+": more", last.More, want.More)
		equal(f, what+": count", last.Count, want.Count)
		equal(f, what+": revision", last.Header.Revision, want.Header.Revision)
	}
	check("everything")
	check("limit", clientv3.WithLimit(25))
	check("limit 60", clientv3.WithLimit(60))
	check("count only", clientv3.WithCountOnly())
	check("keys only", clientv3.WithKeysOnly())
	check("past revision", clientv3.WithRev(revision-30))
	check("serializable", clientv3.WithSerializable())
	empty, err := f.stream("absent")
	f.noError(err)
	equal(f, "chunks of nothing", len(empty), 1)
	equal(f, "count of nothing", empty[0].Count, 0)
	merged, err := f.client.GetStream(f.ctx, f.prefix, clientv3.WithPrefix())
	f.noError(err)
	whole, err := clientv3.GetStreamToGetResponse(merged)
	f.noError(err)
	equal(f, "merged by the client", len(whole.Kvs), 60)
}

func rangeStreamRefused(f *fixture) {
	_, err := f.stream("", clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend))
	f.wantStatus(err, codes.Unimplemented, "RangeStream does not support custom sort orders")
	_, err = f.stream("", clientv3.WithPrefix(), clientv3.WithMinModRev(1))
	f.wantStatus(err, codes.Unimplemented, "RangeStream does not support revision filters")
	_, err = f.stream("", clientv3.WithPrefix(), clientv3.WithRev(1<<40))
	f.wantError(rpctypes.Error(err), rpctypes.ErrFutureRev)
	stream, err := f.rawKV().RangeStream(f.ctx, &pb.RangeRequest{})
	f.noError(err)
	_, err = stream.Recv()
	f.wantStatus(err, codes.InvalidArgument, "etcdserver: key is not provided")
}

func compaction(f *fixture) {
	f.put("k", "1")
	middle := f.put("k", "2").Header.Revision
	current := f.put("k", "3").Header.Revision
	_, err := f.client.Compact(f.ctx, current+1)
	f.wantError(err, rpctypes.ErrFutureRev)
	r, err := f.client.Compact(f.ctx, middle)
	f.noError(err)
	equal(f, "header revision", r.Header.Revision, current)
	for _, revision := range []int64{middle, middle - 1, 1, 0, -1} {
		_, err = f.client.Compact(f.ctx, revision)
		f.wantError(err, rpctypes.ErrCompacted)
	}
	_, err = f.client.Get(f.ctx, f.key("k"), clientv3.WithRev(middle-1))
	f.wantError(err, rpctypes.ErrCompacted)
	if errors.Is(err, rpctypes.ErrFutureRev) {
		f.Fatal("compacted matches future")
	}
	var typed rpctypes.EtcdError
	if !errors.As(err, &typed) || typed.Code() != codes.OutOfRange {
		f.Fatalf("%v is not an EtcdError with OutOfRange", err)
	}
	f.wantPairs(f.get("k", clientv3.WithRev(middle)).Kvs, "k=2")
	_, err = f.client.Txn(f.ctx).Then(clientv3.OpGet(f.key("k"), clientv3.WithRev(middle-1))).Commit()
	f.wantError(err, rpctypes.ErrCompacted)
}

func compactionKeeps(f *fixture) {
	f.put("stays", "old")
	f.put("gone", "x")
	f.del("gone")
	f.put("changes", "1")
	f.put("changes", "2")
	at := f.put("stays too", "y").Header.Revision
	f.put("changes", "3")
	before := f.pairs(f.all(clientv3.WithRev(at)).Kvs)
	f.compact(at)
	f.wantPairs(f.all(clientv3.WithRev(at)).Kvs, before)
	f.wantPairs(f.all().Kvs, "changes=3 stays=old stays too=y")
	equal(f, "version survives", f.get("changes").Kvs[0].Version, 3)
}
