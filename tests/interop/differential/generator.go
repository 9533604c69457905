package differential

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Generator makes requests from a seed and from what the answers told it: the present revision and the compact revision.
type Generator struct {
	Revision  int64 // of the store
	Compacted int64 // compact revision, 0 before the first

	random  *rand.Rand
	prefix  string // of every key
	private bool   // other clients write too: nothing that depends on revisions or on other prefixes
	next    []Request
	count   int

	// Compactions that may still be running: a hash at their revision depends on how far they are.
	unsettled map[int64]bool
	running   bool

	// Revisions at which one txn deleted "everything from k" and put a key in there again. etcd accepts that (its check for
	// duplicate keys takes the end "\0" literally), but a compaction at just this revision drops the new row while the index
	// keeps it, and the next read of the key ends an etcd 3.7.1 with "range failed to find revision pair".
	traps map[int64]bool
}

// NewGenerator for one client that has the store to itself.
func NewGenerator(seed int64) *Generator {
	return &Generator{Revision: 1, random: rand.New(rand.NewPCG(uint64(seed), 0)), unsettled: map[int64]bool{}, traps: map[int64]bool{}}
}

// NewPrivateGenerator for one of several clients, each with its own prefix.
func NewPrivateGenerator(seed int64, prefix string) *Generator {
	g := NewGenerator(seed)
	g.prefix, g.private = prefix, true
	return g
}

// Learn takes from a pair of equal answers what later requests depend on.
func (g *Generator) Learn(request Request, answer Answer) {
	if answer.Err != nil {
		return
	}
	if m, ok := answer.Message.(interface{ GetHeader() *pb.ResponseHeader }); ok && m.GetHeader() != nil {
		g.Revision = max(g.Revision, m.GetHeader().Revision)
	}
	if t, ok := request.Message.(*pb.TxnRequest); ok && deletesFromKey(t) {
		g.traps[g.Revision] = true
	}
	if c, ok := request.Message.(*pb.CompactionRequest); ok {
		g.Compacted = c.Revision
		// Compactions run one after the other: a physical one that has answered has settled all before it. But its own
		// hash is kept only if the one before it had ended when it began.
		if !c.Physical {
			g.running = true
			g.unsettled[c.Revision] = true
		} else {
			if g.running {
				g.unsettled[c.Revision] = true
			}
			g.running = false
		}
	}
}

func deletesFromKey(t *pb.TxnRequest) bool {
	for _, operation := range slices.Concat(t.Success, t.Failure) {
		if d := operation.GetRequestDeleteRange(); d != nil && string(d.RangeEnd) == "\x00" {
			return true
		}
		if nested := operation.GetRequestTxn(); nested != nil && deletesFromKey(nested) {
			return true
		}
	}
	return false
}

func (g *Generator) chance(percent int) bool { return g.random.IntN(100) < percent }

func pick[T any](g *Generator, from ...T) T { return from[g.random.IntN(len(from))] }

// Next request.
func (g *Generator) Next() Request {
	g.count++
	if len(g.next) > 0 {
		request := g.next[0]
		g.next = g.next[1:]
		return request
	}
	request := g.choose()
	if request.Message != nil && g.chance(2) && request.Method != "LeaseKeepAlive" && request.Method != "Watch" {
		// A field of a future release: 999, length-delimited.
		request.Message.ProtoReflect().SetUnknown([]byte{0xba, 0x3e, 3, 'n', 'e', 'w'})
	}
	return request
}

