package differential

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// What operators and their programs ask a member beside its data: the same questions to both sides, equal answers.

// page is an HTTP answer as far as a probe may look at it.
func page(t *testing.T, server *harness.Server, method, path string) string {
	t.Helper()
	request, err := http.NewRequest(method, server.ClientURL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: harness.CallTimeout}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	// The order of the checks is etcd's secret.
	lines := strings.SplitAfter(string(body), "\n")
	sort.Strings(lines)
	text := answer.Status + "\n"
	for _, name := range []string{"Content-Type", "X-Content-Type-Options", "Allow", "Content-Length", "Access-Control-Allow-Origin",
		"Access-Control-Allow-Methods", "Access-Control-Allow-Headers"} {
		text += name + ": " + answer.Header.Get(name) + "\n"
	}
	return text + strings.Join(lines, "")
}

func (p *pair) samePage(method, path string) {
	p.t.Helper()
	subject, reference := page(p.t, p.subject, method, path), page(p.t, p.reference, method, path)
	if subject != reference {
		p.t.Errorf("%s %s\netcd 3.7.1: %s\nsubject:    %s", method, path, reference, subject)
	}
}

func (p *pair) sameHealthPages() {
	p.t.Helper()
	for _, path := range []string{
		"/health", "/health?serializable=true", "/health?serializable=maybe", "/health?exclude=NOSPACE", "/health?exclude=CORRUPT&exclude=NOSPACE",
		"/livez", "/livez?verbose", "/livez?exclude=serializable_read", "/livez?verbose&exclude=serializable_read", "/livez/serializable_read",
		"/livez/serializable_read?verbose", "/livez/data_corruption", "/livez/",
		"/readyz", "/readyz?verbose", "/readyz?verbose=false", "/readyz?verbose&exclude=data_corruption", "/readyz?exclude=nothing&exclude=",
		"/readyz?exclude=data_corruption&exclude=serializable_read&exclude=linearizable_read&exclude=non_learner&verbose",
		"/readyz/data_corruption", "/readyz/serializable_read?verbose", "/readyz/linearizable_read", "/readyz/non_learner", "/readyz/nothing",
	} {
		p.samePage(http.MethodGet, path)
	}
}

func TestHealthPages(t *testing.T) {
	p := newPair(t, 1)
	p.sameHealthPages()
	for _, path := range []string{"/health", "/livez", "/readyz", "/readyz/non_learner", "/version"} {
		p.samePage(http.MethodPost, path)
		p.samePage(http.MethodDelete, path)
	}
	for _, alarm := range []pb.AlarmType{pb.AlarmType_CORRUPT, pb.AlarmType_NOSPACE} {
		p.ask("activate", alarmCall(&pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 77, Alarm: alarm}), nil)
		p.sameHealthPages()
		p.ask("disarm", alarmCall(&pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: 77, Alarm: alarm}), nil)
		p.samePage(http.MethodGet, "/readyz")
		p.samePage(http.MethodGet, "/health")
	}
}

// gRPC's own health service, by gRPC's own client.
func TestHealthService(t *testing.T) {
	p := newPair(t, 1)
	ask := func(conn *grpc.ClientConn) string {
		ctx, cancel := context.WithTimeout(context.Background(), harness.CallTimeout)
		defer cancel()
		client := health.NewHealthClient(conn)
		text := ""
		for _, service := range []string{"", "etcdserverpb.KV", "nobody"} {
			answer, err := client.Check(ctx, &health.HealthCheckRequest{Service: service})
			text += fmt.Sprintf("check %q: %v %v %q\n", service, answer.GetStatus(), status.Code(err), status.Convert(err).Message())
			stream, err := client.Watch(ctx, &health.HealthCheckRequest{Service: service})
			if err != nil {
				t.Fatal(err)
			}
			first, err := stream.Recv()
			text += fmt.Sprintf("watch %q: %v %v\n", service, first.GetStatus(), err)
		}
		list, err := client.List(ctx, &health.HealthListRequest{})
		return text + fmt.Sprintf("list: %v %v\n", list.GetStatuses(), err)
	}
	subject, reference := ask(p.subjectConn), ask(p.referenceConn)
	if strings.ReplaceAll(subject, "  ", " ") != strings.ReplaceAll(reference, "  ", " ") {
		t.Errorf("etcd 3.7.1:\n%s\nsubject:\n%s", reference, subject)
	}
}

// With the gate StopGRPCServiceOnDefrag a member that defragments says so to whoever balances the load.
func TestHealthDuringDefragment(t *testing.T) {
	flags := harness.Options{Flags: []string{"--feature-gates=StopGRPCServiceOnDefrag=true"}}
	server := harness.Start(t, harness.Subject(t), flags)
	conn := server.Conn(t)
	ctx, cancel := context.WithTimeout(context.Background(), harness.CallTimeout)
	defer cancel()
	stream, err := health.NewHealthClient(conn).Watch(ctx, &health.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want health.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if got, err := stream.Recv(); err != nil || got.Status != want {
			t.Fatalf("%v, %v, want %v", got, err, want)
		}
	}
	expect(health.HealthCheckResponse_SERVING)
	if _, err := pb.NewMaintenanceClient(conn).Defragment(ctx, &pb.DefragmentRequest{}); err != nil {
		t.Fatal(err)
	}
	// Whoever reads too slowly may miss that it was away, but not that it is back.
	got, err := stream.Recv()
	if err == nil && got.Status == health.HealthCheckResponse_NOT_SERVING {
		got, err = stream.Recv()
	}
	if err != nil || got.Status != health.HealthCheckResponse_SERVING {
		t.Fatalf("%v, %v", got, err)
	}
}

