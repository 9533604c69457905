package walcompat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"etcdpp.test/interop/harness"
	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

func TestDataDirectory(t *testing.T) {
	ports := harness.FreePorts(t)
	// One after the other on the same ports: member and cluster id come from the URLs.
	reference := live(t, harness.Reference(t), ports)
	subject := live(t, harness.Subject(t), ports)
	t.Run("wal", func(t *testing.T) { compareWAL(t, subject, reference) })
	t.Run("buckets", func(t *testing.T) { compareBuckets(t, subject, reference) })
}

// log is what etcd's package reads.
type log struct {
	metadata  []byte
	state     *raftpb.HardState
	entries   []*raftpb.Entry
	snapshots []*walpb.Snapshot
	files     map[string]int64 // name → size
	head      []record         // of the first segment
}

func readLog(t *testing.T, dataDir string) *log {
	t.Helper()
	lg := zap.NewNop()
	dir := filepath.Join(dataDir, "member", "wal")
	l := &log{files: map[string]int64{}}
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "wal")
	if err := os.Mkdir(copied, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(dir, name.Name()))
		if err != nil {
			t.Fatal(err)
		}
		l.files[name.Name()] = int64(len(content))
		if len(l.head) == 0 {
			l.head = head(t, content, 3)
		}
		if err := os.WriteFile(filepath.Join(copied, name.Name()), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if l.snapshots, err = wal.ValidSnapshotEntries(lg, dir); err != nil {
		t.Fatalf("ValidSnapshotEntries: %v", err)
	}
	if len(l.snapshots) == 0 {
		t.Fatal("the log has no snapshot record")
	}
	first := l.snapshots[0]
	if _, err := wal.Verify(lg, dir, first); err != nil {
		t.Fatalf("Verify: %v", err)
	}
	w, err := wal.OpenForRead(lg, dir, first)
	if err != nil {
		t.Fatal(err)
	}
	l.metadata, l.state, l.entries, err = w.ReadAll()
	w.Close()
	if err != nil {
		t.Fatalf("ReadAll: %v", err)
	}
	// Open for writing is stricter about the end; it changes the files, so it gets the copy.
	writable, err := wal.Open(lg, copied, first)
	if err != nil {
		t.Fatal(err)
	}
	defer writable.Close()
	_, _, entries, err := writable.ReadAll()
	if err != nil {
		t.Fatalf("ReadAll of a log opened for writing: %v", err)
	}
	if len(entries) != len(l.entries) {
		t.Fatalf("%d entries for reading, %d for writing", len(l.entries), len(entries))
	}
	last := entries[len(entries)-1]
	err = writable.Save(&raftpb.HardState{Term: l.state.Term, Vote: l.state.Vote, Commit: l.state.Commit},
		[]*raftpb.Entry{{Term: last.Term, Index: proto.Uint64(last.GetIndex() + 1), Type: raftpb.EntryType_EntryNormal.Enum()}})
	if err != nil {
		t.Fatalf("etcd cannot append to the log: %v", err)
	}
	return l
}

// record of a segment, as far as its frame and its type.
type record struct {
	kind int64
	data []byte
}

// head reads the first records of a segment without etcd's package, which does not show them.
func head(t *testing.T, segment []byte, count int) (records []record) {
	t.Helper()
	for len(records) < count && len(segment) > 8 {
		frame := binary.LittleEndian.Uint64(segment)
		length, padding := frame&(1<<56-1), uint64(0)
		if frame>>63 == 1 {
			padding = frame >> 56 & 7
		}
		var r walpb.Record
		if err := proto.Unmarshal(segment[8:8+length], &r); err != nil {
			t.Fatal(err)
		}
		records = append(records, record{kind: r.GetType(), data: r.GetData()})
		segment = segment[8+length+padding:]
	}
	return records
}

