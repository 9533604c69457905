package raftcompat

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/cockroachdb/datadriven"
	"go.etcd.io/raft/v3/confchange"
	"go.etcd.io/raft/v3/quorum"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

type acked map[uint64]quorum.Index

func (a acked) AckedIndex(id uint64) (quorum.Index, bool) {
	index, ok := a[id]
	return index, ok
}

// quorums answers the commands of quorum transcripts with etcd-raft's arithmetic.
func quorums(t *testing.T, d *datadriven.TestData) string {
	halves := quorum.JointConfig{{}, {}}
	joint := false
	var order []uint64
	var values []string
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "cfg", "cfgj":
			half := halves[0]
			if arg.Key == "cfgj" {
				half, joint = halves[1], true
			}
			for _, text := range arg.Vals {
				if text == "zero" {
					continue
				}
				id, err := strconv.ParseUint(text, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				if _, known := halves.IDs()[id]; !known {
					order = append(order, id)
				}
				half[id] = struct{}{}
			}
		case "idx", "votes":
			values = arg.Vals
		}
	}
	if len(values) != len(order) {
		var numbers []quorum.Index
		for _, value := range values {
			number, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				number = map[string]uint64{"y": 2, "n": 1}[value]
			}
			numbers = append(numbers, quorum.Index(number))
		}
		return fmt.Sprintf("error: mismatched input (explicit or _) for voters %v: %v", halves.IDs(), numbers)
	}
	votes, indices := map[uint64]bool{}, acked{}
	for i, value := range values {
		switch value {
		case "_":
		case "y", "n":
			votes[order[i]] = value == "y"
		default:
			index, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			indices[order[i]] = quorum.Index(index)
		}
	}
	switch {
	case d.Cmd == "vote" && joint:
		return halves.VoteResult(votes).String()
	case d.Cmd == "vote":
		return halves[0].VoteResult(votes).String()
	case joint:
		return halves.Describe(indices) + halves.CommittedIndex(indices).String()
	default:
		return halves[0].Describe(indices) + halves[0].CommittedIndex(indices).String()
	}
}

// changer answers the commands of confchange transcripts.
func changer() func(*testing.T, *datadriven.TestData) string {
	c := confchange.Changer{Tracker: tracker.MakeProgressTracker(10, 0)}
	return func(t *testing.T, d *datadriven.TestData) string {
		defer func() { c.LastIndex++ }()
		changes, err := pb.ConfChangesFromString(d.Input)
		if err != nil {
			return err.Error()
		}
		var config tracker.Config
		var progress tracker.ProgressMap
		switch d.Cmd {
		case "simple":
			config, progress, err = c.Simple(changes...)
		case "enter-joint":
			config, progress, err = c.EnterJoint(d.HasArg("autoleave") && d.CmdArgs[0].Vals[0] == "true", changes...)
		case "leave-joint":
			config, progress, err = c.LeaveJoint()
		}
		if err != nil {
			return err.Error()
		}
		c.Tracker.Config, c.Tracker.Progress = config, progress
		return fmt.Sprintf("%s\n%s", config, progress)
	}
}