func (g *Generator) choose() Request {
	if g.private {
		switch roll := g.random.IntN(100); {
		case roll < 30:
			return rangeCall(g.rangeRequest(false))
		case roll < 60:
			return putCall(g.put())
		case roll < 70:
			return deleteCall(g.deleteRange())
		default:
			return txnCall(g.txn(3))
		}
	}
	switch roll := g.random.IntN(1000); {
	case roll < 250:
		return rangeCall(g.rangeRequest(false))
	case roll < 280:
		return rangeStreamCall(g.streamRequest())
	case roll < 530:
		return putCall(g.put())
	case roll < 610:
		return deleteCall(g.deleteRange())
	case roll < 800:
		return txnCall(g.txn(3))
	case roll < 820:
		return txnCall(g.tower())
	case roll < 890:
		return g.lease()
	case roll < 905:
		return compactCall(&pb.CompactionRequest{Revision: g.compactRevision(), Physical: g.chance(60)})
	case roll < 925:
		return hashKVCall(g.hashRevision())
	case roll < 937:
		return watchCall(g.watch(), g.Revision)
	case roll < 945:
		return statusCall()
	case roll < 950:
		return memberListCall(&pb.MemberListRequest{Linearizable: g.chance(50)})
	case roll < 955:
		return alarmCall(&pb.AlarmRequest{Action: pb.AlarmRequest_GET, MemberID: uint64(g.random.IntN(3)), Alarm: pb.AlarmType(g.random.IntN(4))})
	default:
		return g.invalid()
	}
}

// key of a small space, so that requests meet; sometimes a strange one.
func (g *Generator) key() []byte {
	if g.chance(94) {
		key := g.prefix
		for range 1 + g.random.IntN(3) {
			key += pick(g, "a", "b", "c")
		}
		return []byte(key)
	}
	strange := []string{"a\x00", "\x01", "\x7f\x80", "\xfe\xff", "ä", "a/b"}
	if !g.private {
		strange = append(strange, "\x00", "\x00\x00", "\xff", "\xff\xff")
	}
	if g.chance(40) {
		// Longer than a database page's share for a key, in some databases.
		return append([]byte(g.prefix+"a"), bytes.Repeat([]byte(pick(g, "k", "l")), pick(g, 100, 495, 520, 2000, 5000))...)
	}
	return []byte(g.prefix + pick(g, strange...))
}

func (g *Generator) value() []byte {
	switch roll := g.random.IntN(100); {
	case roll < 40:
		return []byte(pick(g, "", "v", "w", "x"))
	case roll < 90:
		return []byte(fmt.Sprintf("value %d", g.random.IntN(1000)))
	case roll < 98:
		return bytes.Repeat([]byte{byte(g.random.IntN(256))}, g.random.IntN(600))
	default:
		return bytes.Repeat([]byte{byte(g.random.IntN(256))}, g.random.IntN(40_000))
	}
}

// prefixEnd of the generator's own keys.
func (g *Generator) prefixEnd() []byte {
	end := []byte(g.prefix)
	end[len(end)-1]++
	return end
}

// interval of keys: one, a prefix, a range (also an empty one), from a key, everything.
func (g *Generator) interval() (key, end []byte) {
	key = g.key()
	switch roll := g.random.IntN(100); {
	case roll < 40:
		return key, nil
	case roll < 60:
		end = bytes.Clone(key)
		end[len(end)-1]++ // 0xff wraps to 0: an empty range
		if g.private && len(key) <= len(g.prefix) {
			return key, nil
		}
		return key, end
	case roll < 80:
		return key, g.key()
	case g.private:
		return []byte(g.prefix), g.prefixEnd()
	case roll < 90:
		return key, []byte{0}
	case roll < 97:
		return []byte{0}, []byte{0}
	default:
		return key, key
	}
}

// revision of a read: mostly the present, else near the present or the compact revision, also out of range.
func (g *Generator) revision() int64 {
	if g.private {
		return 0
	}
	switch roll := g.random.IntN(100); {
	case roll < 55:
		return 0
	case roll < 85:
		low := max(g.Compacted, 1)
		return low + g.random.Int64N(g.Revision-low+1)
	case roll < 91:
		return g.Compacted + g.random.Int64N(3) - 1
	case roll < 97:
		return g.Revision + g.random.Int64N(3) - 1
	default:
		return pick(g, int64(-1), -2, 1, math.MaxInt64, math.MinInt64)
	}
}

func (g *Generator) bound() int64 {
	if g.private || g.chance(90) {
		return 0
	}
	return g.random.Int64N(g.Revision+3) - 1
}

