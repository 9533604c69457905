// Package differential sends the same requests to the server under test and to a real etcd, and compares their answers.
//
// The requests come from a seed. What may differ is listed in normalise.go and nowhere else.
package differential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// Request is one call, as it goes to each side.
type Request struct {
	Method  string
	Message proto.Message
	Bytes   []byte // sent instead of Message if not nil: not a valid encoding of anything

	call func(ctx context.Context, conn *grpc.ClientConn) (proto.Message, error)
}

func (r Request) String() string {
	if r.Bytes != nil {
		return fmt.Sprintf("%s % x", r.Method, r.Bytes)
	}
	return r.Method + " " + shorten(prototext.MarshalOptions{Multiline: false}.Format(r.Message))
}

// Answer is what came back.
type Answer struct {
	Message proto.Message // nil if Err is not
	Err     error
	Took    time.Duration
}

func (a Answer) String() string {
	if a.Err != nil {
		s, _ := status.FromError(a.Err)
		return fmt.Sprintf("%v %q", s.Code(), s.Message())
	}
	return shorten(prototext.MarshalOptions{Multiline: false}.Format(a.Message))
}

func shorten(text string) string {
	if len(text) > 1500 {
		return text[:1000] + fmt.Sprintf(" … (%d characters) … ", len(text)-1300) + text[len(text)-300:]
	}
	return text
}

// Send performs the call on one side.
func (r Request) Send(ctx context.Context, conn *grpc.ClientConn) Answer {
	began := time.Now()
	message, err := r.call(ctx, conn)
	return Answer{Message: message, Err: err, Took: time.Since(began)}
}

func unary[Q, A proto.Message](method string, request Q, call func(*grpc.ClientConn) func(context.Context, Q, ...grpc.CallOption) (A, error)) Request {
	return Request{Method: method, Message: request, call: func(ctx context.Context, conn *grpc.ClientConn) (proto.Message, error) {
		answer, err := call(conn)(ctx, request)
		if err != nil {
			return nil, err
		}
		return answer, nil
	}}
}

func rangeCall(m *pb.RangeRequest) Request {
	return unary("Range", m, func(c *grpc.ClientConn) func(context.Context, *pb.RangeRequest, ...grpc.CallOption) (*pb.RangeResponse, error) {
		return pb.NewKVClient(c).Range
	})
}

func putCall(m *pb.PutRequest) Request {
	return unary("Put", m, func(c *grpc.ClientConn) func(context.Context, *pb.PutRequest, ...grpc.CallOption) (*pb.PutResponse, error) {
		return pb.NewKVClient(c).Put
	})
}

func deleteCall(m *pb.DeleteRangeRequest) Request {
	return unary("DeleteRange", m, func(c *grpc.ClientConn) func(context.Context, *pb.DeleteRangeRequest, ...grpc.CallOption) (*pb.DeleteRangeResponse, error) {
		return pb.NewKVClient(c).DeleteRange
	})
}

func txnCall(m *pb.TxnRequest) Request {
	return unary("Txn", m, func(c *grpc.ClientConn) func(context.Context, *pb.TxnRequest, ...grpc.CallOption) (*pb.TxnResponse, error) {
		return pb.NewKVClient(c).Txn
	})
}

func compactCall(m *pb.CompactionRequest) Request {
	return unary("Compact", m, func(c *grpc.ClientConn) func(context.Context, *pb.CompactionRequest, ...grpc.CallOption) (*pb.CompactionResponse, error) {
		return pb.NewKVClient(c).Compact
	})
}

func grantCall(m *pb.LeaseGrantRequest) Request {
	return unary("LeaseGrant", m, func(c *grpc.ClientConn) func(context.Context, *pb.LeaseGrantRequest, ...grpc.CallOption) (*pb.LeaseGrantResponse, error) {
		return pb.NewLeaseClient(c).LeaseGrant
	})
}

func revokeCall(m *pb.LeaseRevokeRequest) Request {
	return unary("LeaseRevoke", m, func(c *grpc.ClientConn) func(context.Context, *pb.LeaseRevokeRequest, ...grpc.CallOption) (*pb.LeaseRevokeResponse, error) {
		return pb.NewLeaseClient(c).LeaseRevoke
	})
}

func timeToLiveCall(m *pb.LeaseTimeToLiveRequest) Request {
	return unary("LeaseTimeToLive", m, func(c *grpc.ClientConn) func(context.Context, *pb.LeaseTimeToLiveRequest, ...grpc.CallOption) (*pb.LeaseTimeToLiveResponse, error) {
		return pb.NewLeaseClient(c).LeaseTimeToLive
	})
}

func leasesCall() Request {
	return unary("LeaseLeases", &pb.LeaseLeasesRequest{}, func(c *grpc.ClientConn) func(context.Context, *pb.LeaseLeasesRequest, ...grpc.CallOption) (*pb.LeaseLeasesResponse, error) {
		return pb.NewLeaseClient(c).LeaseLeases
	})
}

