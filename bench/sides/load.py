"""Drives tests/interop/cmd/load: many watchers or leases that stand while something is measured."""

import json
import subprocess
import time


def settle(server):
    """Waits until the server has nothing left to do."""
    while True:
        before = server.cpu_seconds()
        time.sleep(0.5)
        if server.cpu_seconds() - before < 0.03:
            return


class Load:
    """A running load generator whose watchers or leases stand."""

    def __init__(self, program, server, **flags):
        words = [program, "-connect", server.address]
        for name, value in flags.items():
            words += [f"-{name}={str(value).lower()}" if isinstance(value, bool) else f"-{name}={value}"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if line.strip() != "ready":
            raise RuntimeError(f"{' '.join(words)}: {line!r}")

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended at {command!r}")
        return json.loads(line)

    def cost(self, server, command, what):
        """(the server's CPU time for each `what` that the answer counts, in µs, and how many of them in a second)"""
        before = server.cpu_seconds()
        answer = self.ask(command)
        return (server.cpu_seconds() - before) * 1e6 / answer[what], answer[what] / answer["seconds"]

    def end(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