func (g *Generator) rangeRequest(inTxn bool) *pb.RangeRequest {
	key, end := g.interval()
	m := &pb.RangeRequest{
		Key: key, RangeEnd: end, Revision: g.revision(),
		MinModRevision: g.bound(), MaxModRevision: g.bound(), MinCreateRevision: g.bound(), MaxCreateRevision: g.bound(),
		Serializable: g.chance(20), KeysOnly: g.chance(15), CountOnly: g.chance(15),
	}
	if inTxn && g.chance(80) {
		m.Revision = 0
	}
	if g.chance(40) {
		m.Limit = pick(g, int64(1), 2, 3, 5, 10, 100, -1)
	}
	if g.chance(40) {
		m.SortOrder = pick(g, pb.RangeRequest_NONE, pb.RangeRequest_ASCEND, pb.RangeRequest_DESCEND)
		m.SortTarget = pick(g, pb.RangeRequest_KEY, pb.RangeRequest_VERSION, pb.RangeRequest_CREATE, pb.RangeRequest_MOD, pb.RangeRequest_VALUE)
	}
	return m
}

func (g *Generator) streamRequest() *pb.RangeRequest {
	m := g.rangeRequest(false)
	if m.SortOrder == pb.RangeRequest_NONE {
		// Another target without an order loses and repeats keys in etcd 3.7.1: a defect that is not to be copied.
		m.SortTarget = pb.RangeRequest_KEY
	}
	return m
}

func (g *Generator) leaseID() int64 {
	if g.private {
		return 0
	}
	if g.chance(5) {
		return pick(g, int64(-1), math.MaxInt64, math.MinInt64, 1<<32)
	}
	return 1 + g.random.Int64N(25)
}

func (g *Generator) put() *pb.PutRequest {
	m := &pb.PutRequest{Key: g.key(), Value: g.value(), PrevKv: g.chance(25)}
	switch roll := g.random.IntN(100); {
	case roll < 20:
		m.Lease = g.leaseID()
	case roll < 26:
		m.IgnoreValue = true
		if g.chance(80) {
			m.Value = nil
		}
	case roll < 32:
		m.IgnoreLease = true
		if g.chance(10) {
			m.Lease = g.leaseID()
		}
	}
	return m
}

func (g *Generator) deleteRange() *pb.DeleteRangeRequest {
	m := &pb.DeleteRangeRequest{PrevKv: g.chance(40)}
	m.Key, m.RangeEnd = g.interval()
	if (bytes.Equal(m.RangeEnd, []byte{0}) || len(m.Key) < 2) && g.chance(80) {
		m.RangeEnd = nil // not everything too often
	}
	return m
}

func (g *Generator) compare() *pb.Compare {
	m := &pb.Compare{
		Key:    g.key(),
		Result: pick(g, pb.Compare_EQUAL, pb.Compare_GREATER, pb.Compare_LESS, pb.Compare_NOT_EQUAL),
	}
	if g.chance(25) {
		m.Key, m.RangeEnd = g.interval()
	}
	switch target := g.random.IntN(5); {
	case target == 0:
		m.Target, m.TargetUnion = pb.Compare_VERSION, &pb.Compare_Version{Version: g.random.Int64N(4)}
	case target == 1:
		m.Target, m.TargetUnion = pb.Compare_VALUE, &pb.Compare_Value{Value: g.value()}
	case target == 2:
		m.Target, m.TargetUnion = pb.Compare_LEASE, &pb.Compare_Lease{Lease: pick(g, 0, g.leaseID())}
	case target == 3:
		m.Target, m.TargetUnion = pb.Compare_CREATE, &pb.Compare_CreateRevision{CreateRevision: g.compareRevision()}
	default:
		m.Target, m.TargetUnion = pb.Compare_MOD, &pb.Compare_ModRevision{ModRevision: g.compareRevision()}
	}
	if g.chance(3) {
		m.TargetUnion = nil
	}
	return m
}

func (g *Generator) compareRevision() int64 {
	if g.private {
		return 0
	}
	return g.random.Int64N(g.Revision + 2)
}

func (g *Generator) operation(depth int) *pb.RequestOp {
	switch roll := g.random.IntN(100); {
	case roll < 35:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: g.rangeRequest(true)}}
	case roll < 70 || depth == 0 && roll < 85:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: g.put()}}
	case roll < 85 || depth == 0:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: g.deleteRange()}}
	default:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: g.txn(depth - 1)}}
	}
}

