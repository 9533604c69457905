#!/usr/bin/env python3
"""etcdppctl against a running server: what it prints, its exit codes, and what it does when the server goes away.

usage: etcdppctl_e2e.py <etcdppctl> <server> [etcdctl]

The server is etcdppd, or any binary that takes etcd's flags. With an etcdctl (any version from 3.4), the outputs on which
the versions agree are compared with its.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import member
from member import ENV, Member, check_equal as check, end, free_port

CTL, SERVER = sys.argv[1], sys.argv[2]
ETCDCTL = sys.argv[3] if len(sys.argv) > 3 else shutil.which("etcdctl")
WORK = tempfile.mkdtemp(prefix="etcdppctl-e2e-")
CLIENT_PORT, PEER_PORT, DEAD_PORT = free_port(), free_port(), free_port()
ENDPOINT = f"127.0.0.1:{CLIENT_PORT}"


def start_server():
    return Member(CTL, SERVER, os.path.join(WORK, "m1.etcd"), port=CLIENT_PORT, peer_port=PEER_PORT, own_peer_url=True).must_be_ready().process


def run(*arguments, stdin="", endpoints=ENDPOINT, binary=CTL, env=None):
    settings = dict(ENV, **(env or {}))
    if binary != CTL:
        settings["ETCDCTL_API"] = "3"
    done = subprocess.run([binary, "--endpoints", endpoints, *arguments], input=stdin.encode(), capture_output=True,
                          env=settings, timeout=60)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def without_logs(text):
    return "".join(line for line in text.splitlines(True) if not line.startswith("{\"level\""))


def expect(arguments, out="", err="", rc=0, **how):
    code, stdout, stderr = run(*arguments, **how)
    what = " ".join(arguments)
    check(f"{what}: standard output", stdout, out)
    check(f"{what}: standard error", without_logs(stderr), err)
    check(f"{what}: exit code", code, rc)


def match(arguments, pattern, rc=0, **how):
    code, stdout, stderr = run(*arguments, **how)
    check(f"{' '.join(arguments)}: output matches {pattern}", bool(re.fullmatch(pattern, stdout, re.S)) or stdout + stderr, True)
    check(f"{' '.join(arguments)}: exit code", code, rc)


def key_value():
    expect(["put", "greeting", "hello"], "OK\n")
    expect(["get", "greeting"], "greeting\nhello\n")
    expect(["put", "greeting", "--prev-kv", "hello again"], "OK\ngreeting\nhello\n")
    expect(["put", "piped"], "OK\n", stdin="from a pipe\n")
    expect(["get", "piped", "--print-value-only"], "from a pipe\n\n")
    expect(["put", "--", "-a", "-b"], "OK\n")
    expect(["get", "--", "-a"], "-a\n-b\n")
    for key in ("p/1", "p/2", "p/3"):
        expect(["put", key, "v" + key[-1]], "OK\n")
    expect(["get", "--prefix", "p/", "--keys-only"], "p/1\n\np/2\n\np/3\n\n")
    expect(["get", "--prefix", "p/", "--order", "DESCEND", "--limit", "2"], "p/3\nv3\np/2\nv2\n")
    expect(["get", "p/2", "p/9"], "p/2\nv2\np/3\nv3\n")
    expect(["get", "--from-key", "p/3", "--limit", "1", "--hex"], "\\x70\\x2f\\x33\n\\x76\\x33\n")
    expect(["get", "nothing"], "")
    code, out, _ = run("get", "p/1", "-w", "json")
    answer = json.loads(out)
    check("get as JSON: key and value", (answer["kvs"][0]["key"], answer["kvs"][0]["value"]), ("cC8x", "djE="))
    check("get as JSON: count", answer["count"], 1)
    check("get as JSON: one line", out.count("\n"), 1)
    match(["get", "p/", "--prefix", "--count-only", "-w", "fields"], r'.*"More" : false\n"Count" : 3\n')
    expect(["del", "p/1", "--prev-kv"], "1\np/1\nv1\n")
    expect(["del", "--prefix", "p/"], "2\n")
    expect(["del", "p/", "--prefix"], "0\n")
    expect(["del", "--range", "x", "y"], "0\n")
    expect(["get", ""], "", "Error: etcdserver: key is not provided\n", 1)
    expect(["get", "greeting", "--rev", "1000000"], "",
           "Error: etcdserver: mvcc: required revision is a future revision\n", 1)
    expect(["put", "a", "b", "--lease", "12"], "", "Error: etcdserver: requested lease not found\n", 1)
    expect(["put", "absent", "--ignore-value"], "", "Error: etcdserver: key not found\n", 1)
    expect(["get", "greeting", "-w", "table"], "", "Error: table not supported as output format\n", 4)


def transactions():
    expect(["put", "q1", "v 1"], "OK\n")
    expect(["txn"], "SUCCESS\n\nOK\n\nq1\nv 2\n\n0\n",
           stdin='ver("q1") > "0"\nval("q1") = "v 1"\n\nput q1 "v 2"\nget q1\ndel nothing\n\nget q2\n\n')
    expect(["txn"], "FAILURE\n\nq1\nv 2\n", stdin='mod("q1") = "1"\n\n\nget q1\n\n')
    expect(["txn", "-i"], "compares:\nsuccess requests (get, put, del):\nfailure requests (get, put, del):\nSUCCESS\n",
           stdin="\n\n\n")
    expect(["txn"], "", "Error: malformed comparison: foo\n", 3, stdin="foo\n\n\n\n")
    expect(["txn"], "", "Error: etcdserver: duplicate key given in txn request\n", 1, stdin="\nput a 1\nput a 2\n\n\n")


def leases():
    match(["lease", "grant", "100"], r"lease [0-9a-f]{16} granted with TTL\(100s\)\n")
    lease = run("lease", "grant", "300")[1].split()[1]
    expect(["put", "l1", "v", "--lease", lease], "OK\n")
    expect(["put", "l2", "v", "--lease=" + lease], "OK\n")
    match(["lease", "timetolive", lease, "--keys"],
          rf"lease {lease} granted with TTL\(300s\), remaining\((299|300)s\), attached keys\(\[(l1 l2|l2 l1)\]\)\n")
    expect(["lease", "keep-alive", "--once", lease], f"lease {lease} keepalived with TTL(300)\n")
    check("lease list names the lease", lease in run("lease", "list")[1], True)
    expect(["lease", "revoke", lease], f"lease {lease} revoked\n")
    expect(["get", "l1"], "")
    expect(["lease", "timetolive", lease], f"lease {lease} already expired\n")
    expect(["lease", "revoke", lease], "", "Error: failed to revoke lease (etcdserver: requested lease not found)\n", 1)
    expect(["lease", "keep-alive", lease], f"lease {lease} expired or revoked.\n")
    expect(["lease", "keep-alive", "--once", lease], "", "Error: etcdserver: requested lease not found\n", 2)


def compaction():
    revision = json.loads(run("put", "c", "1", "-w", "json")[1])["header"]["revision"]
    run("put", "c", "2")
    expect(["compaction", str(revision + 1)], f"compacted revision {revision + 1}\n")
    expect(["compaction", str(revision)], "", "Error: etcdserver: mvcc: required revision has been compacted\n", 1)
    expect(["get", "c", "--rev", str(revision)], "", "Error: etcdserver: mvcc: required revision has been compacted\n", 1)
    expect(["watch", "c", "--rev", "1"], "",
           "watch was canceled (etcdserver: mvcc: required revision has been compacted)\n"
           "Error: watch is canceled by the server\n", 5)


def cluster():
    match(["member", "list"], rf"[0-9a-f]+, started, m1, http://127.0.0.1:{PEER_PORT}, http://{ENDPOINT}, false\n")
    match(["member", "list", "-w", "table"], r"┌.*│ +ID +│ STATUS +│ NAME │.*┘\n")
    match(["endpoint", "health"], rf"{ENDPOINT} is healthy: successfully committed proposal: took = .*s\n")
    match(["endpoint", "health", "--cluster"], rf"http://{ENDPOINT} is healthy: .*\n")
    match(["endpoint", "status"], rf"{ENDPOINT}, [0-9a-f]+, [^,]+, [^,]*, .*B, .*B, \d+%, .*B, true, false, .*, false\n")
    status = json.loads(run("endpoint", "status", "-w", "json")[1])
    check("endpoint status as JSON: endpoint", status[0]["Endpoint"], ENDPOINT)
    check("endpoint status as JSON: leads", status[0]["Status"]["leader"], status[0]["Status"]["header"]["member_id"])
    match(["endpoint", "hashkv"], rf"{ENDPOINT}, \d+, \d+\n")
    expect(["alarm", "list"], "")
    expect(["alarm", "disarm"], "")
    code, out, err = run("endpoint", "health", "--command-timeout", "500ms", endpoints=f"127.0.0.1:{DEAD_PORT}")
    check("a dead endpoint is unhealthy", (code, without_logs(err)),
          (1, f"127.0.0.1:{DEAD_PORT} is unhealthy: failed to commit proposal: context deadline exceeded\n"
              "Error: unhealthy cluster\n"))
    expect(["get", "greeting"], "greeting\nhello again\n", endpoints=f"127.0.0.1:{DEAD_PORT},{ENDPOINT}")


class Background:
    """A command that goes on, with its output in a file."""

    def __init__(self, *arguments):
        self.path = os.path.join(WORK, f"output-{time.monotonic_ns()}")
        self.file = open(self.path, "wb")
        self.process = subprocess.Popen([CTL, "--endpoints", ENDPOINT, *arguments], env=ENV, stdin=subprocess.PIPE,
                                        stdout=self.file, stderr=subprocess.DEVNULL)

    def text(self):
        return open(self.path, errors="replace").read()

    def wait(self, what, done, seconds=15):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not done(self.text()):
            time.sleep(0.02)
        check(what, done(self.text()) or self.text(), True)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.file.close()


def next_revision():
    return json.loads(run("get", "x", "-w", "json")[1])["header"]["revision"] + 1


def watches():
    start = str(next_revision())
    run("put", "w1", "a")
    run("put", "w1", "b")
    run("del", "w1")
    watch = Background("watch", "w1", "--rev", start, "--prev-kv")
    watch.wait("watch: put, update and delete with what was before",
               lambda text: text == "PUT\nw1\na\nPUT\nw1\na\nw1\nb\nDELETE\nw1\nb\nw1\n\n")
    watch.stop()
    watch = Background("watch", "w1", "--rev", start, "--", "sh", "-c", 'echo "$ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE"')
    watch.wait("watch: a command is run for each event",
               lambda text: '"PUT" "w1" "a"\n' in text and '"DELETE" "w1" ""\n' in text)
    watch.stop()
    watch = Background("watch", "-i")
    watch.process.stdin.write(f"watch w1 --rev {start}\nwatch w2\nprogress\n".encode())
    watch.process.stdin.flush()
    watch.wait("watch -i: a watcher per line", lambda text: text.endswith("DELETE\nw1\n\n") or "progress" in text)
    watch.stop()


def survives_restart(server):
    start = next_revision()
    lease = run("lease", "grant", "6")[1].split()[1]
    run("put", "held", "by the lease", "--lease", lease)
    renewals = Background("lease", "keep-alive", lease)
    renewed = f"lease {lease} keepalived with TTL(6)\n"
    renewals.wait("lease keep-alive: the first renewal", lambda text: text == renewed)
    watch = Background("watch", "r", "--prefix", "--rev", str(start))
    run("put", "r1", "before")
    watch.wait("watch: an event before the crash", lambda text: text == "PUT\nr1\nbefore\n")
    server.send_signal(signal.SIGKILL)
    server.wait()
    server = start_server()
    expect(["get", "r1"], "r1\nbefore\n")
    expect(["put", "r2", "after"], "OK\n")
    watch.wait("watch: goes on after the server's crash, without loss or repetition",
               lambda text: text == "PUT\nr1\nbefore\nPUT\nr2\nafter\n")
    already = len(renewals.text())
    renewals.wait("lease keep-alive: goes on after the server's crash", lambda text: len(text) > already)
    renewals.stop()
    expect(["get", "held"], "held\nby the lease\n")
    watch.stop()
    return server


def agrees_with_etcdctl():
    if not ETCDCTL:
        print("SKIPPED comparison with etcdctl: no etcdctl in PATH (package etcd-client)")
        return
    run("put", "z1", "one \"quoted\" <tag>")
    run("put", "z2", "two")
    commands = [["get", "z", "--prefix"], ["get", "z", "--prefix", "-w", "json"], ["get", "z1", "-w", "fields"],
                ["get", "z1", "--hex"], ["get", "z", "--prefix", "--keys-only", "-w", "json"],
                ["get", "z", "--prefix", "--sort-by", "MODIFY", "--order", "DESCEND"], ["get", "z1", "-w", "protobuf"],
                ["member", "list"], ["member", "list", "-w", "json"], ["lease", "timetolive", "123", "-w", "json"],
                ["del", "nothing", "-w", "json"], ["alarm", "list", "-w", "json"], ["lease", "list", "-w", "json"]]
    for command in commands:
        ours, theirs = run(*command), run(*command, binary=ETCDCTL)
        check(f"{' '.join(command)}: as {ETCDCTL}", ours[:2], theirs[:2])
    # As JSON, a transaction's answers are named differently before 3.6.
    lines = 'ver("z1") > "0"\n\nget z1\nget z2\n\n\n'
    check(f"txn: as {ETCDCTL}", run("txn", stdin=lines)[:2], run("txn", stdin=lines, binary=ETCDCTL)[:2])


def main():
    server = start_server()
    try:
        key_value()
        transactions()
        leases()
        cluster()
        watches()
        agrees_with_etcdctl()
        compaction()
        server = survives_restart(server)
    finally:
        server.kill()
        server.wait()
        if member.failures:
            print(f"kept {WORK}")
        else:
            shutil.rmtree(WORK)
    end()


main()
