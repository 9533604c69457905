package walcompat

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"etcdpp.test/interop/harness"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/lease/leasepb"
	"google.golang.org/protobuf/proto"
)

// rows of a database: bucket → key → value.
type rows map[string]map[string]string

func (r rows) add(bucket string, key, value []byte) {
	if r[bucket] == nil {
		r[bucket] = map[string]string{}
	}
	r[bucket][string(key)] = string(value)
}

func etcdRows(t *testing.T, file string) rows {
	t.Helper()
	db, err := bolt.Open(file, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := rows{}
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bolt.Bucket) error {
			all[string(name)] = map[string]string{}
			return bucket.ForEach(func(k, v []byte) error {
				all.add(string(name), k, v)
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// dumpedRows asks mvccdump, which prints {"bucket":"…","key":"<hex>","value":"<hex>"} for each row.
func dumpedRows(t *testing.T, tool, dataDir string) rows {
	t.Helper()
	var stderr bytes.Buffer
	command := exec.Command(tool, "buckets", "-o", "json", dataDir)
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, stderr.String())
	}
	all := rows{}
	lines := bufio.NewScanner(bytes.NewReader(output))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var row struct{ Bucket, Key, Value string }
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatalf("%s: %q: %v", tool, lines.Text(), err)
		}
		key, keyErr := hex.DecodeString(row.Key)
		value, valueErr := hex.DecodeString(row.Value)
		if keyErr != nil || valueErr != nil {
			t.Fatalf("%s: not hexadecimal: %q", tool, lines.Text())
		}
		if _, twice := all[row.Bucket][string(key)]; twice {
			t.Errorf("row %s %s is there twice", row.Bucket, row.Key)
		}
		all.add(row.Bucket, key, value)
	}
	return all
}

func readRows(t *testing.T, m *member) rows {
	t.Helper()
	if file := filepath.Join(m.dataDir, "member", "snap", "db"); exists(file) {
		return etcdRows(t, file)
	}
	tool := os.Getenv("MVCCDUMP")
	if tool == "" {
		tool = filepath.Join(filepath.Dir(harness.Subject(t)), "mvccdump")
	}
	if !exists(tool) {
		t.Skipf("SKIPPED: the rows of the subject's database were not compared, because %s does not exist (build mvccdump, or name it in MVCCDUMP)", tool)
	}
	return dumpedRows(t, tool, m.dataDir)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func compareBuckets(t *testing.T, subject, reference *member) {
	mine, theirs := readRows(t, subject), readRows(t, reference)
	mine.rename(t, subject.leases)
	theirs.rename(t, reference.leases)
	buckets := []string{"alarm", "auth", "authRoles", "authUsers", "cluster", "key", "lease", "members", "members_removed", "meta"}
	for bucket := range mine {
		if !slices.Contains(buckets, bucket) {
			t.Errorf("bucket %q is none of etcd's", bucket)
		}
	}
	total := 0
	for _, bucket := range buckets {
		if _, there := theirs[bucket]; !there {
			t.Errorf("etcd has no bucket %q: the list in this test is wrong", bucket)
		}
		total += len(theirs[bucket])
		differences := 0
		report := func(format string, args ...any) {
			if differences++; differences <= 5 {
				t.Errorf(format, args...)
			}
		}
		for key, value := range theirs[bucket] {
			got, there := mine[bucket][key]
			switch {
			case !there:
				report("%s: row %s is missing; etcd has %s", bucket, printable(key), printable(value))
			case got != value:
				report("%s: row %s:\nsubject:    %s\netcd 3.7.1: %s", bucket, printable(key), printable(got), printable(value))
			}
		}
		for key, value := range mine[bucket] {
			if _, there := theirs[bucket][key]; !there {
				report("%s: row %s with %s is not in etcd", bucket, printable(key), printable(value))
			}
		}
		if differences > 5 {
			t.Errorf("%s: %d rows differ", bucket, differences)
		}
	}
	t.Logf("%d rows in etcd's ten buckets, %d of them revisions", total, len(theirs["key"]))
	if len(theirs["key"]) < 50 || len(theirs["lease"]) == 0 {
		t.Error("the script leaves too little to compare")
	}
}

// rename replaces the lease ids that the server chose; all other bytes are compared as they are.
func (r rows) rename(t *testing.T, leases []int64) {
	t.Helper()
	byID := names(leases)
	for key, value := range r["key"] {
		kv := &mvccpb.KeyValue{}
		if err := proto.Unmarshal([]byte(value), kv); err != nil {
			t.Errorf("row %s: %v", printable(key), err)
			continue
		}
		if chosen, was := byID[kv.Lease]; was {
			kv.Lease = chosen
			r["key"][key] = encoded(t, kv)
		}
	}
	for id, chosen := range byID {
		key := string(binary.BigEndian.AppendUint64(nil, uint64(id)))
		value, there := r["lease"][key]
		if !there {
			continue
		}
		l := &leasepb.Lease{}
		if err := proto.Unmarshal([]byte(value), l); err != nil {
			t.Errorf("lease %x: %v", id, err)
			continue
		}
		if l.ID == id {
			l.ID = chosen
		}
		delete(r["lease"], key)
		r.add("lease", binary.BigEndian.AppendUint64(nil, uint64(chosen)), []byte(encoded(t, l)))
	}
}

func encoded(t *testing.T, m proto.Message) string {
	t.Helper()
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func printable(s string) string {
	text := fmt.Sprintf("%q", s)
	if len(text) > 300 {
		text = fmt.Sprintf("%s… (%d bytes)", text[:300], len(s))
	}
	return text
}