func (g *Generator) txn(depth int) *pb.TxnRequest {
	m := &pb.TxnRequest{}
	for range g.random.IntN(3) {
		m.Compare = append(m.Compare, g.compare())
	}
	for range g.random.IntN(4) {
		m.Success = append(m.Success, g.operation(depth))
	}
	for range g.random.IntN(3) {
		m.Failure = append(m.Failure, g.operation(depth))
	}
	return m
}

// tower is a txn in a txn …, up to the deepest that is allowed and one more.
func (g *Generator) tower() *pb.TxnRequest {
	depth := pick(g, 2, 10, 49, 50, 51, 99, 100, 126, 127, 128, 1+g.random.IntN(130))
	m := &pb.TxnRequest{Success: []*pb.RequestOp{g.operation(0)}, Failure: []*pb.RequestOp{g.operation(0)}}
	for range depth {
		m = &pb.TxnRequest{
			Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestTxn{RequestTxn: m}}},
		}
		if g.chance(10) {
			m.Compare = []*pb.Compare{g.compare()}
		}
		if g.chance(5) {
			m.Failure = []*pb.RequestOp{g.operation(0)}
		}
		if g.chance(3) {
			m.Failure, m.Success = m.Success, m.Failure
		}
	}
	return m
}

// lease requests; no lease is left that could expire during the run.
func (g *Generator) lease() Request {
	id := g.leaseID()
	switch roll := g.random.IntN(100); {
	case roll < 40:
		return grantCall(&pb.LeaseGrantRequest{ID: id, TTL: pick(g, int64(1000), 5000, 100_000, 9_000_000_000)})
	case roll < 45:
		// A TTL below the minimum is raised to it; taken back at once.
		const shortLived = 777
		g.next = append(g.next, timeToLiveCall(&pb.LeaseTimeToLiveRequest{ID: shortLived}), revokeCall(&pb.LeaseRevokeRequest{ID: shortLived}))
		return grantCall(&pb.LeaseGrantRequest{ID: shortLived, TTL: pick(g, int64(0), 1, -1, math.MinInt64)})
	case roll < 50:
		return grantCall(&pb.LeaseGrantRequest{ID: id, TTL: pick(g, int64(9_000_000_001), math.MaxInt64)})
	case roll < 70:
		return revokeCall(&pb.LeaseRevokeRequest{ID: pick(g, id, id, id, 0)})
	case roll < 85:
		return timeToLiveCall(&pb.LeaseTimeToLiveRequest{ID: id, Keys: g.chance(70)})
	case roll < 93:
		return keepAliveCall([]int64{id, g.leaseID(), 0, id})
	default:
		return leasesCall()
	}
}

func (g *Generator) compactRevision() int64 {
	if g.chance(75) {
		span := max(1, g.Revision-g.Compacted)
		if g.chance(85) {
			span = (span + 3) / 4 // most of the history stays
		}
		if revision := g.Compacted + 1 + g.random.Int64N(span); !g.traps[revision] {
			return revision
		}
	}
	return pick(g, g.Compacted, g.Compacted-1, 0, -1, g.Revision+1, math.MaxInt64)
}

func (g *Generator) hashRevision() int64 {
	for {
		revision := g.revision()
		if !g.unsettled[revision] && !(revision == 0 && g.unsettled[g.Revision]) {
			return revision
		}
		// The present is unsettled only until something is written; the revision before it will do.
		if revision == 0 {
			return g.Revision + 1
		}
	}
}

func (g *Generator) watch() *pb.WatchCreateRequest {
	m := &pb.WatchCreateRequest{PrevKv: g.chance(50), Fragment: g.chance(30), ProgressNotify: g.chance(20), StartRevision: g.revision()}
	m.Key, m.RangeEnd = g.interval()
	if g.chance(60) {
		m.StartRevision = max(g.Compacted, g.Revision-g.random.Int64N(100), 1)
	}
	if g.chance(5) {
		m.Key = nil
	}
	if g.chance(20) {
		m.WatchId = pick(g, int64(5), math.MaxInt64, -7)
	}
	for range g.random.IntN(3) {
		m.Filters = append(m.Filters, pick(g, pb.WatchCreateRequest_NOPUT, pb.WatchCreateRequest_NODELETE, 7))
	}
	return m
}

