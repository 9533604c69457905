#!/usr/bin/env python3
"""A full database as an operator lives through it: refused, alarmed, compacted, disarmed, defragmented, served again.

usage: operator_session.py <etcdppctl> <server> [etcdctl]

The server is etcdppd, or any binary that takes etcd's flags. The session is held with etcdppctl and then, on another key, with
etcd's own etcdctl if there is one.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from member import ENV, Member, check_equal as check, end, free_port

CTL, SERVER = sys.argv[1], sys.argv[2]
ETCDCTL = sys.argv[3] if len(sys.argv) > 3 else shutil.which("etcdctl")
QUOTA = 16 << 20
VALUE = "v" * 700_000
CLIENT_PORT, PEER_PORT = free_port(), free_port()
ENDPOINT = f"127.0.0.1:{CLIENT_PORT}"
WORK = tempfile.mkdtemp(prefix="operator-session-")


def http(path):
    try:
        with urllib.request.urlopen(f"http://{ENDPOINT}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def start_server():
    flags = {"--quota-backend-bytes": QUOTA}
    return Member(CTL, SERVER, os.path.join(WORK, "m1.etcd"), flags, port=CLIENT_PORT, peer_port=PEER_PORT, own_peer_url=True).must_be_ready()


class Session:
    """One client program."""

    def __init__(self, binary, key):
        self.binary, self.key = binary, key
        self.env = dict(ENV, **({} if binary == CTL else {"ETCDCTL_API": "3"}))

    def run(self, *arguments, stdin=""):
        done = subprocess.run([self.binary, "--endpoints", ENDPOINT, *arguments], input=stdin.encode(), capture_output=True,
                              env=self.env, timeout=120)
        errors = "".join(line for line in done.stderr.decode(errors="replace").splitlines(True) if not line.startswith("{"))
        return done.returncode, done.stdout.decode(errors="replace"), errors

    def ok(self, *arguments, out=None, **how):
        code, stdout, errors = self.run(*arguments, **how)
        check(f"{arguments[0]}: exit code ({errors.strip()})", code, 0)
        if out is not None:
            check(" ".join(arguments), stdout, out)
        return stdout

    def alarms(self):
        return re.sub(r" +", " ", self.ok("alarm", "list")).strip()

    def status(self):
        return json.loads(self.ok("endpoint", "status", "-w", "json"))[0]["Status"]

    def hold(self):
        name = os.path.basename(self.binary)
        self.ok("put", "other", "kept", out="OK\n")
        check(f"{name}: no alarm yet", self.alarms(), "")
        # Full: as many as fit by live bytes, and not one more.
        written = 0
        while written < 100:
            code, _, errors = self.run("put", f"{self.key}{written % 5}", stdin=VALUE)
            if code != 0:
                break
            written += 1
        check(f"{name}: the put that did not fit", (code, errors), (1, "Error: etcdserver: mvcc: database space exceeded\n"))
        check(f"{name}: {written} values of {len(VALUE)} bytes below {QUOTA}", 10 <= written <= QUOTA // len(VALUE), True)
        member = self.status()["header"]["member_id"]
        check(f"{name}: the alarm", self.alarms(), f"memberID:{member} alarm:NOSPACE")
        check(f"{name}: what the status says", "NOSPACE" in "".join(self.status().get("errors", [])), True)
        check(f"{name}: /health", http("/health"), (503, '{"health":"false","reason":"ALARM NOSPACE"}\n'))
        check(f"{name}: /health without that", http("/health?exclude=NOSPACE")[0], 200)
        check(f"{name}: /readyz", http("/readyz"), (200, "ok\n"))
        # Everything that grows is refused, small or large; everything that shrinks or reads is not.
        check(f"{name}: a small put", self.run("put", "small", "x")[0], 1)
        check(f"{name}: a lease", self.run("lease", "grant", "60")[0], 1)
        check(f"{name}: a txn that puts", self.run("txn", stdin='\nput a b\n\n\n')[0], 1)
        self.ok("get", "other", out="other\nkept\n")
        self.ok("del", "other", out="1\n")
        code, _, errors = self.run("put", "small", "x")
        check(f"{name}: deleting alone frees nothing", (code, errors), (1, "Error: etcdserver: mvcc: database space exceeded\n"))
        # Disarmed too early it comes back with the next put that does not fit.
        self.ok("alarm", "disarm")
        check(f"{name}: disarmed", self.alarms(), "")
        check(f"{name}: still full", self.run("put", self.key, stdin=VALUE)[0], 1)
        check(f"{name}: armed again", "NOSPACE" in self.alarms(), True)
        revision = self.status()["header"]["revision"]
        self.ok("compaction", str(revision), "--physical", out=f"compacted revision {revision}\n")
        check(f"{name}: compaction does not disarm", "NOSPACE" in self.alarms(), True)
        before = self.status()
        self.ok("alarm", "disarm")
        check(f"{name}: alarms after disarm", self.alarms(), "")
        if "etcdpp" in os.path.basename(SERVER):
            check(f"{name}: compaction alone freed the quota", before["dbSizeInUse"] < 6 * len(VALUE), True)
            self.ok("put", "other", "again", out="OK\n")
        self.ok("defrag")
        after = self.status()
        check(f"{name}: the file has shrunk, {before['dbSize']} to {after['dbSize']}", after["dbSize"] < before["dbSize"], True)
        self.ok("put", "other", "kept", out="OK\n")
        check(f"{name}: /health at the end", http("/health"), (200, '{"health":"true","reason":""}'))
        # Room for the next session.
        self.ok("del", self.key, "--prefix")
        self.ok("compaction", str(self.status()["header"]["revision"]), "--physical")
        self.ok("defrag")


def main():
    server = start_server()
    try:
        Session(CTL, "a/").hold()
        if ETCDCTL:
            Session(ETCDCTL, "b/").hold()
        else:
            print("SKIPPED: the session with etcdctl, which is not in PATH")
        if "etcdpp" in os.path.basename(SERVER):
            done = subprocess.run([CTL, "--endpoints", f"{ENDPOINT},127.0.0.1:1", "--command-timeout", "2s", "defrag"],
                                  capture_output=True, text=True, env=ENV, timeout=60)
            check("defrag: one endpoint of two is down: exit code", done.returncode, 1)
            check("defrag: the other is done all the same", bool(re.match(
                rf"Finished defragmenting etcd member\[{ENDPOINT}\]\. took [0-9.]+m?s\n$", done.stdout)), True)
            check("defrag: and it is said which failed", "Failed to defragment etcd member[127.0.0.1:1]. took " in done.stderr, True)
            done = subprocess.run([CTL, "--endpoints", ENDPOINT, "defrag", "--cluster"], capture_output=True, text=True, env=ENV, timeout=60)
            check("defrag --cluster", (done.returncode, f"member[http://{ENDPOINT}]" in done.stdout), (0, True))
    finally:
        server.end()
        shutil.rmtree(WORK, ignore_errors=True)
    end()


main()
