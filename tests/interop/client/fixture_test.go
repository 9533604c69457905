// Package client runs etcd's official Go client, release 3.7.1, against the server under test.
//
// Each Test… function starts a member and runs its cases one after the other; a case has a key prefix of its own.
package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fixture is what a case works with.
type fixture struct {
	*testing.T
	server *harness.Server
	client *clientv3.Client
	conn   *grpc.ClientConn // for the raw stubs
	prefix string
	ctx    context.Context
}

type testCase struct {
	name string
	run  func(f *fixture)
}

func runCases(t *testing.T, options harness.Options, cases []testCase) {
	server := harness.Start(t, harness.Subject(t), options)
	client := server.Client(t)
	conn := server.Conn(t)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.run(&fixture{T: t, server: server, client: client, conn: conn, prefix: fmt.Sprintf("c%02d/", i), ctx: harness.Context(t)})
		})
	}
	// etcd waits for open streams; none are left when it stops.
	client.Close()
	conn.Close()
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
}

func (f *fixture) key(name string) string { return f.prefix + name }

func (f *fixture) noError(err error) {
	f.Helper()
	if err != nil {
		f.Fatalf("unexpected error: %v", err)
	}
}

func (f *fixture) wantError(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Fatalf("error %v (%T), want %v", err, err, want)
	}
}

func (f *fixture) wantStatus(err error, code codes.Code, text string) {
	f.Helper()
	s, ok := status.FromError(err)
	if err == nil || !ok || s.Code() != code || s.Message() != text {
		f.Fatalf("error %v, want %v %q", err, code, text)
	}
}

func (f *fixture) put(name, value string, options ...clientv3.OpOption) *clientv3.PutResponse {
	f.Helper()
	r, err := f.client.Put(f.ctx, f.key(name), value, options...)
	f.noError(err)
	return r
}

func (f *fixture) get(name string, options ...clientv3.OpOption) *clientv3.GetResponse {
	f.Helper()
	r, err := f.client.Get(f.ctx, f.key(name), options...)
	f.noError(err)
	return r
}

func (f *fixture) del(name string, options ...clientv3.OpOption) *clientv3.DeleteResponse {
	f.Helper()
	r, err := f.client.Delete(f.ctx, f.key(name), options...)
	f.noError(err)
	return r
}

func (f *fixture) compact(revision int64) {
	f.Helper()
	_, err := f.client.Compact(f.ctx, revision, clientv3.WithCompactPhysical())
	f.noError(err)
}

// all of the case's keys.
func (f *fixture) all(options ...clientv3.OpOption) *clientv3.GetResponse {
	f.Helper()
	return f.get("", append([]clientv3.OpOption{clientv3.WithPrefix()}, options...)...)
}

// pairs shows keys (without the case's prefix) and values as "k=v k=v".
func (f *fixture) pairs(kvs []*mvccpb.KeyValue) string {
	var out []string
	for _, kv := range kvs {
		out = append(out, strings.TrimPrefix(string(kv.Key), f.prefix)+"="+string(kv.Value))
	}
	return strings.Join(out, " ")
}

func (f *fixture) names(kvs []*mvccpb.KeyValue) string {
	var out []string
	for _, kv := range kvs {
		out = append(out, strings.TrimPrefix(string(kv.Key), f.prefix))
	}
	return strings.Join(out, " ")
}

func (f *fixture) wantPairs(kvs []*mvccpb.KeyValue, want string) {
	f.Helper()
	if got := f.pairs(kvs); got != want {
		f.Fatalf("got %q, want %q", got, want)
	}
}

func equal[T comparable](f *fixture, what string, got, want T) {
	f.Helper()
	if got != want {
		f.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func equalSlices[T comparable](f *fixture, what string, got, want []T) {
	f.Helper()
	if !slices.Equal(got, want) {
		f.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func (f *fixture) rawKV() pb.KVClient { return pb.NewKVClient(f.conn) }