// invalid requests: each breaks one rule.
func (g *Generator) invalid() Request {
	nested := func(operation *pb.RequestOp) *pb.TxnRequest {
		m := &pb.TxnRequest{Success: []*pb.RequestOp{operation}}
		if g.chance(50) {
			m.Success, m.Failure = m.Failure, m.Success
		}
		for range g.random.IntN(3) {
			m = &pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestTxn{RequestTxn: m}}}}
		}
		return m
	}
	switch g.random.IntN(16) {
	case 0:
		return rangeCall(&pb.RangeRequest{})
	case 1:
		return putCall(&pb.PutRequest{Value: g.value()})
	case 2:
		return deleteCall(&pb.DeleteRangeRequest{RangeEnd: g.key()})
	case 3:
		m := g.rangeRequest(false)
		m.SortOrder = pick[pb.RangeRequest_SortOrder](g, 3, -1, math.MaxInt32)
		return pick(g, rangeCall, rangeStreamCall)(m)
	case 4:
		m := g.rangeRequest(false)
		m.SortTarget = pick[pb.RangeRequest_SortTarget](g, 5, -1, math.MinInt32)
		return rangeCall(m)
	case 5:
		return putCall(&pb.PutRequest{Key: g.key(), Value: []byte("v"), IgnoreValue: true, IgnoreLease: g.chance(50), Lease: g.leaseID()})
	case 6:
		return putCall(&pb.PutRequest{Key: g.key(), Lease: 424242})
	case 7:
		return txnCall(nested(&pb.RequestOp{}))
	case 8:
		return txnCall(nested(&pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{}}}))
	case 9:
		compare := g.compare()
		switch g.random.IntN(3) {
		case 0:
			compare.Key = nil
		case 1:
			compare.Target = 9
		default:
			compare.Result = 9
		}
		return txnCall(&pb.TxnRequest{Compare: []*pb.Compare{compare}, Success: []*pb.RequestOp{g.operation(0)}})
	case 10:
		m := &pb.TxnRequest{}
		for i := range pick(g, 127, 128, 129, 200) {
			m.Success = append(m.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: fmt.Appendf(nil, "many/%d", i)}}})
		}
		if g.chance(50) {
			m.Success, m.Failure = m.Failure, m.Success
		}
		return txnCall(m)
	case 11:
		// A key twice, directly or through a range or a nested txn.
		key := g.key()
		put := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: key}}}
		remove := &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: key, RangeEnd: pick(g, nil, []byte{0}, g.key())}}}
		other := pick(g, put, remove, &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: nested(put)}})
		return txnCall(&pb.TxnRequest{Success: []*pb.RequestOp{put, other}, Failure: []*pb.RequestOp{other, put}})
	case 12:
		return compactCall(&pb.CompactionRequest{Revision: pick(g, 0, -1, g.Compacted, g.Revision+1+g.random.Int64N(9), math.MinInt64)})
	case 13:
		return hashKVCall(pick(g, g.Revision+1, math.MaxInt64, max(g.Compacted-1, -1)))
	case 14:
		path := pick(g, "/etcdserverpb.KV/Range", "/etcdserverpb.KV/Put", "/etcdserverpb.KV/Txn", "/etcdserverpb.Lease/LeaseGrant", "/etcdserverpb.Maintenance/HashKV", "/etcdserverpb.KV/Nope", "/nope.Nope/Nope")
		return garbageCall(path, pick(g, []byte{0x0a, 0x7f, 'x'}, []byte{0x0a}, []byte{0x00, 0x01}, []byte{0x0f}, bytes.Repeat([]byte{0xff}, 20)))
	default:
		// Too large: for raft, or already for gRPC.
		size := pick(g, 1_572_864, 2_097_152, 2_200_000)
		return putCall(&pb.PutRequest{Key: g.key(), Value: make([]byte, size)})
	}
}
