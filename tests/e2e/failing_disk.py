#!/usr/bin/env python3
"""A member whose disk fails or hangs: strace lets one call on its log fail, or come back late.

usage: failing_disk.py <etcdppctl> <etcdppd>

A failed write or fdatasync of the log ends the member, at once and with a message that names the file; it is not tried again, and
everything that was acknowledged is there at the next start. A slow one is logged, and nothing is acknowledged before it returns.
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

from member import Member, check, end, read

CTL, SERVER = sys.argv[1], sys.argv[2]
WORK = tempfile.mkdtemp(prefix="etcdpp-failing-disk-")
SEGMENT = "0000000000000000-0000000000000000.wal"
SECONDS = 60


def start(name):
    return Member(CTL, SERVER, os.path.join(WORK, name)).must_be_ready()


class Tracer:
    """strace attached to the member, touching calls on its log only."""

    def __init__(self, member, *inject):
        self.path = f"{member.log_path}.strace"
        wal = os.path.join(member.directory, "member", "wal", SEGMENT)
        self.process = subprocess.Popen(["strace", "-f", "-o", self.path, "-P", wal, "-e", "trace=fdatasync,fsync,write,pwrite64,pwritev",
                                         *[word for one in inject for word in ("-e", "inject=" + one)], "-p", str(member.process.pid)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        # It says so for each thread that it is attached to.
        line = self.process.stderr.readline()
        self.attached = "attached" in line
        self.said = line

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=SECONDS)
        return read(self.path)


def fails(name, inject, words):
    member = start(name)
    check(f"{name}: a first put", member.ctl("put", "before", "x") == (0, "OK\n"))
    tracer = Tracer(member, inject)
    acknowledged, asked = [], 0
    while asked < 200 and member.process.poll() is None:
        code, out = member.ctl("--command-timeout=3s", "put", f"k{asked}", "v")
        if code != 0:
            break
        acknowledged.append(f"k{asked}")
        asked += 1
    check(f"{name}: it struck, and some were acknowledged before", 0 < len(acknowledged) < 200, (acknowledged, out))
    try:
        member.process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        check(f"{name}: the member ends", False, read(member.log_path)[-2000:])
        member.process.kill()
    calls = tracer.end().splitlines()
    check(f"{name}: with an exit code of its own", (member.process.returncode or 0) > 0, member.process.returncode)
    log = read(member.log_path)
    entries = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    fatal = [json.dumps(entry) for entry in entries if entry.get("level") == "fatal"]
    check(f"{name}: says which file, and why", len(fatal) == 1 and all(word in fatal[0] for word in [SEGMENT, *words]), log[-2000:])
    struck = [i for i, call in enumerate(calls) if "(INJECTED)" in call]
    check(f"{name}: once", len(struck) == 1, calls[-10:])
    after = [call for call in calls[struck[0] + 1:] if re.search(r"\b(fdatasync|fsync)\(", call)] if struck else []
    check(f"{name}: no sync of that file is believed afterwards", not after, after)
    member = start(name)
    for key in ["before", *acknowledged]:
        code, out = member.ctl("get", key, "--print-value-only")
        if not check(f"{name}: {key}, acknowledged, is there", code == 0 and out.strip() != "", out):
            break
    check(f"{name}: it is written to again", member.ctl("put", "after", "x") == (0, "OK\n"))
    member.end()
    print(f"{name}: {len(acknowledged)} acknowledged before", flush=True)


def hangs():
    member = start("slow")
    tracer = Tracer(member, "fdatasync:delay_enter=2500000:when=1")
    begin = time.monotonic()
    code, out = member.ctl("put", "slow", "x")
    took = time.monotonic() - begin
    check("slow: answered", (code, out) == (0, "OK\n"), out)
    check("slow: not before the disk", took >= 2.4, took)
    tracer.end()
    check("slow: says so", "slow fdatasync" in read(member.log_path), read(member.log_path)[-1500:])
    member.end()


def floods():
    """More than the inbox holds, while the disk hangs: the sockets are not read, and nobody is refused."""
    generator = os.path.join(os.path.dirname(SERVER), "put_generator")
    if not os.access(generator, os.X_OK):
        print(f"SKIPPED: puts while the disk hangs: there is no {generator}")
        return
    member = start("flood")
    tracer = Tracer(member, "fdatasync:delay_enter=3000000:when=1")  # strace counts each thread's calls by themselves
    done = subprocess.run([generator, "--connect", f"127.0.0.1:{member.port}", "--connections", "60", "--streams", "300", "--calls", "300",
                           "--value-bytes", "1000000"], capture_output=True, text=True, timeout=4 * SECONDS)
    answer = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    check("flood: every put is answered in the end", done.returncode == 0 and answer.get("errors") == 0, done.stdout + done.stderr)
    check("flood: the disk did hang", "slow fdatasync" in read(member.log_path), read(member.log_path)[-1500:])
    tracer.end()
    member.end()


def main():
    if shutil.which("strace") is None:
        print("SKIPPED: there is no strace, which makes calls fail")
        return
    member = start("probe")
    tracer = Tracer(member)
    possible = tracer.attached
    tracer.end()
    member.end()
    if not possible:
        print(f"SKIPPED: strace may not attach here: {tracer.said.strip()}")
        return
    fails("fdatasync-EIO", "fdatasync:error=EIO:when=3", ["Input/output error"])
    fails("write-EIO", "pwrite64:error=EIO:when=3", ["Input/output error"])
    fails("write-ENOSPC", "pwrite64:error=ENOSPC:when=3", ["No space left on device"])
    hangs()
    floods()


try:
    main()
finally:
    shutil.rmtree(WORK, ignore_errors=True)
end()