// everyKind is one request of each kind that an alarm may refuse.
func everyKind(lease int64) []Request {
	put := func(key string) *pb.RequestOp {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(key), Value: []byte("v")}}}
	}
	get := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("a")}}}
	erase := &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte("nothing")}}}
	return []Request{
		putCall(&pb.PutRequest{Key: []byte("a"), Value: []byte("value")}),
		rangeCall(&pb.RangeRequest{Key: []byte("a")}),
		rangeCall(&pb.RangeRequest{Key: []byte("a"), Serializable: true}),
		txnCall(&pb.TxnRequest{Success: []*pb.RequestOp{put("b")}}),
		txnCall(&pb.TxnRequest{Failure: []*pb.RequestOp{put("b")}}),
		txnCall(&pb.TxnRequest{Success: []*pb.RequestOp{get}}),
		txnCall(&pb.TxnRequest{Success: []*pb.RequestOp{get, erase}}),
		txnCall(&pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{Success: []*pb.RequestOp{put("c")}}}}}}),
		deleteCall(&pb.DeleteRangeRequest{Key: []byte("nothing")}),
		grantCall(&pb.LeaseGrantRequest{ID: lease, TTL: 100}),
		leasesCall(),
		revokeCall(&pb.LeaseRevokeRequest{ID: lease}),
		compactCall(&pb.CompactionRequest{Revision: 2, Physical: true}),
		hashKVCall(0),
		statusCall(),
		alarmCall(&pb.AlarmRequest{}),
		memberListCall(&pb.MemberListRequest{}),
	}
}

func TestAlarms(t *testing.T) {
	p := newPair(t, 1)
	lease := int64(1000)
	kinds := func(label string) {
		t.Helper()
		lease++
		for i, request := range everyKind(lease) {
			p.ask(fmt.Sprintf("%s, request %d", label, i), request, nil)
		}
	}
	alarm := func(action pb.AlarmRequest_AlarmAction, member uint64, kind pb.AlarmType) {
		t.Helper()
		p.ask(fmt.Sprintf("alarm %v %v", action, kind), alarmCall(&pb.AlarmRequest{Action: action, MemberID: member, Alarm: kind}), nil)
	}
	kinds("no alarm")
	alarm(pb.AlarmRequest_ACTIVATE, 7, pb.AlarmType_NOSPACE)
	alarm(pb.AlarmRequest_ACTIVATE, 7, pb.AlarmType_NOSPACE)
	alarm(pb.AlarmRequest_ACTIVATE, 8, pb.AlarmType_NONE)
	kinds("no space")
	alarm(pb.AlarmRequest_ACTIVATE, 9, pb.AlarmType_CORRUPT)
	for _, kind := range []pb.AlarmType{pb.AlarmType_NONE, pb.AlarmType_NOSPACE, pb.AlarmType_CORRUPT, 9} {
		alarm(pb.AlarmRequest_GET, 0, kind)
		alarm(pb.AlarmRequest_GET, 9, kind)
	}
	kinds("no space and corrupt")
	alarm(pb.AlarmRequest_DEACTIVATE, 8, pb.AlarmType_NOSPACE)
	alarm(pb.AlarmRequest_DEACTIVATE, 7, pb.AlarmType_CORRUPT)
	alarm(pb.AlarmRequest_DEACTIVATE, 7, pb.AlarmType_NOSPACE)
	kinds("corrupt")
	restart(t, p)
	kinds("corrupt, after a restart")
	alarm(pb.AlarmRequest_DEACTIVATE, 9, pb.AlarmType_CORRUPT)
	kinds("disarmed")
}

