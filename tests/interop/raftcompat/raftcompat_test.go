package raftcompat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// protobuf's text form puts one or two spaces between fields, by the build's hash.
var textForm = regexp.MustCompile(`(?m)^(.*(?:ignoring conf change|not in the ConfState) .*)$`)

func normalise(output string) string {
	return textForm.ReplaceAllStringFunc(output, func(line string) string {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		return indent + strings.ReplaceAll(strings.TrimLeft(line, " "), "  ", " ")
	})
}

// Each of our transcripts prints the same with etcd-raft. RAFTCOMPAT_REWRITE=1 writes what etcd-raft prints into them.
func TestOwnTranscripts(t *testing.T) {
	files, err := filepath.Glob("../../../libs/raft/transcripts/*/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			var run func(*testing.T, *datadriven.TestData) string
			switch filepath.Base(filepath.Dir(file)) {
			case "quorum":
				run = quorums
			case "confchange":
				run = changer()
			case "interaction":
				c := newCluster(t)
				run = func(t *testing.T, d *datadriven.TestData) string {
					c.t = t
					return normalise(c.run(*d))
				}
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			printed := rewritten(t, string(text), run)
			if printed == string(text) {
				return
			}
			if os.Getenv("RAFTCOMPAT_REWRITE") == "" {
				t.Fatal(firstDifference(string(text), printed))
			}
			if err := os.WriteFile(file, []byte(printed), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func firstDifference(expected, printed string) string {
	theirs := strings.Split(printed, "\n")
	for i, line := range strings.Split(expected, "\n") {
		if i >= len(theirs) || line != theirs[i] {
			return fmt.Sprintf("line %d: the transcript has %q, etcd-raft prints %q", i+1, line, strings.Join(theirs[min(i, len(theirs)):min(i+3, len(theirs))], "\n"))
		}
	}
	return "etcd-raft prints more"
}

// rewritten is a transcript with its outputs made anew.
func rewritten(t *testing.T, text string, run func(*testing.T, *datadriven.TestData) string) string {
	out := new(strings.Builder)
	blocks := &blockReader{lines: strings.Split(text, "\n")}
	for blocks.next() {
		out.WriteString(blocks.before)
		if blocks.command == "" {
			continue
		}
		command, args, err := datadriven.ParseLine(blocks.command)
		if err != nil {
			t.Fatal(err)
		}
		output := run(t, &datadriven.TestData{Cmd: command, CmdArgs: args, Input: blocks.input})
		if output != "" && !strings.HasSuffix(output, "\n") {
			output += "\n"
		}
		if strings.HasPrefix(output, "\n") || strings.Contains(output, "\n\n") {
			output = "----\n" + output + "----\n----\n"
		}
		input := blocks.input
		if input != "" {
			input += "\n"
		}
		fmt.Fprintf(out, "%s\n%s----\n%s", blocks.command, input, output)
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// blockReader cuts a transcript at its commands.
type blockReader struct {
	lines                  []string
	before, command, input string
}

func (b *blockReader) next() bool {
	b.before, b.command, b.input = "", "", ""
	for len(b.lines) > 0 && (strings.TrimSpace(b.lines[0]) == "" || strings.HasPrefix(b.lines[0], "#")) {
		b.before += b.lines[0] + "\n"
		b.lines = b.lines[1:]
	}
	if len(b.lines) == 0 {
		return b.before != ""
	}
	b.command, b.lines = b.lines[0], b.lines[1:]
	var input []string
	for len(b.lines) > 0 && b.lines[0] != "----" {
		input = append(input, b.lines[0])
		b.lines = b.lines[1:]
	}
	b.input = strings.Join(input, "\n")
	b.lines = b.lines[min(1, len(b.lines)):]
	if len(b.lines) > 0 && b.lines[0] == "----" {
		for b.lines = b.lines[1:]; len(b.lines) > 1 && !(b.lines[0] == "----" && b.lines[1] == "----"); b.lines = b.lines[1:] {
		}
		b.lines = b.lines[2:]
	} else {
		for len(b.lines) > 0 && strings.TrimSpace(b.lines[0]) != "" {
			b.lines = b.lines[1:]
		}
	}
	return true
}

func number(name string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// Random scripts, run and noted by etcd-raft, are transcripts that ours must pass.
func TestRandomScripts(t *testing.T) {
	runner := os.Getenv("RAFT_TRANSCRIPT")
	if runner == "" {
		t.Skip("RAFT_TRANSCRIPT does not name a raft_transcript")
	}
	first, count := number("RAFTCOMPAT_SEED", 1), number("RAFTCOMPAT_N", 1000)
	folder := os.Getenv("RAFTCOMPAT_KEEP")
	if folder == "" {
		folder = t.TempDir()
	}
	folder = filepath.Join(folder, "interaction")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	ends := map[string]int{}
	var files []string
	check := func() {
		output, err := exec.Command(runner, files...).CombinedOutput()
		if err != nil {
			text := string(output)
			if at := strings.Index(text, "FAIL "); at >= 0 {
				text = text[at:]
			}
			t.Fatalf("%v: %.4000s", err, text)
		}
		files = files[:0]
	}
	for seed := first; seed < first+count; seed++ {
		s := newScript(t, seed)
		text := normalise(s.write())
		if s.ended {
			_, why, _ := strings.Cut(s.panics, ": ")
			ends[regexp.MustCompile(`[0-9]+`).ReplaceAllString(why, "N")]++
		}
		file := filepath.Join(folder, fmt.Sprintf("seed_%d.txt", seed))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if files = append(files, file); len(files) == 500 {
			check()
		}
	}
	if len(files) > 0 {
		check()
	}
	t.Logf("%d scripts; ended early by a panic of etcd-raft: %v", count, ends)
}
