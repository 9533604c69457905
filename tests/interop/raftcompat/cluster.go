// Package raftcompat lets etcd's own raft library run our transcripts, and ours run random ones that etcd's wrote: what
// both clusters print must be the same, to the byte.
package raftcompat

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/cockroachdb/datadriven"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/rafttest"
)

// cluster is etcd-raft's test cluster with the commands and options that our transcripts have beyond the format:
// libs/raft/transcripts/README.md.
type cluster struct {
	*rafttest.InteractionEnv
	t *testing.T
	// options of the add-nodes that is running
	options map[string]string
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t}
	c.InteractionEnv = rafttest.NewInteractionEnv(&rafttest.InteractionOpts{
		OnConfig: c.configure,
		// The library offers this to its own tests only.
		SetRandomizedElectionTimeout: func(node *raft.RawNode, timeout int) {
			field := reflect.ValueOf(node).Elem().FieldByName("raft").Elem().FieldByName("randomizedElectionTimeout")
			*(*int)(unsafe.Pointer(field.UnsafeAddr())) = timeout
		},
	})
	return c
}

func (c *cluster) configure(cfg *raft.Config) {
	for key, value := range c.options {
		number, _ := strconv.ParseUint(value, 10, 64)
		switch key {
		case "inflight-bytes":
			cfg.MaxInflightBytes = number
		case "max-size-per-msg":
			cfg.MaxSizePerMsg = number
		case "max-uncommitted-size":
			cfg.MaxUncommittedEntriesSize = number
		case "disable-proposal-forwarding":
			cfg.DisableProposalForwarding = value == "true"
		}
	}
}

// run is one command's output; a panic of the library is one in the caller.
func (c *cluster) run(d datadriven.TestData) string {
	switch d.Cmd {
	case "read-index", "report-snapshot", "restart", "step":
		c.Output.Reset()
		c.extra(d)
		if c.Output.Len() == 0 {
			return "ok"
		}
		return c.Output.String()
	case "add-nodes":
		c.options = map[string]string{}
		for _, arg := range d.CmdArgs {
			if len(arg.Vals) == 1 {
				c.options[arg.Key] = arg.Vals[0]
			}
		}
	}
	return c.Handle(c.t, d)
}

func (c *cluster) extra(d datadriven.TestData) {
	id, err := strconv.Atoi(d.CmdArgs[0].Key)
	if err != nil {
		c.t.Fatal(err)
	}
	node := &c.Nodes[id-1]
	switch d.Cmd {
	case "read-index":
		node.ReadIndex([]byte(d.CmdArgs[1].Key))
	case "report-snapshot":
		status := raft.SnapshotFinish
		peer := uint64(0)
		for _, arg := range d.CmdArgs[1:] {
			if arg.Key == "sent" && arg.Vals[0] == "false" {
				status = raft.SnapshotFailure
			} else if len(arg.Vals) == 0 {
				peer, _ = strconv.ParseUint(arg.Key, 10, 64)
			}
		}
		node.ReportSnapshot(peer, status)
	case "restart":
		c.restart(uint64(id))
	case "step":
		if err := node.Step(c.message(uint64(id), d)); err != nil {
			c.Output.WriteString(err.Error())
		}
	}
}

// message is the one that a step command describes.
func (c *cluster) message(to uint64, d datadriven.TestData) *pb.Message {
	m := &pb.Message{Type: pb.MessageType(pb.MessageType_value[d.CmdArgs[1].Key]).Enum(), To: &to}
	metadata := &pb.SnapshotMetadata{ConfState: &pb.ConfState{}}
	for _, arg := range d.CmdArgs[2:] {
		for _, text := range arg.Vals {
			number, _ := strconv.ParseUint(text, 10, 64)
			switch arg.Key {
			case "from":
				m.From = &number
			case "term":
				m.Term = &number
			case "log-term":
				m.LogTerm = &number
			case "index":
				m.Index = &number
			case "commit":
				m.Commit = &number
			case "reject":
				rejected := text == "true"
				m.Reject = &rejected
			case "hint":
				m.RejectHint = &number
			case "context":
				m.Context = []byte(text)
			case "snapshot-index":
				metadata.Index = &number
			case "snapshot-term":
				metadata.Term = &number
			case "voters":
				metadata.ConfState.Voters = append(metadata.ConfState.Voters, number)
			}
		}
	}
	if metadata.Index != nil {
		m.Snapshot = &pb.Snapshot{Metadata: metadata}
	}
	for _, line := range strings.Split(d.Input, "\n") {
		var term, index uint64
		var data string
		if n, _ := fmt.Sscanf(line, "%d/%d %s", &term, &index, &data); n == 3 {
			m.Entries = append(m.Entries, &pb.Entry{Term: &term, Index: &index, Data: []byte(data)})
		}
	}
	return m
}

