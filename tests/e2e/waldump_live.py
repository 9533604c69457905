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
import socket
import subprocess
import sys
import tempfile
import threading
import time

CTL, SERVER = sys.argv[1], sys.argv[2]
WALDUMP = os.path.join(os.path.dirname(SERVER), "waldump")
WORK = tempfile.mkdtemp(prefix="etcdpp-waldump-live-")
ENV = {k: v for k, v in os.environ.items() if not k.startswith(("ETCD_", "ETCDCTL_"))}
DATA = os.path.join(WORK, "data")
WRITERS, PUTS, VALUE = 4, 45, 400_000  # 72 MB: more than a segment
SECONDS = 120
failures = 0


def check(what, good, detail=""):
    global failures
    if not good:
        failures += 1
        print(f"FAILED: {what}\n  {str(detail)[-2000:]}", flush=True)
    return good


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_member(log):
    port = free_port()
    client = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([SERVER, "--name=m1", f"--data-dir={DATA}", f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
                                f"--listen-peer-urls=http://127.0.0.1:{free_port()}", "--initial-advertise-peer-urls=http://127.0.0.1:1",
                                "--initial-cluster=m1=http://127.0.0.1:1"], stdout=log, stderr=log, env=ENV)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with open(log.name, errors="replace") as f:
            if "ready to serve client requests" in f.read():
                return process, port
        time.sleep(0.02)
    process.kill()
    sys.exit("the member did not start")


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
    with open(os.path.join(WORK, "log"), "wb") as log:
        member, port = start_member(log)
    followed_path = os.path.join(WORK, "followed")
    with open(followed_path, "wb") as followed:
        follower = subprocess.Popen([WALDUMP, "--follow", "-o", "json", "--kind", "put", "--prefix", "live/", DATA], stdout=followed, stderr=subprocess.PIPE,
                                    env=ENV)
    refused = []
    writers = [threading.Thread(target=write, args=(port, n, refused)) for n in range(WRITERS)]
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
    check("the member goes on", member.poll() is None)
    member.terminate()
    check("and ends well", member.wait(SECONDS) in (0, -signal.SIGTERM), member.returncode)
    code, lines, _ = ask("--verify")
    check("the log is sound", code == 0, lines)
    print(f"{len(shown)} puts followed; asked {asked} times meanwhile", flush=True)


try:
    main()
finally:
    shutil.rmtree(WORK, ignore_errors=True)
print("failed" if failures else "all passed", failures or "")
sys.exit(1 if failures else 0)
