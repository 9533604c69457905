package raftcompat

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"go.etcd.io/raft/v3"
)

// script writes a random transcript: each command is chosen by what the cluster is like, run by it, and noted with what
// it printed. A command at which etcd-raft panics ends the script unnoted.
type script struct {
	random  *rand.Rand
	cluster *cluster
	text    strings.Builder
	ended   bool
	panics  string

	async     bool
	changes   int // one conf change in so many turns
	limited   bool
	proposals int
}

func newScript(t *testing.T, seed int64) *script {
	return &script{random: rand.New(rand.NewSource(seed)), cluster: newCluster(t)}
}

func (s *script) write() string {
	s.changes = 1 + s.random.Intn(3)*4
	s.begin()
	s.do("campaign 1", "")
	for n := 20 + s.random.Intn(150); n > 0 && !s.ended; n-- {
		s.step()
	}
	return s.text.String()
}

func (s *script) do(line, input string) {
	if s.ended {
		return
	}
	command, args, err := datadriven.ParseLine(line)
	if err != nil {
		s.cluster.t.Fatal(err)
	}
	output := s.guarded(line, func() string {
		return s.cluster.run(datadriven.TestData{Cmd: command, CmdArgs: args, Input: input})
	})
	s.note(line, input, output)
}

func (s *script) guarded(line string, run func() string) (output string) {
	defer func() {
		if what := recover(); what != nil {
			s.ended, s.panics = true, fmt.Sprint(line, ": ", what)
		}
	}()
	return run()
}

func (s *script) note(line, input, output string) {
	if s.ended {
		return
	}
	if input != "" {
		line += "\n" + input
	}
	if output != "" && !strings.HasSuffix(output, "\n") {
		output += "\n"
	}
	if strings.HasPrefix(output, "\n") || strings.Contains(output, "\n\n") {
		output = "----\n" + output + "----\n----\n"
	}
	fmt.Fprintf(&s.text, "%s\n----\n%s\n", line, output)
}

func (s *script) oneIn(n int) bool { return s.random.Intn(n) == 0 }
func (s *script) node() int        { return 1 + s.random.Intn(len(s.cluster.Nodes)) }

// leader is a node that leads, mostly, if there is one.
func (s *script) leader() int {
	id := s.node()
	for i := range s.cluster.Nodes {
		if s.cluster.Nodes[i].Status().RaftState == raft.StateLeader && !s.oneIn(5) {
			id = i + 1
		}
	}
	return id
}

func (s *script) nodes() []int {
	var ids []int
	for _, i := range s.random.Perm(len(s.cluster.Nodes)) {
		if s.oneIn(2) {
			ids = append(ids, i+1)
		}
	}
	if len(ids) == 0 {
		ids = append(ids, s.node())
	}
	return ids
}

func list(ids []int, separator string) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(ids), "[]"), " ", separator)
}

func (s *script) begin() {
	n := 1 + s.random.Intn(5)
	var voters, learners []int
	for id := 1; id <= n; id++ {
		if id == 1 || s.oneIn(2) {
			voters = append(voters, id)
		} else if s.oneIn(2) {
			learners = append(learners, id)
		}
	}
	line := fmt.Sprintf("add-nodes %d voters=(%s)", n, list(voters, ","))
	if len(learners) > 0 {
		line += fmt.Sprintf(" learners=(%s)", list(learners, ", "))
	}
	line += fmt.Sprintf(" index=%d", 2+s.random.Intn(10))
	if s.async = s.oneIn(2); s.async {
		line += " async-storage-writes=true"
	}
	option := func(chance int, text string) {
		if s.oneIn(chance) {
			line += " " + text
		}
	}
	option(3, "prevote=true")
	option(5, "checkquorum=true")
	option(5, "checkquorum=true read-only=lease-based")
	option(3, fmt.Sprintf("inflight=%d", 1+s.random.Intn(4)))
	option(3, "step-down-on-removal=true")
	option(8, "disable-conf-change-validation=true")
	option(5, "disable-proposal-forwarding=true")
	option(5, fmt.Sprintf("max-uncommitted-size=%d", 1+s.random.Intn(20)))
	switch s.random.Intn(4) {
	case 0:
		line += fmt.Sprintf(" max-committed-size-per-ready=%d", 1+s.random.Intn(60))
		s.limited = true
	case 1:
		size := 1 + s.random.Intn(60)
		line += fmt.Sprintf(" max-size-per-msg=%d inflight-bytes=%d", size, size+s.random.Intn(40))
		s.limited = true
	}
	if s.oneIn(4) {
		s.do("log-level none", "")
		s.do(line, "")
		s.do("log-level debug", "")
	} else {
		s.do(line, "")
	}
	for s.oneIn(3) && len(s.cluster.Nodes) < 6 && !s.ended {
		line = "add-nodes 1"
		if s.async != s.oneIn(6) {
			line += " async-storage-writes=true"
		}
		option(4, "prevote=true")
		option(4, "checkquorum=true")
		option(4, fmt.Sprintf("inflight=%d", 1+s.random.Intn(3)))
		s.do(line, "")
	}
}