// storageWithConfState says at a restart which configuration the application has applied; the storage in memory knows
// only that of its snapshot.
type storageWithConfState struct {
	raft.Storage
	state *pb.ConfState
}

func (s storageWithConfState) InitialState() (*pb.HardState, *pb.ConfState, error) {
	hard, _, err := s.Storage.InitialState()
	return hard, s.state, err
}

func (c *cluster) restart(id uint64) {
	node := &c.Nodes[id-1]
	node.AppendWork, node.ApplyWork = nil, nil
	var kept []*pb.Message
	for _, m := range c.Messages {
		local := m.GetFrom() == m.GetTo() || raft.IsLocalMsgTarget(m.GetFrom()) || raft.IsLocalMsgTarget(m.GetTo())
		if !local || (m.GetFrom() != id && m.GetTo() != id) {
			kept = append(kept, m)
		}
	}
	c.Messages = kept
	first, err := node.Storage.FirstIndex()
	if err != nil {
		c.t.Fatal(err)
	}
	_, state, err := node.Storage.InitialState()
	if err != nil {
		c.t.Fatal(err)
	}
	// The storage's snapshot, or what was applied since; without a snapshot of its own a node's history begins empty.
	applied := node.History[len(node.History)-1].GetMetadata()
	if applied.GetIndex() >= first && len(applied.GetConfState().GetVoters()) > 0 {
		state = applied.GetConfState()
	}
	cfg := *node.Config
	cfg.Applied = max(applied.GetIndex(), first-1)
	cfg.Storage = storageWithConfState{node.Storage, state}
	raw, err := raft.NewRawNode(&cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	node.RawNode, node.Config = raw, &cfg
}

// stabilize is the command of that name with a bound: two followers that take each other for the leader would hand a
// proposal to and fro for ever.
func (c *cluster) stabilize(ids []int) string {
	c.Output.Reset()
	for round := 0; ; round++ {
		if round == 200 {
			panic("stabilize does not come to an end")
		}
		busy := false
		each := func(what string, has func(int) bool, do func(int) error) {
			for _, id := range ids {
				if !has(id) {
					continue
				}
				busy = true
				fmt.Fprintf(c.Output, "> %d %s\n", id, what)
				for again := true; again; again = strings.HasPrefix(what, "processing") && has(id) {
					outer := c.Output.Builder
					c.Output.Builder = &strings.Builder{}
					err := do(id - 1)
					inner := c.Output.Builder.String()
					c.Output.Builder = outer
					for _, line := range strings.Split(strings.TrimSuffix(inner, "\n"), "\n") {
						if inner != "" {
							fmt.Fprintf(c.Output, "  %s\n", line)
						}
					}
					if err != nil {
						panic(err)
					}
				}
			}
		}
		each("handling Ready", func(id int) bool { return c.Nodes[id-1].HasReady() }, c.ProcessReady)
		each("receiving messages", func(id int) bool {
			for _, m := range c.Messages {
				if m.GetTo() == uint64(id) {
					return true
				}
			}
			return false
		}, func(idx int) error {
			c.DeliverMsgs(-1, rafttest.Recipient{ID: uint64(idx + 1)})
			return nil
		})
		each("processing append thread", func(id int) bool { return len(c.Nodes[id-1].AppendWork) > 0 }, c.ProcessAppendThread)
		each("processing apply thread", func(id int) bool { return len(c.Nodes[id-1].ApplyWork) > 0 }, c.ProcessApplyThread)
		if !busy {
			break
		}
	}
	if c.Output.Len() == 0 {
		return "ok"
	}
	return c.Output.String()
}