func compareWAL(t *testing.T, subject, reference *member) {
	mine, theirs := readLog(t, subject.dataDir), readLog(t, reference.dataDir)
	if difference := cmp.Diff(theirs.files, mine.files); difference != "" {
		t.Errorf("files (- etcd, + subject):\n%s", difference)
	}
	if !slices.EqualFunc(mine.head, theirs.head, func(a, b record) bool { return a.kind == b.kind && bytes.Equal(a.data, b.data) }) {
		t.Errorf("the first records of the log:\nsubject:    %v\netcd 3.7.1: %v", mine.head, theirs.head)
	}
	if !bytes.Equal(mine.metadata, theirs.metadata) {
		t.Errorf("metadata: % x, etcd % x", mine.metadata, theirs.metadata)
	}
	if !proto.Equal(mine.state, theirs.state) {
		t.Errorf("hard state: %v, etcd %v", mine.state, theirs.state)
	}
	if a, b := fmt.Sprint(mine.snapshots), fmt.Sprint(theirs.snapshots); a != b {
		t.Errorf("snapshot records: %v, etcd %v", a, b)
	}
	if len(mine.entries) != len(theirs.entries) {
		t.Errorf("%d entries, etcd %d", len(mine.entries), len(theirs.entries))
	}
	myLeases, theirLeases := names(subject.leases), names(reference.leases)
	differences := 0
	for i := range min(len(mine.entries), len(theirs.entries)) {
		a, b := mine.entries[i], theirs.entries[i]
		x, y := decode(t, a, myLeases), decode(t, b, theirLeases)
		same := a.GetIndex() == b.GetIndex() && a.GetTerm() == b.GetTerm() && a.GetType() == b.GetType() &&
			// Ours always has its type, since etcd's own dump tool falls over without (docs/formats/wal.md).
			a.Type != nil && bytes.Equal(a.Data, nil) == bytes.Equal(b.Data, nil) && proto.Equal(x, y)
		if same {
			continue
		}
		if differences++; differences <= 5 {
			t.Errorf("entry %d:\nsubject:    index %d term %d %v %s\netcd 3.7.1: index %d term %d %v %s", i,
				a.GetIndex(), a.GetTerm(), a.Type, show(x), b.GetIndex(), b.GetTerm(), b.Type, show(y))
		}
	}
	if differences > 5 {
		t.Errorf("%d entries differ", differences)
	}
	t.Logf("%d entries in the log of etcd, %d in the subject's; hard state %v", len(theirs.entries), len(mine.entries), theirs.state)
}

// names gives ids that the server chose their place in the order of choosing.
func names(ids []int64) map[int64]int64 {
	byID := map[int64]int64{}
	for i, id := range ids {
		byID[id] = -1000 - int64(i)
	}
	return byID
}

func name(names map[int64]int64, id int64) int64 {
	if n, chosen := names[id]; chosen {
		return n
	}
	return id
}

// decode an entry and clear the ids that each server makes up.
func decode(t *testing.T, e *raftpb.Entry, leases map[int64]int64) proto.Message {
	t.Helper()
	if e.GetType() == raftpb.EntryType_EntryConfChange {
		change := &raftpb.ConfChange{}
		if err := proto.Unmarshal(e.Data, change); err != nil {
			t.Fatalf("conf change at index %d: %v", e.GetIndex(), err)
		}
		if change.Id != nil {
			change.Id = proto.Uint64(0)
		}
		return change
	}
	request := &pb.InternalRaftRequest{}
	if err := proto.Unmarshal(e.Data, request); err != nil {
		t.Fatalf("request at index %d: %v", e.GetIndex(), err)
	}
	if request.Header.GetID() != 0 {
		request.Header.ID = 1
	}
	if request.Put != nil {
		request.Put.Lease = name(leases, request.Put.Lease)
	}
	if request.LeaseGrant != nil {
		request.LeaseGrant.ID = name(leases, request.LeaseGrant.ID)
	}
	return request
}

func show(m proto.Message) string {
	text := prototext.MarshalOptions{}.Format(m)
	if len(text) > 1000 {
		text = text[:1000] + "…"
	}
	return text
}
