// Package harness starts etcd-compatible servers as child processes for tests.
//
// A Server is one member on loopback ports of its own with a data directory of its own. It can be stopped, killed and started
// again on the same ports and the same directory. A test ends only processes that it started, by their process id.
//
// The server under test is the program named by ETCDPPD; with ETCD=1 it is the reference instead. The reference is a real
// etcd 3.7.1, named by REFERENCE_ETCD (the script `run` builds it).
package harness

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	readyMessage = "ready to serve client requests"
	startTimeout = 30 * time.Second
	stopTimeout  = 15 * time.Second
)

// Subject is the program under test: ETCDPPD, or the reference if ETCD=1.
func Subject(t testing.TB) string {
	if os.Getenv("ETCD") == "1" {
		return Reference(t)
	}
	return program(t, "ETCDPPD")
}

// Reference is the real etcd 3.7.1.
func Reference(t testing.TB) string { return program(t, "REFERENCE_ETCD") }

func program(t testing.TB, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set: it names the server to test; see tests/interop/README.md", variable)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return path
}

// Options of a Server; the zero value is a member with default flags in a fresh directory.
type Options struct {
	Name    string   // --name; "default" if empty
	DataDir string   // a directory of the test's own if empty
	Ports   *Ports   // free ones if nil
	Flags   []string // further flags
	Env     []string // further environment, e.g. LD_PRELOAD=…
}

// Ports of one member, on 127.0.0.1.
type Ports struct{ Client, Peer int }

// FreePorts picks two ports below the kernel's ephemeral range, so that no outgoing connection takes them while a server is down.
func FreePorts(t testing.TB) *Ports {
	t.Helper()
	pick := func() (int, net.Listener) {
		for range 200 {
			port := 15000 + rand.IntN(17000)
			if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
				return port, l
			}
		}
		t.Fatal("no free loopback port found in 200 attempts")
		return 0, nil
	}
	client, first := pick()
	peer, second := pick()
	first.Close()
	second.Close()
	return &Ports{Client: client, Peer: peer}
}

// Server is one child process with what is needed to start it again.
type Server struct {
	Binary    string
	DataDir   string
	Ports     Ports
	ClientURL string
	PeerURL   string

	options Options
	cmd     *exec.Cmd
	exited  chan struct{}
	exitErr error
	log     *tail
}

// Start starts a server, waits until it is ready, and stops it at the end of the test.
func Start(t testing.TB, binary string, options Options) *Server {
	t.Helper()
	s := New(t, binary, options)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// New prepares a server without starting it.
func New(t testing.TB, binary string, options Options) *Server {
	t.Helper()
	if options.Name == "" {
		options.Name = "default"
	}
	if options.DataDir == "" {
		options.DataDir = filepath.Join(t.TempDir(), "data")
	}
	if options.Ports == nil {
		options.Ports = FreePorts(t)
	}
	s := &Server{
		Binary:    binary,
		DataDir:   options.DataDir,
		Ports:     *options.Ports,
		ClientURL: fmt.Sprintf("http://127.0.0.1:%d", options.Ports.Client),
		PeerURL:   fmt.Sprintf("http://127.0.0.1:%d", options.Ports.Peer),
		options:   options,
	}
	t.Cleanup(func() {
		if s.Running() {
			s.Kill()
		}
		if t.Failed() {
			t.Logf("last log lines of %s:\n%s", s.Binary, s.Log())
		}
	})
	return s
}

// Endpoint is host:port of the client port.
func (s *Server) Endpoint() string { return fmt.Sprintf("127.0.0.1:%d", s.Ports.Client) }

// Args are the flags of the server, in the order given to it.
func (s *Server) Args() []string {
	return append([]string{
		"--name", s.options.Name,
		"--data-dir", s.DataDir,
		"--listen-client-urls", s.ClientURL,
		"--advertise-client-urls", s.ClientURL,
		"--listen-peer-urls", s.PeerURL,
		"--initial-advertise-peer-urls", s.PeerURL,
		"--initial-cluster", s.options.Name + "=" + s.PeerURL,
	}, s.options.Flags...)
}

// Start runs the process and returns when it has logged that it is ready.
func (s *Server) Start() error {
	cmd := exec.Command(s.Binary, s.Args()...)
	for _, variable := range os.Environ() {
		// etcd reads ETCD_* as flags.
		if !strings.HasPrefix(variable, "ETCD") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, s.options.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	s.log = &tail{}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.Binary, err)
	}
	s.cmd = cmd
	s.exited = make(chan struct{})
	ready := make(chan struct{})
	go func() {
		readLog(stderr, s.log, ready)
		s.exitErr = cmd.Wait()
		close(s.exited)
	}()
	select {
	case <-ready:
	case <-s.exited:
		return fmt.Errorf("%s ended before it was ready: %v\n%s", s.Binary, s.exitErr, s.Log())
	case <-time.After(startTimeout):
		s.Kill()
		return fmt.Errorf("%s did not log %q within %v\n%s", s.Binary, readyMessage, startTimeout, s.Log())
	}
	// The line precedes the first accepted call by a moment in etcd; wait for the listener.
	for deadline := time.Now().Add(startTimeout); ; {
		conn, err := net.DialTimeout("tcp", s.Endpoint(), time.Second)
		if err == nil {
			conn.Close()
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is ready but does not listen: %w", s.Binary, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Running tells whether the process has been started and has not ended.
func (s *Server) Running() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (s *Server) Kill() {
	if s.Running() {
		_ = s.cmd.Process.Kill()
	}
	<-s.exited
}

// End sends the signal and waits until the process is gone.
func (s *Server) End(signal syscall.Signal) error {
	if s.Running() {
		_ = s.cmd.Process.Signal(signal)
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(stopTimeout):
		s.Kill()
		return fmt.Errorf("%s did not end within %v of signal %v", s.Binary, stopTimeout, signal)
	}
}

// Stop ends the process with SIGTERM, waits until it is gone, and reports an unclean end.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the server had already ended: %v\n%s", s.exitErr, s.Log())
	}
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		s.Kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM\n%s", s.Binary, stopTimeout, s.Log())
	}
	// etcd re-raises the signal after its clean shutdown, so an end by SIGTERM is as clean as exit code 0.
	var exit *exec.ExitError
	if s.exitErr == nil {
		return nil
	}
	if errors.As(s.exitErr, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGTERM {
			return nil
		}
	}
	return fmt.Errorf("%s ended with %v after SIGTERM\n%s", s.Binary, s.exitErr, s.Log())
}

// Pid of the running process.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Wait returns when the process has ended or ctx is done.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-s.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Log returns the newest lines that the process wrote to standard error.
func (s *Server) Log() string {
	if s.log == nil {
		return ""
	}
	return s.log.String()
}

func readLog(r io.Reader, log *tail, ready chan struct{}) {
	announced := false
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			log.add(line)
			if !announced && bytes.Contains(line, []byte(readyMessage)) {
				var record struct {
					Msg string `json:"msg"`
				}
				// etcd's harnesses decode the line, so it has to be JSON with exactly this message.
				if json.Unmarshal(line, &record) == nil && record.Msg == readyMessage {
					announced = true
					close(ready)
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// tail keeps the newest log lines.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (l *tail) add(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(line) > 600 {
		line = append(line[:600:600], '\n')
	}
	if l.lines = append(l.lines, string(line)); len(l.lines) > 25 {
		l.lines = l.lines[len(l.lines)-15:]
	}
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "")
}
