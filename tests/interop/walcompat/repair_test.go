package walcompat

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"etcdpp.test/interop/harness"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

const (
	segmentName  = "0000000000000000-0000000000000000.wal"
	sector       = 512
	crashClients = 8
	damagedBytes = 200 // of the log's end, each of which a crash may have torn
)

// What etcd's package does with a log, and what it reads.
type reading struct {
	repaired bool
	err      error
	entries  []*raftpb.Entry
}

// repairedByEtcd opens a log as etcd's server does: read it, repair it once if it ends within a frame, read it again.
func repairedByEtcd(dir string) (r reading) {
	lg := zap.NewNop()
	for {
		w, err := wal.Open(lg, dir, &walpb.Snapshot{Index: proto.Uint64(0), Term: proto.Uint64(0)})
		if err != nil {
			r.err = err
			return r
		}
		_, _, r.entries, r.err = w.ReadAll()
		w.Close()
		if r.err == nil || r.repaired || !errors.Is(r.err, io.ErrUnexpectedEOF) {
			return r
		}
		if !wal.Repair(lg, dir) {
			return r
		}
		r.repaired = true
	}
}

// frames are the offsets of all frames, and of what follows the last.
func frames(segment []byte) (offsets []int) {
	at := 0
	for at+8 <= len(segment) {
		word := binary.LittleEndian.Uint64(segment[at:])
		if word == 0 {
			break
		}
		offsets = append(offsets, at)
		at += 8 + int(word&(1<<56-1))
		if word>>63 == 1 {
			at += int(word >> 56 & 7)
		}
	}
	return append(offsets, at)
}

// verdict is what waldump says of one log.
type verdict struct {
	Log  string
	Code int    `json:"exit-code"`
	Last uint64 `json:"last-index"`
	Text string
}

func askWaldump(t *testing.T, paths []string) (said []verdict) {
	t.Helper()
	tool := os.Getenv("WALDUMP")
	if tool == "" {
		tool = filepath.Join(filepath.Dir(harness.Subject(t)), "waldump")
	}
	for some := range slices.Chunk(paths, 200) {
		output, err := exec.Command(tool, append([]string{"--verify", "-o", "json"}, some...)...).Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(output))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			v := verdict{Code: -1}
			if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			if v.Code >= 0 {
				said = append(said, v)
			}
		}
	}
	if len(said) != len(paths) {
		t.Fatalf("%d verdicts of %d logs", len(said), len(paths))
	}
	return said
}

// crashUnderLoad puts from many clients at once, kills the server in the midst of it, and returns the keys whose puts
// were acknowledged.
func crashUnderLoad(t *testing.T, server *harness.Server, round int) (acknowledged []string) {
	t.Helper()
	conn := server.Conn(t)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), harness.CallTimeout)
	defer cancel()
	var lock sync.Mutex
	var group sync.WaitGroup
	enough := make(chan struct{})
	for client := range crashClients {
		group.Go(func() {
			for n := 0; ; n++ {
				key := fmt.Sprintf("%d/%d/%d", round, client, n)
				_, err := pb.NewKVClient(conn).Put(ctx, &pb.PutRequest{Key: []byte(key), Value: bytes.Repeat([]byte{'v'}, n*37%900)})
				if err != nil {
					return
				}
				lock.Lock()
				acknowledged = append(acknowledged, key)
				if len(acknowledged) == 300 {
					close(enough)
				}
				lock.Unlock()
			}
		})
	}
	select {
	case <-enough:
	case <-ctx.Done():
		t.Error("300 puts were not acknowledged")
	}
	server.Kill()
	group.Wait()
	return acknowledged
}

// usedPart of a segment: without the zeros behind it.
func usedPart(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clip(content[:len(bytes.TrimRight(content, "\x00"))])
}

