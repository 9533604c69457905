package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// CallTimeout bounds each call of a test.
const CallTimeout = 15 * time.Second

// testTimeout ends a test of thousands of calls that hangs; a slow disk shared with other work must not.
const testTimeout = 3 * time.Minute

// Context of one test.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// Client opens etcd's official client on the server.
func (s *Server) Client(t testing.TB, dial ...grpc.DialOption) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints:          []string{s.Endpoint()},
		DialTimeout:        CallTimeout,
		DialOptions:        dial,
		MaxCallSendMsgSize: 64 << 20,
		Logger:             zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// Conn opens a plain gRPC connection on the server, for the generated stubs without the client library's retries.
func (s *Server) Conn(t testing.TB, dial ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+s.Endpoint(), append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(256<<20), grpc.MaxCallSendMsgSize(256<<20)),
	}, dial...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Versions is the answer of GET /version.
type Versions struct {
	Server  string `json:"etcdserver"`
	Cluster string `json:"etcdcluster"`
	Storage string `json:"storage"`
}

// Versions asks GET /version.
func (s *Server) Versions() (Versions, error) {
	var versions Versions
	client := http.Client{Timeout: CallTimeout}
	answer, err := client.Get(s.ClientURL + "/version")
	if err != nil {
		return versions, err
	}
	defer answer.Body.Close()
	return versions, json.NewDecoder(answer.Body).Decode(&versions)
}

// AwaitVersions waits until the member has settled its cluster version and its storage version (etcd looks every 4 seconds).
func (s *Server) AwaitVersions(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(CallTimeout)
	for {
		versions, err := s.Versions()
		if err == nil && versions.Cluster == "3.7.0" && versions.Storage == "3.7.0" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the versions are not settled after %v: %+v, %v", CallTimeout, versions, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// IntEnv reads a number from the environment.
func IntEnv(t testing.TB, name string, otherwise int64) int64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	number, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", name, err))
	}
	return number
}
