#!/usr/bin/env python3
"""Runs the first session of README.md, command by command, and compares what it prints.

usage: readme_session.py <etcdctl> <etcdppd>

<etcdctl> is Debian's etcdctl or etcdppctl. In the expected output, a lease id stands for whatever id the grant gave, and a
line "..." for anything more; a watch is ended once it has printed what is expected.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile

from member import ENV, Member

CTL, SERVER = sys.argv[1], sys.argv[2]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LEASE = re.compile(r"\b[0-9a-f]{16}\b")


def session(text):
    """[(command, expected lines)] of the block that begins with a prompt."""
    steps = []
    for line in text[text.index("## A first session"):].splitlines():
        if line.startswith("    $ "):
            steps.append([line[6:], []])
        elif line.startswith("    > ") and steps:
            steps[-1][0] += "\n" + line[6:]
        elif line.startswith("    >") and steps:
            steps[-1][0] += "\n" + line[5:]
        elif line.startswith("    ") and steps:
            steps[-1][1].append(line[4:])
        elif steps and not line.strip():
            if steps[-1][1]:
                steps[-1][1].append("")
        elif steps:
            break
    for step in steps:
        while step[1] and not step[1][-1]:
            step[1].pop()
    return steps


def run(command, environment, lines_wanted, endless):
    process = subprocess.Popen(["bash", "-c", command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               text=True, start_new_session=True)
    if endless:
        got = [process.stdout.readline().rstrip("\n") for _ in range(lines_wanted)]
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()
        return got
    out, _ = process.communicate(timeout=30)
    return out.splitlines()


def main():
    steps = [s for s in session(open(os.path.join(ROOT, "README.md")).read()) if not s[0].startswith("alias ")]
    work = tempfile.mkdtemp(prefix="readme-session-")
    server = Member(CTL, SERVER, os.path.join(work, "data"), {"--name": "default"}, own_peer_url=True).must_be_ready()
    failures = 0
    try:
        environment = ENV | {"ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": f"http://127.0.0.1:{server.port}", "CTL": CTL}
        lease = None
        for command, expected in steps:
            shell = "etcdctl() { \"$CTL\" \"$@\"; }\n" + (LEASE.sub(lease, command) if lease else command)
            wanted = expected[:-1] if expected and expected[-1] == "..." else expected
            got = run(shell, environment, len(wanted), " watch " in f" {command} ")
            if "lease grant" in command and got and (found := LEASE.search(got[0])):
                lease = found.group()
            compared = got[:len(wanted)] if expected and expected[-1] == "..." or not expected else got
            want = [LEASE.sub(lease or "", line) for line in wanted]
            ok = bool(got) if not expected else compared == want
            print(("ok      " if ok else "DIFFERS ") + command.splitlines()[0])
            if not ok:
                failures += 1
                print("  expected:", want, "\n  got:     ", got)
    finally:
        server.end()
    print(f"{len(steps) - failures} passed, {failures} failed")
    if len(steps) < 6:
        sys.exit("README.md has lost its first session")
    sys.exit(1 if failures else 0)


main()
