#!/usr/bin/env python3
"""Runs the commands of docs/WALDUMP.md on data of a real etcd, and compares what they print.

usage: waldump_page.py <etcdppctl> <etcdppd>          (waldump is expected beside etcdppd)

A command is an indented line that begins with "$ "; what is printed follows it. A line "..." stands for any lines, and "..." at
a line's end for the rest of it.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

TOOLS = os.path.dirname(os.path.abspath(sys.argv[2]))
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SAMPLES = os.path.join(ROOT, "..", "shared", "testdata", "etcd")
DIRECTORIES = {"default.etcd": "a-datadir/datadir", "auth.etcd": "a2-auth-downgrade/datadir", "damaged.etcd": "c-wal-damage/crc-mid.wal",
               "m1.etcd": "c-wal-damage/intact.wal", "m2.etcd": "c-wal-damage/torn-truncated.wal"}


def steps(text):
    found = []
    for line in text.splitlines():
        if line.startswith("    $ "):
            found.append((line[6:], []))
        elif line.startswith("    ") and found and found[-1] is not None:
            found[-1][1].append(line[4:])
        else:
            found.append(None)
    return [step for step in found if step]


def pattern(lines):
    out = ""
    for line in lines:
        if line == "...":
            out += r"(?:.*\n)*?"
        elif line.endswith("..."):
            out += re.escape(line[:-3]) + ".*\n"
        else:
            out += re.escape(line) + "\n"
    return out


def main():
    if not os.path.isdir(SAMPLES):
        print(f"SKIPPED: {SAMPLES} is not there; the commands of docs/WALDUMP.md were not run")
        return 0
    work = tempfile.mkdtemp(prefix="etcdpp-waldump-page-")
    failures = 0
    try:
        for name, archive in DIRECTORIES.items():
            os.makedirs(os.path.join(work, name))
            with tarfile.open(os.path.join(SAMPLES, archive + ".tar.gz")) as tar:
                tar.extractall(os.path.join(work, name))
        with open(os.path.join(ROOT, "docs", "WALDUMP.md"), encoding="utf-8") as page:
            commands = steps(page.read())
        environment = {**os.environ, "PATH": TOOLS + ":" + os.environ["PATH"]}
        for command, expected in commands:
            done = subprocess.run(["bash", "-c", command], cwd=work, env=environment, capture_output=True, text=True, timeout=120)
            if not re.fullmatch(pattern(expected), done.stdout + done.stderr):
                failures += 1
                print(f"FAILED: {command}\nexpected:\n" + "\n".join(expected) + f"\ngot:\n{done.stdout}{done.stderr}")
        print(f"{len(commands)} commands, {failures} failed")
        return 1 if failures or len(commands) < 8 else 0
    finally:
        shutil.rmtree(work, ignore_errors=True)


sys.exit(main())
