package differential

import (
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// What Equal lets pass, and what it does not.
func TestEqual(t *testing.T) {
	kv := func(key, value string, version int64) *mvccpb.KeyValue {
		return &mvccpb.KeyValue{Key: []byte(key), Value: []byte(value), Version: version}
	}
	answer := func(more bool, kvs ...*mvccpb.KeyValue) *pb.RangeResponse {
		return &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: 7}, More: more, Kvs: kvs}
	}
	byVersion := &pb.RangeRequest{SortTarget: pb.RangeRequest_VERSION}
	inTxn := func(r *pb.RangeRequest) *pb.TxnRequest {
		return &pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{RequestRange: r}}}}
	}
	fromTxn := func(r *pb.RangeResponse) *pb.TxnResponse {
		return &pb.TxnResponse{Succeeded: true, Responses: []*pb.ResponseOp{{Response: &pb.ResponseOp_ResponseRange{ResponseRange: r}}}}
	}
	failed := func(code codes.Code, text string) Answer { return Answer{Err: status.Error(code, text)} }
	ok := func(m proto.Message) Answer { return Answer{Message: m} }
	for _, c := range []struct {
		name    string
		request proto.Message
		a, b    Answer
		equal   bool
	}{
		{"same", &pb.RangeRequest{}, ok(answer(false, kv("a", "v", 1))), ok(answer(false, kv("a", "v", 1))), true},
		{"value", &pb.RangeRequest{}, ok(answer(false, kv("a", "v", 1))), ok(answer(false, kv("a", "w", 1))), false},
		{"more", &pb.RangeRequest{}, ok(answer(false, kv("a", "v", 1))), ok(answer(true, kv("a", "v", 1))), false},
		{"order", &pb.RangeRequest{}, ok(answer(false, kv("a", "v", 1), kv("b", "v", 1))), ok(answer(false, kv("b", "v", 1), kv("a", "v", 1))), false},
		{"order of ties", byVersion, ok(answer(false, kv("a", "v", 1), kv("b", "v", 1))), ok(answer(false, kv("b", "v", 1), kv("a", "v", 1))), true},
		{"order, no ties", byVersion, ok(answer(false, kv("a", "v", 1), kv("b", "v", 2))), ok(answer(false, kv("b", "v", 2), kv("a", "v", 1))), false},
		{"ties cut by a limit", byVersion, ok(answer(true, kv("a", "v", 1), kv("b", "v", 2))), ok(answer(true, kv("a", "v", 1), kv("c", "v", 2))), true},
		{"no ties cut", byVersion, ok(answer(true, kv("a", "v", 1), kv("b", "v", 2))), ok(answer(true, kv("x", "v", 1), kv("b", "v", 2))), false},
		{"ties in a txn", inTxn(byVersion), ok(fromTxn(answer(false, kv("a", "v", 1), kv("b", "v", 1)))), ok(fromTxn(answer(false, kv("b", "v", 1), kv("a", "v", 1)))), true},
		{"member id", &pb.PutRequest{}, ok(&pb.PutResponse{Header: &pb.ResponseHeader{MemberId: 1, Revision: 2}}), ok(&pb.PutResponse{Header: &pb.ResponseHeader{MemberId: 2, Revision: 2}}), true},
		{"revision", &pb.PutRequest{}, ok(&pb.PutResponse{Header: &pb.ResponseHeader{Revision: 1}}), ok(&pb.PutResponse{Header: &pb.ResponseHeader{Revision: 2}}), false},
		{"no header", &pb.PutRequest{}, ok(&pb.PutResponse{Header: &pb.ResponseHeader{}}), ok(&pb.PutResponse{}), false},
		{"error and none", &pb.PutRequest{}, failed(codes.NotFound, "x"), ok(&pb.PutResponse{}), false},
		{"code", &pb.PutRequest{}, failed(codes.NotFound, "x"), failed(codes.Unknown, "x"), false},
		{"text", &pb.PutRequest{}, failed(codes.NotFound, "x"), failed(codes.NotFound, "y"), false},
		{"TTL by two", &pb.LeaseTimeToLiveRequest{}, ok(&pb.LeaseTimeToLiveResponse{TTL: 10, GrantedTTL: 20}), ok(&pb.LeaseTimeToLiveResponse{TTL: 12, GrantedTTL: 20}), true},
		{"TTL by three", &pb.LeaseTimeToLiveRequest{}, ok(&pb.LeaseTimeToLiveResponse{TTL: 10, GrantedTTL: 20}), ok(&pb.LeaseTimeToLiveResponse{TTL: 13, GrantedTTL: 20}), false},
		{"hash", &pb.HashKVRequest{}, ok(&pb.HashKVResponse{Hash: 1}), ok(&pb.HashKVResponse{Hash: 2}), false},
	} {
		if got := Equal(Request{Message: c.request}, c.a, c.b); got != c.equal {
			t.Errorf("%s: equal is %v", c.name, got)
		}
	}
}
