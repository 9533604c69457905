// Package crash ends a server in the middle of its work, again and again, and checks what it still knows afterwards.
package crash

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"etcdpp.test/interop/harness"
)

// CrashMode is a way to lose a server. All come from the environment:
//
//	CRASH_MODE     "kill" (default): SIGKILL; what the process wrote stays, synced or not.
//	               "lose-unsynced": what it wrote and did not sync is thrown away too. A library does that, given by:
//	CRASH_PRELOAD  a shared library for LD_PRELOAD of the server. It finds the data directory in ETCDPP_CRASH_DIR and the
//	               cycle's seed in ETCDPP_CRASH_SEED.
//	CRASH_SIGNAL   the number of the signal that ends the server (9): a library may need another one to do its work.
//	CRASH_AFTER    a program that is run as `CRASH_AFTER <data directory> <seed>` after the end, before the next start.
type CrashMode struct {
	Name    string
	preload string
	signal  syscall.Signal
	after   string
	seed    int64
}

// ModeFromEnvironment reads the mode.
func ModeFromEnvironment(t testing.TB) *CrashMode {
	t.Helper()
	mode := &CrashMode{
		Name:    os.Getenv("CRASH_MODE"),
		preload: os.Getenv("CRASH_PRELOAD"),
		signal:  syscall.Signal(harness.IntEnv(t, "CRASH_SIGNAL", int64(syscall.SIGKILL))),
		after:   os.Getenv("CRASH_AFTER"),
		seed:    harness.IntEnv(t, "CRASH_SEED", 1),
	}
	switch mode.Name {
	case "":
		mode.Name = "kill"
	case "kill":
	case "lose-unsynced":
		if mode.preload == "" {
			t.Fatal("CRASH_MODE=lose-unsynced needs CRASH_PRELOAD, the library that forgets what was not synced")
		}
	default:
		t.Fatalf("CRASH_MODE=%q: kill or lose-unsynced", mode.Name)
	}
	return mode
}

// Options of a server that is to be lost in this mode.
func (m *CrashMode) Options(dataDir string, flags ...string) harness.Options {
	options := harness.Options{DataDir: dataDir, Flags: flags}
	if m.preload != "" {
		options.Env = append(options.Env,
			"LD_PRELOAD="+m.preload, "ETCDPP_CRASH_DIR="+dataDir, "ETCDPP_CRASH_SEED="+strconv.FormatInt(m.seed, 10))
	}
	return options
}

// Crash ends the server and leaves on disk what survives.
func (m *CrashMode) Crash(server *harness.Server, cycle int) error {
	if err := server.End(m.signal); err != nil {
		return err
	}
	if m.after == "" {
		return nil
	}
	output, err := exec.Command(m.after, server.DataDir, strconv.FormatInt(m.seed+int64(cycle), 10)).CombinedOutput()
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", m.after, err), errors.New(strings.TrimSpace(string(output))))
	}
	return nil
}