func (s *script) change() string {
	n := 1
	if s.oneIn(2) {
		n = s.random.Intn(4)
	}
	var changes []string
	for ; n > 0; n-- {
		changes = append(changes, fmt.Sprintf("%c%d", "vvlrlru"[s.random.Intn(7)], s.node()))
	}
	return strings.Join(changes, " ")
}

var messageTypes = []string{"MsgApp", "MsgAppResp", "MsgHeartbeat", "MsgHeartbeatResp", "MsgVote", "MsgVoteResp", "MsgSnap", "MsgPreVote",
	"MsgPreVoteResp", "MsgTimeoutNow", "MsgProp", "MsgReadIndex", "MsgReadIndexResp", "MsgStorageAppendResp"}

func (s *script) step() {
	id := s.node()
	switch turn := s.random.Intn(105); {
	case turn < 6:
		s.do(fmt.Sprintf("campaign %d", id), "")
	case turn < 22:
		s.stabilize()
	case turn < 36:
		s.deliver()
	case turn < 52:
		s.do("process-ready "+list(s.nodes(), " "), "")
	case turn < 58 && (s.async || s.oneIn(9)):
		s.do("process-append-thread "+list(s.nodes(), " "), "")
	case turn < 64 && (s.async || s.oneIn(9)):
		s.do("process-apply-thread "+list(s.nodes(), " "), "")
	case turn < 74:
		s.proposals++
		s.do(fmt.Sprintf("propose %d p%d%s", s.leader(), s.proposals, strings.Repeat("x", s.random.Intn(8))), "")
	case turn < 79:
		s.proposeConfChange()
	case turn < 82:
		s.compact(id)
	case turn < 84:
		s.do(fmt.Sprintf("raft-log %d", id), "")
	case turn < 86:
		s.do("raft-state", "")
	case turn < 89:
		s.do(fmt.Sprintf("status %d", id), "")
	case turn < 95:
		// Both libraries draw timeouts of their own.
		s.do(fmt.Sprintf("set-randomized-election-timeout %d timeout=%d", id, 3+s.random.Intn(3)), "")
		s.do(fmt.Sprintf("%s %d", []string{"tick-election", "tick-heartbeat"}[s.random.Intn(2)], id), "")
	case turn < 97:
		s.do(fmt.Sprintf("transfer-leadership from=%d to=%d", id, s.node()), "")
	case turn < 98:
		s.do(fmt.Sprintf("forget-leader %d", id), "")
	case turn < 102:
		s.readIndex()
	default:
		if to := s.node(); to != id {
			switch s.random.Intn(3) {
			case 0:
				s.do(fmt.Sprintf("report-unreachable %d %d", id, to), "")
			case 1:
				s.do(fmt.Sprintf("report-snapshot %d %d sent=%v", id, to, s.oneIn(2)), "")
			case 2:
				// Without a term a message is refused by us and taken for a local one by etcd.
				if s.cluster.Nodes[id-1].BasicStatus().GetTerm() > 0 {
					s.do(fmt.Sprintf("send-snapshot %d %d", id, to), "")
				}
			}
		}
	}
}

func (s *script) stabilize() {
	ids := s.nodes()
	line := "stabilize " + list(ids, " ")
	if s.oneIn(3) {
		ids = nil
		for id := 1; id <= len(s.cluster.Nodes); id++ {
			ids = append(ids, id)
		}
		line = "stabilize"
	}
	output := s.guarded(line, func() string { return s.cluster.stabilize(ids) })
	s.note(line, "", output)
}

func (s *script) deliver() {
	line := "deliver-msgs"
	for _, id := range s.nodes() {
		if s.oneIn(5) {
			line += fmt.Sprintf(" drop=(%d)", id)
		} else {
			line += fmt.Sprintf(" %d", id)
		}
	}
	if s.oneIn(4) {
		line += " type=" + messageTypes[s.random.Intn(len(messageTypes))]
	}
	s.do(line, "")
}

func (s *script) proposeConfChange() {
	// A refused conf change becomes an entry that has a type though it is zero, which counts two bytes in etcd and none
	// with us; it shows where sizes are limited.
	if s.limited || !s.oneIn(s.changes) {
		return
	}
	line, input := fmt.Sprintf("propose-conf-change %d", s.leader()), s.change()
	if s.oneIn(3) && input != "" {
		line += " v1=" + []string{"true", "1", "false"}[s.random.Intn(3)]
	} else if s.oneIn(2) {
		line += " transition=" + []string{"auto", "implicit", "explicit"}[s.random.Intn(3)]
	}
	s.do(line, input)
}

func (s *script) compact(id int) {
	node := &s.cluster.Nodes[id-1]
	first, _ := node.Storage.FirstIndex()
	last, _ := node.Storage.LastIndex()
	if applied := min(node.Status().Applied, last); applied >= first {
		s.do(fmt.Sprintf("compact %d %d", id, first+uint64(s.random.Int63n(int64(applied-first+1)))), "")
	}
}

func (s *script) readIndex() {
	id := s.node()
	// A sole voter that has not committed anything of its term answers in etcd, and waits with us.
	for i := range s.cluster.Nodes {
		if len(s.cluster.Nodes[i].Status().Config.Voters.IDs()) <= 1 {
			return
		}
	}
	s.proposals++
	s.do(fmt.Sprintf("read-index %d r%d", id, s.proposals), "")
}