// restart ends both servers in order and starts them on their data.
func restart(t *testing.T, p *pair) {
	t.Helper()
	p.subjectConn.Close()
	p.referenceConn.Close()
	for _, server := range []*harness.Server{p.subject, p.reference} {
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	p.subjectConn, p.referenceConn = p.subject.Conn(t), p.reference.Conn(t)
}

// A quota that nothing fits into: refused before the log, alarm raised for the member itself, and again after it was disarmed.
func TestQuota(t *testing.T) {
	for _, quota := range []string{"1", "-1", "0", "9000000000"} {
		t.Run(quota, func(t *testing.T) {
			options := harness.Options{Flags: []string{"--quota-backend-bytes=" + quota}}
			p := &pair{t: t, seed: 1}
			p.subject, p.reference = harness.Start(t, harness.Subject(t), options), harness.Start(t, harness.Reference(t), options)
			p.subject.AwaitVersions(t)
			p.reference.AwaitVersions(t)
			p.subjectConn, p.referenceConn = p.subject.Conn(t), p.reference.Conn(t)
			for round := range 2 {
				for i, request := range everyKind(2000 + int64(round)) {
					p.ask(fmt.Sprintf("round %d, request %d", round, i), request, nil)
				}
				p.ask("list", alarmCall(&pb.AlarmRequest{}), nil)
				for _, conn := range []*grpc.ClientConn{p.subjectConn, p.referenceConn} {
					ctx, cancel := context.WithTimeout(context.Background(), harness.CallTimeout)
					client := pb.NewMaintenanceClient(conn)
					alarms, err := client.Alarm(ctx, &pb.AlarmRequest{})
					if err != nil {
						t.Fatal(err)
					}
					for _, alarm := range alarms.Alarms {
						if _, err := client.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: alarm.MemberID, Alarm: alarm.Alarm}); err != nil {
							t.Fatal(err)
						}
					}
					cancel()
				}
				p.ask("disarmed", statusCall(), nil)
			}
		})
	}
}

// HashKV at many revisions through compactions, a defragmentation and a restart; every compaction waits for its end, so that
// all of them are settled.
func TestHashesThroughCompactions(t *testing.T) {
	seed, count := seedAndCount(t)
	p := newPair(t, seed)
	random := rand.New(rand.NewPCG(uint64(seed), 99))
	revision, compacted := int64(1), int64(0)
	compared := 0
	hashes := func(label string) {
		revisions := []int64{0, revision, revision + 1, compacted, compacted - 1, compacted + 1}
		for range 8 {
			revisions = append(revisions, compacted+random.Int64N(revision-compacted+1))
		}
		for _, at := range slices.Compact(slices.Sorted(slices.Values(revisions))) {
			if at < 0 {
				continue
			}
			if answer, equal := p.ask(fmt.Sprintf("%s, hash at %d", label, at), hashKVCall(at), nil); equal && answer.Err == nil {
				compared++
			}
		}
	}
	defragment := func() {
		for _, conn := range []*grpc.ClientConn{p.subjectConn, p.referenceConn} {
			ctx, cancel := context.WithTimeout(context.Background(), harness.CallTimeout)
			if _, err := pb.NewMaintenanceClient(conn).Defragment(ctx, &pb.DefragmentRequest{}); err != nil {
				t.Error(err)
			}
			cancel()
		}
	}
	key := func() []byte { return fmt.Appendf(nil, "k%03d", random.IntN(200)) }
	rounds := 12
	for round := range rounds {
		for range int(count) / rounds / 4 {
			if p.tooMany() {
				return
			}
			request := putCall(&pb.PutRequest{Key: key(), Value: make([]byte, random.IntN(300))})
			switch random.IntN(6) {
			case 0:
				request = deleteCall(&pb.DeleteRangeRequest{Key: key()})
			case 1:
				from := key()
				request = deleteCall(&pb.DeleteRangeRequest{Key: from, RangeEnd: append(slices.Clone(from), 'x')})
			case 2:
				one, other := key(), key()
				if string(one) != string(other) {
					request = txnCall(&pb.TxnRequest{Success: []*pb.RequestOp{
						{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: one, Value: []byte("t")}}},
						{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: other}}},
					}})
				}
			}
			answer, _ := p.ask("write", request, nil)
			if answer.Err != nil {
				t.Fatal(answer.Err)
			}
			if header, ok := answer.Message.(interface{ GetHeader() *pb.ResponseHeader }); ok {
				revision = max(revision, header.GetHeader().GetRevision())
			}
		}
		hashes(fmt.Sprintf("round %d", round))
		at := compacted + 1 + random.Int64N(revision-compacted)
		p.ask("compaction", compactCall(&pb.CompactionRequest{Revision: at, Physical: true}), nil)
		compacted = at
		hashes(fmt.Sprintf("round %d, compacted", round))
		if round%4 == 1 {
			defragment()
			hashes(fmt.Sprintf("round %d, defragmented", round))
		}
		if round%4 == 3 {
			restart(t, p)
			hashes(fmt.Sprintf("round %d, restarted", round))
		}
	}
	t.Logf("seed %d: %d equal hashes up to revision %d, compacted to %d", seed, compared, revision, compacted)
	if compared < 100 {
		t.Errorf("%d equal hashes prove too little", compared)
	}
}

// History that is compacted by itself: a store that was written to for some seconds has forgotten its beginning.
func TestAutoCompaction(t *testing.T) {
	server := harness.Start(t, harness.Subject(t), harness.Options{Flags: []string{"--auto-compaction-mode=periodic", "--auto-compaction-retention=1s"}})
	client := server.Client(t)
	ctx := harness.Context(t)
	deadline := time.Now().Add(harness.CallTimeout)
	for {
		if _, err := client.Put(ctx, "k", "v"); err != nil {
			t.Fatal(err)
		}
		answer, err := client.HashKV(ctx, server.Endpoint(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if answer.CompactRevision > 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing was compacted within %v", harness.CallTimeout)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
