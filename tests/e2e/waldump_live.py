#!/usr/bin/env python3
"""waldump on the log of a member that is being written to, through a change of segments.

usage: waldump_live.py <etcdppctl> <etcdppd>          (waldump is expected beside etcdppd)

--follow shows every put once, in the log's order, and ends when it is interrupted. Without it, asked again and again meanwhile, waldump
never takes the end that is just being written for damage, and never sees less than before. The member notices nothing.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from member import ENV, Member, check, end

CTL, SERVER = sys.argv[1], sys.argv[2]
WALDUMP = os.path.join(os.path.dirname(SERVER), "waldump")
WORK = tempfile.mkdtemp(prefix="etcdpp-waldump-live-")
DATA = os.path.join(WORK, "data")
WRITERS, PUTS, VALUE = 4, 45, 400_000  # 72 MB: more than a segment
SECONDS = 120


def write(port, writer, refused):
    for i in range(PUTS):
        done = subprocess.run([CTL, "--endpoints", f"127.0.0.1:{port}", "put", f"live/{writer}/{i}"], input=b"v" * VALUE, capture_output=True, env=ENV,
                              timeout=SECONDS)
        if done.returncode != 0:
            refused.append(done.stderr)


def ask(*arguments):
    done = subprocess.run([WALDUMP, "-o", "json", *arguments, DATA], capture_output=True, timeout=SECONDS, env=ENV)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def main():
    member = Member(CTL, SERVER, DATA).must_be_ready()
    followed_path = os.path.join(WORK, "followed")
    with open(followed_path, "wb") as followed:
        follower = subprocess.Popen([WALDUMP, "--follow", "-o", "json", "--kind", "put", "--prefix", "live/", DATA], stdout=followed, stderr=subprocess.PIPE,
                                    env=ENV)
    refused = []
    writers = [threading.Thread(target=write, args=(member.port, n, refused)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    asked = last = 0
    while any(writer.is_alive() for writer in writers):
        for question in (["--verify"], ["--last", "1"], ["--summary"]):
            code, lines, errors = ask(*question)
            verdict = lines[-1] if lines else {}
            check(f"waldump {question} beside the writers: exit code 0", code == 0, (code, verdict, errors))
            check(f"waldump {question}: sees no less than before", verdict.get("last-index", 0) >= last, (last, verdict))
            last = max(last, verdict.get("last-index", 0))
            asked += 1
    check("every put was answered", not refused, refused)
    wanted = {f"live/{writer}/{i}" for writer in range(WRITERS) for i in range(PUTS)}
    deadline = time.monotonic() + SECONDS
    while True:
        with open(followed_path, "rb") as f:
            lines = f.read().split(b"\n")[:-1]
        if len(lines) >= len(wanted) or time.monotonic() > deadline or follower.poll() is not None:
            break
        time.sleep(0.05)
    check("the follower goes on", follower.poll() is None, follower.returncode)
    follower.send_signal(signal.SIGINT)
    errors = follower.communicate(timeout=SECONDS)[1]
    check("interrupted, it ends without complaint", follower.returncode in (0, -signal.SIGINT, 130), (follower.returncode, errors))
    shown = [entry for entry in map(json.loads, lines) if "payload" in entry]
    keys = [entry["payload"]["request"]["key"] for entry in shown]
    check("followed: every put, once", sorted(keys) == sorted(wanted), (len(keys), len(wanted)))
    indices = [entry["payload"]["index"] for entry in shown]
    check("followed: in order", all(a < b for a, b in zip(indices, indices[1:])), indices)
    check("through a change of segments", len({entry["segment"] for entry in shown}) == 2, {entry["segment"] for entry in shown})
    check("asked often enough", asked >= 6, asked)
    check("the member goes on", member.process.poll() is None)
    check("and ends well", member.end(seconds=SECONDS) in (0, -signal.SIGTERM), member.process.returncode)
    code, lines, _ = ask("--verify")
    check("the log is sound", code == 0, lines)
    print(f"{len(shown)} puts followed; asked {asked} times meanwhile", flush=True)


try:
    main()
finally:
    shutil.rmtree(WORK, ignore_errors=True)
end()
