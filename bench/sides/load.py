"""Drives tests/interop/cmd/load: many watchers or leases that stand while something is measured."""

import json
import subprocess


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

    def end(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
