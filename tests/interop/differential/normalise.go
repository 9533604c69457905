package differential

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Equal compares the two answers to one request. It changes them: what may differ is made equal first.
//
// May differ: member and cluster id, raft term; the order among equal sort keys; the order of a lease's keys and of leases;
// a remaining TTL by two seconds; the order of alarms; sizes and raft indices in Status; ids and URLs in MemberList; the text (not the code) of the
// answer to bytes that are no message.
func Equal(request Request, subject, reference Answer) bool {
	if subject.Err != nil || reference.Err != nil {
		a, okA := status.FromError(subject.Err)
		b, okB := status.FromError(reference.Err)
		if request.Bytes != nil {
			return okA && okB && a.Code() == b.Code()
		}
		return okA && okB && a.Code() == b.Code() && a.Message() == b.Message()
	}
	if request.Bytes != nil {
		return true
	}
	if a, ok := subject.Message.(*pb.LeaseTimeToLiveResponse); ok {
		b := reference.Message.(*pb.LeaseTimeToLiveResponse)
		if difference := a.TTL - b.TTL; a.GrantedTTL > 0 && b.GrantedTTL > 0 && -2 <= difference && difference <= 2 {
			a.TTL = b.TTL
		}
	}
	normalise(request.Message, subject.Message)
	normalise(request.Message, reference.Message)
	return proto.Equal(subject.Message, reference.Message)
}

// ties puts keys that sort alike into one order.
func ties(request Request, answer Answer) {
	switch m := answer.Message.(type) {
	case *pb.RangeResponse:
		sortTies(request.Message.(*pb.RangeRequest), m)
	case *pb.TxnResponse:
		txnTies(request.Message.(*pb.TxnRequest), m)
	}
}

func normalise(request, answer proto.Message) {
	own := uint64(0)
	if headed, ok := answer.(interface{ GetHeader() *pb.ResponseHeader }); ok {
		own = headed.GetHeader().GetMemberId()
	}
	headers(answer.ProtoReflect())
	switch m := answer.(type) {
	case *pb.RangeResponse:
		sortTies(request.(*pb.RangeRequest), m)
	case *pb.TxnResponse:
		txnTies(request.(*pb.TxnRequest), m)
	case *pb.LeaseTimeToLiveResponse:
		slices.SortFunc(m.Keys, bytes.Compare)
	case *pb.LeaseLeasesResponse:
		slices.SortFunc(m.Leases, func(a, b *pb.LeaseStatus) int { return cmp.Compare(a.ID, b.ID) })
	case *pb.AlarmResponse:
		for _, alarm := range m.Alarms {
			if alarm.MemberID == own {
				alarm.MemberID = 1
			}
		}
		slices.SortFunc(m.Alarms, func(a, b *pb.AlarmMember) int {
			return cmp.Or(cmp.Compare(a.MemberID, b.MemberID), cmp.Compare(a.Alarm, b.Alarm))
		})
	case *pb.StatusResponse:
		// Go prints an alarm with one space or two.
		for i, text := range m.Errors {
			m.Errors[i] = strings.ReplaceAll(strings.ReplaceAll(text, "  ", " "), fmt.Sprint(own), "1")
		}
		slices.Sort(m.Errors)
		m.DbSize, m.DbSizeInUse, m.Leader, m.RaftIndex, m.RaftTerm, m.RaftAppliedIndex = 0, 0, 0, 0, 0, 0
	case *pb.MemberListResponse:
		for _, member := range m.Members {
			member.ID, member.PeerURLs, member.ClientURLs = 0, nil, nil
		}
	}
}

// headers clears what identifies the member in every header of the answer.
func headers(m protoreflect.Message) {
	if header, ok := m.Interface().(*pb.ResponseHeader); ok {
		header.ClusterId, header.MemberId, header.RaftTerm = 0, 0, 0
		return
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Kind() != protoreflect.MessageKind:
		case field.IsList():
			for i := range value.List().Len() {
				headers(value.List().Get(i).Message())
			}
		default:
			headers(value.Message())
		}
		return true
	})
}

func txnTies(request *pb.TxnRequest, answer *pb.TxnResponse) {
	operations := request.Failure
	if answer.Succeeded {
		operations = request.Success
	}
	for i, operation := range operations {
		if i >= len(answer.Responses) {
			return
		}
		if r := operation.GetRequestRange(); r != nil && answer.Responses[i].GetResponseRange() != nil {
			sortTies(r, answer.Responses[i].GetResponseRange())
		}
		if t := operation.GetRequestTxn(); t != nil && answer.Responses[i].GetResponseTxn() != nil {
			txnTies(t, answer.Responses[i].GetResponseTxn())
		}
	}
}

// sortTies orders keys with equal sort keys by key. Where a limit cut through such a run, which of it came is open too, so
// its keys are blanked.
func sortTies(request *pb.RangeRequest, answer *pb.RangeResponse) {
	if request.SortTarget == pb.RangeRequest_KEY || len(answer.Kvs) == 0 {
		return
	}
	same := func(a, b *mvccpb.KeyValue) bool {
		switch request.SortTarget {
		case pb.RangeRequest_VERSION:
			return a.Version == b.Version
		case pb.RangeRequest_CREATE:
			return a.CreateRevision == b.CreateRevision
		case pb.RangeRequest_MOD:
			return a.ModRevision == b.ModRevision
		default:
			// With keys_only the values, by which it was sorted, are not there: all keys may be ties.
			return request.KeysOnly || bytes.Equal(a.Value, b.Value)
		}
	}
	for from := 0; from < len(answer.Kvs); {
		to := from + 1
		for to < len(answer.Kvs) && same(answer.Kvs[from], answer.Kvs[to]) {
			to++
		}
		run := answer.Kvs[from:to]
		slices.SortFunc(run, func(a, b *mvccpb.KeyValue) int { return bytes.Compare(a.Key, b.Key) })
		if to == len(answer.Kvs) && answer.More {
			for i := range run {
				run[i] = &mvccpb.KeyValue{}
			}
		}
		from = to
	}
}

// renamer gives revisions names by first appearance, so that answers of two histories that interleave differently compare.
type renamer map[int64]int64

func (r renamer) name(revision int64) int64 {
	if revision == 0 {
		return 0
	}
	name, known := r[revision]
	if !known {
		name = int64(len(r) + 1)
		r[revision] = name
	}
	return name
}

// rename replaces the revisions of all keys in the answer and drops those of headers.
func (r renamer) rename(m protoreflect.Message) {
	switch m := m.Interface().(type) {
	case *pb.ResponseHeader:
		m.Revision = 0
		return
	case *mvccpb.KeyValue:
		m.CreateRevision, m.ModRevision = r.name(m.CreateRevision), r.name(m.ModRevision)
		return
	}
	// In field order, since the order of first appearance counts.
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Kind() != protoreflect.MessageKind || !m.Has(field) {
			continue
		}
		if !field.IsList() {
			r.rename(m.Get(field).Message())
			continue
		}
		for j := range m.Get(field).List().Len() {
			r.rename(m.Get(field).List().Get(j).Message())
		}
	}
}