func hashKVCall(revision int64) Request {
	return unary("HashKV", &pb.HashKVRequest{Revision: revision}, func(c *grpc.ClientConn) func(context.Context, *pb.HashKVRequest, ...grpc.CallOption) (*pb.HashKVResponse, error) {
		return pb.NewMaintenanceClient(c).HashKV
	})
}

func statusCall() Request {
	return unary("Status", &pb.StatusRequest{}, func(c *grpc.ClientConn) func(context.Context, *pb.StatusRequest, ...grpc.CallOption) (*pb.StatusResponse, error) {
		return pb.NewMaintenanceClient(c).Status
	})
}

func alarmCall(m *pb.AlarmRequest) Request {
	return unary("Alarm", m, func(c *grpc.ClientConn) func(context.Context, *pb.AlarmRequest, ...grpc.CallOption) (*pb.AlarmResponse, error) {
		return pb.NewMaintenanceClient(c).Alarm
	})
}

func memberListCall(m *pb.MemberListRequest) Request {
	return unary("MemberList", m, func(c *grpc.ClientConn) func(context.Context, *pb.MemberListRequest, ...grpc.CallOption) (*pb.MemberListResponse, error) {
		return pb.NewClusterClient(c).MemberList
	})
}

// keepAliveCall sends the ids on one stream, closes it, and gives the answers as one list.
func keepAliveCall(ids []int64) Request {
	message := &pb.LeaseCheckpointRequest{} // only to print the ids; never sent
	for _, id := range ids {
		message.Checkpoints = append(message.Checkpoints, &pb.LeaseCheckpoint{ID: id})
	}
	return Request{Method: "LeaseKeepAlive", Message: message, call: func(ctx context.Context, conn *grpc.ClientConn) (proto.Message, error) {
		stream, err := pb.NewLeaseClient(conn).LeaseKeepAlive(ctx)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
				return nil, err
			}
		}
		if err := stream.CloseSend(); err != nil {
			return nil, err
		}
		all := &pb.LeaseCheckpointRequest{}
		for {
			answer, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return all, nil
			}
			if err != nil {
				return nil, err
			}
			all.Checkpoints = append(all.Checkpoints, &pb.LeaseCheckpoint{ID: answer.ID, Remaining_TTL: answer.TTL})
		}
	}}
}

// rangeStreamCall merges the chunks: where they are cut is the server's own business.
func rangeStreamCall(m *pb.RangeRequest) Request {
	return Request{Method: "RangeStream", Message: m, call: func(ctx context.Context, conn *grpc.ClientConn) (proto.Message, error) {
		stream, err := pb.NewKVClient(conn).RangeStream(ctx, m)
		if err != nil {
			return nil, err
		}
		all := &pb.RangeResponse{}
		for {
			chunk, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return all, nil
			}
			if err != nil {
				return nil, err
			}
			proto.Merge(all, chunk.RangeResponse)
		}
	}}
}

// watchCall creates one watcher and gives everything up to the present in one message: created, events, canceled.
// current is the store's revision, at which it stands still meanwhile.
func watchCall(m *pb.WatchCreateRequest, current int64) Request {
	return Request{Method: "Watch", Message: m, call: func(ctx context.Context, conn *grpc.ClientConn) (proto.Message, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := pb.NewWatchClient(conn).Watch(ctx)
		if err != nil {
			return nil, err
		}
		if err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: m}}); err != nil {
			return nil, err
		}
		all, err := stream.Recv()
		if err != nil || all.Canceled {
			return all, err
		}
		if m.StartRevision > current {
			// Progress is not answered before the start revision is reached; end it by cancelling.
			err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: all.WatchId}}})
			if err != nil {
				return nil, err
			}
		} else {
			// Progress is answered only while the watcher is synced, so ask until it is.
			go func() {
				for ctx.Err() == nil {
					if stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}) != nil {
						return
					}
					select {
					case <-ctx.Done():
					case <-time.After(20 * time.Millisecond):
					}
				}
			}()
		}
		for {
			r, err := stream.Recv()
			if err != nil {
				return nil, err
			}
			all.Events = append(all.Events, r.Events...)
			if r.Canceled {
				all.Canceled, all.CompactRevision, all.CancelReason = true, r.CompactRevision, r.CancelReason
				return all, nil
			}
			if r.WatchId == -1 && len(r.Events) == 0 {
				return all, nil
			}
		}
	}}
}

// garbageCall sends bytes that are no message.
func garbageCall(path string, garbage []byte) Request {
	return Request{Method: path, Bytes: garbage, call: func(ctx context.Context, conn *grpc.ClientConn) (proto.Message, error) {
		var out []byte
		return nil, conn.Invoke(ctx, path, garbage, &out, grpc.ForceCodec(bytesCodec{}))
	}}
}

// bytesCodec passes messages through as they are.
type bytesCodec struct{}

var _ encoding.Codec = bytesCodec{}

func (bytesCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }

func (bytesCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// Name makes grpc announce the content type of protocol buffers.
func (bytesCodec) Name() string { return "proto" }
