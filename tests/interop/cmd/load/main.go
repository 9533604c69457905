// Load holds many watchers or leases on a server, for bench/side_by_side: it prints "ready" when they stand, then obeys one
// command a line on standard input and prints a JSON line for each; it ends with its input.
//
//	load -connect host:port -connections 10 -streams 100 -watchers 10000 [-key k | -distinct prefix] [-stall]
//	    put N     N puts to the key, each when all watchers have the one before: {"events", "seconds"}
//	    count     {"events"}
//	load -connect host:port -connections 10 -streams 100 -leases 1000000 -ttl 3600 [-attach prefix]
//	    renew N   N keep-alives over all leases: {"calls", "seconds"}
//	    await     waits until the attached keys are gone: when the first and the last went, in seconds since the last grant
//	load -connect host:port -connections 1
//	    snapshot  takes one and throws it away: {"bytes", "seconds"}
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

var (
	connect     = flag.String("connect", "127.0.0.1:2379", "")
	connections = flag.Int("connections", 10, "")
	streams     = flag.Int("streams", 100, "over all connections")
	watchers    = flag.Int("watchers", 0, "over all streams")
	key         = flag.String("key", "bench/one", "that all watchers watch")
	distinct    = flag.String("distinct", "", "watcher n watches this prefix and n in ten digits instead")
	stall       = flag.Bool("stall", false, "read nothing after the watchers stand")
	leases      = flag.Int("leases", 0, "")
	ttl         = flag.Int64("ttl", 3600, "")
	attach      = flag.String("attach", "", "a key of this prefix and ten digits on each lease")
)

// raw hands messages through as bytes: what a generator does with an event should cost little.
type raw struct{}

func (raw) Name() string { return "proto" }
func (raw) Marshal(v any) ([]byte, error) {
	if bytes, ok := v.(*[]byte); ok {
		return *bytes, nil
	}
	return proto.Marshal(v.(proto.Message))
}
func (raw) Unmarshal(data []byte, v any) error {
	if bytes, ok := v.(*[]byte); ok {
		*bytes = append((*bytes)[:0], data...)
		return nil
	}
	return proto.Unmarshal(data, v.(proto.Message))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func dial() (conns []*grpc.ClientConn) {
	for range *connections {
		conn, err := grpc.NewClient("passthrough:///"+*connect, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(1<<30)))
		check(err)
		conns = append(conns, conn)
	}
	return conns
}

// events counts field 11 of a WatchResponse.
func events(message []byte) (n int64) {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			log.Fatalf("not a message: %x", message)
		}
		if number == 11 {
			n++
		}
		skip := protowire.ConsumeFieldValue(number, kind, message[size:])
		if skip < 0 {
			log.Fatalf("not a message: %x", message)
		}
		message = message[size+skip:]
	}
	return n
}

var snapshot = grpc.StreamDesc{StreamName: "Snapshot", ServerStreams: true}
var watch = grpc.StreamDesc{StreamName: "Watch", ServerStreams: true, ClientStreams: true}

func watchAll(conns []*grpc.ClientConn) *atomic.Int64 {
	var received atomic.Int64
	var ready sync.WaitGroup
	for s := range *streams {
		mine := *watchers / *streams
		ready.Add(1)
		stream, err := conns[s%len(conns)].NewStream(context.Background(), &watch, "/etcdserverpb.Watch/Watch")
		check(err)
		go func() {
			for w := range mine {
				name := *key
				if *distinct != "" {
					name = fmt.Sprintf("%s%010d", *distinct, s*mine+w)
				}
				check(stream.SendMsg(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte(name)}}}))
			}
		}()
		go func() {
			var message []byte
			for range mine {
				check(stream.RecvMsg(&message))
			}
			ready.Done()
			for !*stall {
				if err := stream.RecvMsg(&message); err != nil {
					return
				}
				received.Add(events(message))
			}
		}()
	}
	ready.Wait()
	return &received
}

