#!/usr/bin/env python3
"""Many clients that list everything at once, slow readers among them, against a member with little memory.

usage: many_lists.py <etcdppctl> <etcdppd> [--keys N] [--value-bytes N] [--clients N] [--seconds N] [--data-limit-mb N]
                     [--cgroup DIRECTORY] [--generator put_generator] [--runs N]

Half of the clients read as slowly as 200 kB/s, the others up to --rate; every fourth list is sorted or filtered. What must
hold: nothing dies, whoever reads to the end gets every key, and the server's own memory grows by no more than a fixed
amount, however long the lists are.

The default is small, for the test run; the full one is in docs/TESTING.md. Sorted lists share 32 MB of the server's
memory, 16 bytes a key, and those that find no room wait, behind slow readers too. The limit of memory is RLIMIT_DATA on the server
(every private writable mapping counts, stacks of threads too), or a memory cgroup made beforehand, named by --cgroup. With
--generator the latency of puts beside the lists is compared with that of an idle server; nothing fails for it here, since
it depends on the machine: the figures are printed.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
from sides import slow_readers
from sides.servers import Server

PREFIX = b"list/"
SLOW_BYTES_PER_SECOND = 200_000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ctl")
    parser.add_argument("server")
    parser.add_argument("--keys", type=int, default=20_000)
    parser.add_argument("--value-bytes", type=int, default=256)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rate", type=int, default=2_000_000, help="bytes a second of a client that is not slow")
    parser.add_argument("--data-limit-mb", type=int, default=300)
    parser.add_argument("--growth-mb", type=float, default=0, help="fail above it; 0: 48 and 0.5 a client")
    parser.add_argument("--cgroup")
    parser.add_argument("--generator")
    parser.add_argument("--runs", type=int, default=1, help="of the latency beside the lists and idle, in turn")
    return parser.parse_args()


class LimitedServer(Server):
    def __init__(self, options, directory):
        super().__init__("etcdpp", options.server, directory)
        self.options = options

    def flags(self):
        return [flag for flag in super().flags() if flag not in ("--quota-backend-bytes", str(8 << 30))]

    def start(self):
        limit = self.options.data_limit_mb << 20
        program = open(self.program, "rb").read()
        sanitized = b"__asan_" in program or b"__tsan_" in program
        if self.options.cgroup:
            with open(os.path.join(self.options.cgroup, "cgroup.procs"), "w") as procs:
                procs.write(str(os.getpid()))
            print(f"memory: the cgroup {self.options.cgroup}")
        elif sanitized:
            print("SKIPPED: the limit of memory: a sanitizer's shadow memory does not fit into it")
        else:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
            print(f"memory: no cgroup was given, so RLIMIT_DATA of {self.options.data_limit_mb} MB on the server")
        self.sanitized = sanitized
        try:
            return super().start()
        finally:
            if not self.options.cgroup and not sanitized:
                hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
                resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def fill(options, server):
    if options.generator:
        subprocess.run([options.generator, "--connect", server.address, "--connections", "10", "--streams", "200", "--calls",
                        str(options.keys), "--value-bytes", str(options.value_bytes), "--key-prefix", PREFIX.decode()],
                       check=True, stdout=subprocess.DEVNULL)
        return
    value = "v" * options.value_bytes
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCDCTL_")}
    for first in range(0, options.keys, 128):
        puts = "".join(f"put {PREFIX.decode()}{i:010} {value}\n" for i in range(first, min(first + 128, options.keys)))
        subprocess.run([options.ctl, "--endpoints", server.address, "txn"], input=f"\n{puts}\n\n".encode(), check=True,
                       stdout=subprocess.DEVNULL, env=environment)


def latency(options, server, seconds, first):
    """p99 of puts at a pace that leaves the machine time, in microseconds."""
    calls = int(seconds * 1500)
    done = subprocess.run([options.generator, "--connect", server.address, "--connections", "1", "--streams", "1", "--calls", str(calls),
                           "--value-bytes", "256", "--key-prefix", "beside/", "--first", str(first)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class Readers:
    """All the clients; each reads no faster than its rate."""

    def __init__(self, options, server):
        self.readers, self.rates, self.broken = [], [], []
        for i in range(options.clients):
            extra = b""
            if i % 4 == 3:  # sorted by VALUE, CREATE or MOD downwards, or only what is newer than revision 5
                extra = [b"\x28\x02\x30\x04", b"\x28\x02\x30\x02", b"\x28\x02\x30\x03", b"\x50\x05"][i // 4 % 4]
            self.readers.append(slow_readers.SlowReader(server.client_port, PREFIX, wide=i % 3 == 0, more_fields=extra))
            self.rates.append(SLOW_BYTES_PER_SECOND if i % 2 == 0 else options.rate)

    def turn(self, interval):
        for i, (reader, rate) in enumerate(zip(self.readers, self.rates)):
            if reader.ended:
                continue
            try:
                reader.read(max(4096, int(rate * interval)))
            except OSError as error:
                self.broken.append(f"client {i}, {reader.answer_bytes} bytes read: {error}")
                reader.ended = True

    def close(self):
        for reader in self.readers:
            reader.socket.close()


def main():
    options = arguments()
    directory = tempfile.mkdtemp(prefix="many-lists-")
    failures = []

    def check(what, good):
        print(("ok      " if good else "FAILED  ") + what, flush=True)
        if not good:
            failures.append(what)

    server = LimitedServer(options, directory)
    try:
        server.start()
        fill(options, server)
        server.restart()
        whole = slow_readers.read_whole(server.client_port, PREFIX)
        check(f"one list has all {options.keys} keys: {whole} bytes", whole > options.keys * (options.value_bytes + 15))
        idle = server.anonymous_bytes()
        seen = []
        reader = slow_readers.SlowReader(server.client_port, PREFIX, wide=True)
        while not reader.ended:
            reader.read(1 << 18)
            seen.append(server.anonymous_bytes())
        reader.socket.close()
        alone = (max(seen) - idle) / 1e6
        check(f"one list of {whole / 1e6:.0f} MB: the server's own memory grows by {alone:.1f} MB", alone <= 16)

        idle_p99 = []
        beside_p99 = []
        for run in range(options.runs):
            if options.generator:
                idle_p99.append(latency(options, server, 5, run * 1_000_000)["p99_us"])
            readers = Readers(options, server)
            begin, interval, turn = time.monotonic(), 0.05, 0
            beside = None
            if options.generator:
                calls = int(options.seconds * 500)
                beside = subprocess.Popen([options.generator, "--connect", server.address, "--connections", "1", "--streams", "1", "--calls",
                                           str(calls), "--value-bytes", "256", "--key-prefix", "beside/", "--first", str(run * 1_000_000 + 500_000)],
                                          stdout=subprocess.PIPE, text=True)
            # Longer than asked where the machine is slow: everybody is to have begun, and not all sorted lists may still wait.
            def all_served():
                return all(r.answer_bytes > 0 for i, r in enumerate(readers.readers) if i % 4 != 3) and \
                    sum(r.answer_bytes == 0 for r in readers.readers) < options.clients / 4
            while time.monotonic() - begin < options.seconds or (beside and beside.poll() is None) or \
                    (not all_served() and time.monotonic() - begin < 90 and server.process.poll() is None):
                readers.turn(interval)
                seen.append(server.anonymous_bytes())
                turn += 1
                time.sleep(max(0.0, begin + turn * interval - time.monotonic()))
            if beside:
                answer = json.loads(beside.communicate()[0] or '{"calls": 0, "errors": "the connection broke", "p99_us": 0}')
                check(f"puts beside the lists: {answer['calls']} calls, errors {answer['errors']}", answer["errors"] == 0)
                beside_p99.append(answer["p99_us"])
            check(f"the server is there (ended with {server.process.poll()})", server.process.poll() is None)
            if server.process.poll() is not None:
                break
            check(f"no connection broke {readers.broken[:3]}", not readers.broken)
            ended = [r for r in readers.readers if r.ended]
            got = sorted(r.answer_bytes for i, r in enumerate(readers.readers) if i % 4 != 3)
            waiting = sum(r.answer_bytes == 0 for r in readers.readers)
            check(f"{options.clients} lists: {len(ended)} read to the end, the slowest in key order has {got[0]} bytes; {waiting} sorted ones "
                  "wait for memory", got[0] > 0 and waiting < options.clients / 4)
            plain = [r.answer_bytes for i, r in enumerate(readers.readers) if r.ended and i % 4 != 3 and not readers.broken]
            check("lists that ended are whole", all(n == whole for n in plain))
            readers.close()
        growth = (max(seen) - idle) / 1e6
        allowed = options.growth_mb or 48 + 0.5 * options.clients
        if server.sanitized:
            print(f"SKIPPED: growth of {growth:.1f} MB is a sanitizer's")
        else:
            check(f"{options.clients} lists of {whole / 1e6:.0f} MB: the server's own memory, {idle / 1e6:.1f} MB idle, grows by {growth:.1f} MB, "
                  f"{allowed:.1f} allowed", growth <= allowed)
        if idle_p99:
            idle_p99.sort()
            beside_p99.sort()
            a, b = idle_p99[len(idle_p99) // 2], beside_p99[len(beside_p99) // 2]
            print(f"put p99: {a:.0f} us idle, {b:.0f} us beside {options.clients} lists: {b / a:.2f} times (medians of {len(idle_p99)})")
        check("it serves as before", server.process.poll() is None and slow_readers.read_whole(server.client_port, PREFIX) == whole)
    finally:
        server.stop()
        if failures:
            print("the server's log ends with\n" + "".join(open(server.log, errors="replace").readlines()[-10:]))
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit(1 if failures else 0)


main()