func logWith(t *testing.T, dir string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, segmentName), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestCrashedLog kills the subject under load again and again: etcd's package reads what is left, after a repair if need be,
// and finds every acknowledged put. Then the end of that log is torn in every way a loss of power could have torn it: etcd
// repairs exactly what waldump calls torn, both see the same entries, and what etcd has repaired is sound for us.
func TestCrashedLog(t *testing.T) {
	server := harness.New(t, harness.Subject(t), harness.Options{})
	file := filepath.Join(server.DataDir, "member", "wal", segmentName)
	var acknowledged []string
	for round := range int(harness.IntEnv(t, "WALCOMPAT_CRASHES", 3)) {
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged = append(acknowledged, crashUnderLoad(t, server, round)...)
		content := append(usedPart(t, file), make([]byte, 2*sector)...)
		r := repairedByEtcd(logWith(t, filepath.Join(t.TempDir(), "wal"), content))
		if r.err != nil {
			t.Fatalf("etcd refuses the log after crash %d: %v", round, r.err)
		}
		there := map[string]bool{}
		for _, entry := range r.entries {
			request := &pb.InternalRaftRequest{}
			if entry.GetType() == raftpb.EntryType_EntryNormal && proto.Unmarshal(entry.Data, request) == nil && request.Put != nil {
				there[string(request.Put.Key)] = true
			}
		}
		for _, key := range acknowledged {
			if !there[key] {
				t.Fatalf("the put of %s was acknowledged, and is not in the log that etcd reads after crash %d (repaired: %v)", key, round, r.repaired)
			}
		}
		t.Logf("crash %d: %d entries, %d puts acknowledged so far, repaired: %v", round, len(r.entries), len(acknowledged), r.repaired)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}

	content := usedPart(t, file)
	offsets := frames(append(slices.Clone(content), make([]byte, 16)...))
	end := offsets[len(offsets)-1]
	content = append(content, make([]byte, max(0, end-len(content)))...)
	var names, paths []string
	add := func(name string, content []byte) {
		names = append(names, name)
		paths = append(paths, filepath.Join(logWith(t, filepath.Join(t.TempDir(), "torn", fmt.Sprint(len(paths))), content), segmentName))
	}
	zeros := make([]byte, 4*sector)
	for at := end - damagedBytes; at < end; at++ {
		add(fmt.Sprintf("cut at %d", at), content[:at])
		add(fmt.Sprintf("zeros from %d", at), append(slices.Clone(content[:at]), zeros...))
		if at%sector == 0 {
			// Of what was written last, only this sector is missing.
			hole := append(slices.Clone(content), zeros...)
			copy(hole[at:at+sector], zeros)
			add(fmt.Sprintf("without the sector at %d", at), hole)
		}
	}
	began := time.Now()
	before := askWaldump(t, paths)
	counts := map[string]int{}
	for i, path := range paths {
		r := repairedByEtcd(filepath.Dir(path))
		last := uint64(0)
		if len(r.entries) > 0 {
			last = r.entries[len(r.entries)-1].GetIndex()
		}
		etcd := "reads it"
		switch {
		case r.err != nil:
			etcd = "refuses it"
		case r.repaired:
			etcd = "repairs it"
		}
		counts[etcd]++
		code := before[i].Code
		// 5: etcd reads it and loses what is behind the end.
		agree := etcd == "reads it" && (code == 0 || code == 5 || code == 4) || etcd == "repairs it" && code == 3 || etcd == "refuses it" && code == 4
		if code == 4 && etcd == "reads it" {
			// Refused for what is missing, which etcd does not look at.
			agree = bytes.Contains([]byte(before[i].Text), []byte("synced data is missing"))
		}
		if !agree || r.err == nil && before[i].Last != last {
			t.Errorf("%s: etcd %s (%v), last index %d; waldump: %+v", names[i], etcd, r.err, last, before[i])
		}
	}
	for i, v := range askWaldump(t, paths) {
		if before[i].Code == 3 && v.Code != 0 {
			t.Errorf("%s, repaired by etcd: waldump: %+v", names[i], v)
		}
	}
	t.Logf("%d torn logs in %v: etcd %v", len(paths), time.Since(began), counts)
	if counts["reads it"] == 0 || counts["repairs it"] == 0 {
		t.Error("too little was tried")
	}
}