func grantAll(conns []*grpc.ClientConn) {
	var group sync.WaitGroup
	for s := range *streams {
		group.Add(1)
		go func() {
			defer group.Done()
			conn := conns[s%len(conns)]
			for n := s; n < *leases; n += *streams {
				_, err := pb.NewLeaseClient(conn).LeaseGrant(context.Background(), &pb.LeaseGrantRequest{ID: int64(n) + 1, TTL: *ttl})
				check(err)
				if *attach != "" {
					_, err = pb.NewKVClient(conn).Put(context.Background(), &pb.PutRequest{Key: fmt.Appendf(nil, "%s%010d", *attach, n), Lease: int64(n) + 1})
					check(err)
				}
			}
		}()
	}
	group.Wait()
}

func renew(conns []*grpc.ClientConn, calls int) {
	var group sync.WaitGroup
	for s := range *streams {
		group.Add(1)
		stream, err := pb.NewLeaseClient(conns[s%len(conns)]).LeaseKeepAlive(context.Background())
		check(err)
		go func() {
			defer group.Done()
			for n := s; n < calls; n += *streams {
				// Scattered over all leases, as those of many clients are.
				check(stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(uint64(n)*2654435761%uint64(*leases)) + 1}))
				r, err := stream.Recv()
				check(err)
				if r.TTL <= 0 {
					log.Fatalf("lease %d is gone", r.ID)
				}
			}
			check(stream.CloseSend())
		}()
	}
	group.Wait()
}

func main() {
	flag.Parse()
	conns := dial()
	var received *atomic.Int64
	deleted := make(chan time.Time, 1<<20)
	if *watchers > 0 {
		received = watchAll(conns)
	} else if *leases > 0 {
		if *attach != "" {
			stream, err := pb.NewWatchClient(conns[0]).Watch(context.Background())
			check(err)
			end := *attach + "\xff"
			check(stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
				Key: []byte(*attach), RangeEnd: []byte(end), Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NOPUT}}}}))
			go func() {
				for {
					r, err := stream.Recv()
					if err != nil {
						return
					}
					for range r.Events {
						deleted <- time.Now()
					}
				}
			}()
		}
		grantAll(conns)
	}
	granted := time.Now()
	fmt.Println("ready")
	answer := func(v map[string]any) { check(json.NewEncoder(os.Stdout).Encode(v)) }
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		number := 0
		if len(words) > 1 {
			number, _ = strconv.Atoi(words[1])
		}
		began := time.Now()
		switch words[0] {
		case "put":
			before := received.Load()
			for n := range number {
				_, err := pb.NewKVClient(conns[0]).Put(context.Background(), &pb.PutRequest{Key: []byte(*key), Value: []byte("0123456789abcdef")})
				check(err)
				for received.Load() < before+int64(n+1)*int64(*watchers) {
					time.Sleep(50 * time.Microsecond)
				}
			}
			answer(map[string]any{"events": received.Load() - before, "seconds": time.Since(began).Seconds()})
		case "snapshot":
			// Thrown away as it comes, and hashed as little as etcdctl does.
			stream, err := conns[0].NewStream(context.Background(), &snapshot, "/etcdserverpb.Maintenance/Snapshot")
			check(err)
			check(stream.SendMsg(&pb.SnapshotRequest{}))
			check(stream.CloseSend())
			bytes := 0
			var message []byte
			for err = stream.RecvMsg(&message); err == nil; err = stream.RecvMsg(&message) {
				bytes += len(message)
			}
			if err != io.EOF {
				log.Fatal(err)
			}
			answer(map[string]any{"bytes": bytes, "seconds": time.Since(began).Seconds()})
		case "count":
			answer(map[string]any{"events": received.Load()})
		case "renew":
			renew(conns, number)
			answer(map[string]any{"calls": number, "seconds": time.Since(began).Seconds()})
		case "await":
			first := (<-deleted).Sub(granted)
			last := first
			for range *leases - 1 {
				last = (<-deleted).Sub(granted)
			}
			answer(map[string]any{"first": first.Seconds(), "last": last.Seconds()})
		default:
			log.Fatalf("no command: %s", words[0])
		}
	}
}
