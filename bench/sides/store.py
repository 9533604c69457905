"""The part `store` of side_by_side: a large store under the work that an operator gives it.

A fresh store each run: a million keys of 16 bytes with values of 256, put in key order. Measured: memory, start, a page, a
count, both at an old revision, a whole list, a compaction of a million revisions under puts, a defragmentation under puts;
then start and page once more, with the rows in the scattered order of a million updates.

The part `store_sizes`: values of 256 bytes, 4 KB and 1 to 30 KB, all overwritten and compacted ten times.
"""

import os
import subprocess
import threading
import time

from sides import slow_readers

KEYS = 1_000_000
OLD_UPDATES = 100_000
PREFIX = b"bench/"


def varint(value):
    return slow_readers.varint(value)


def range_message(key, end=b"", limit=0, revision=0, count_only=False):
    message = b"\x0a" + varint(len(key)) + key
    if end:
        message += b"\x12" + varint(len(end)) + end
    if limit:
        message += b"\x18" + varint(limit)
    if revision:
        message += b"\x20" + varint(revision)
    message += b"\x38\x01"
    return message + (b"\x48\x01" if count_only else b"")


def revision_of(server):
    """The store's revision, from /metrics."""
    return int(server.metric("etcd_debugging_mvcc_current_revision"))


def peak_while(server, work):
    """The most anonymous memory while `work` runs, over what there was before."""
    before, seen, done = server.anonymous_bytes(), [], threading.Event()

    def watch():
        while not done.wait(0.005):
            seen.append(server.anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return max(seen + [before]) - before


class Part:
    def __init__(self, bench, ctl):
        self.bench, self.ctl = bench, ctl
        self.report = bench.report
        self.next_put = 0

    def figure(self, *arguments, **asked):
        return self.report.figure(*arguments, **asked)

    def ask(self, server, *words):
        done = subprocess.run([self.ctl, "--endpoints", server.address, "--command-timeout", "300s", *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"etcdppctl {' '.join(words)} against {server.name}: {done.stderr}")

    def puts_beside(self, server, calls, **how):
        """Puts of one client, running while something else does."""
        first = 0 if "update_of" in how else self.next_put
        self.next_put += calls
        return self.bench.start_generator(server, calls, streams=1, connections=1, key_prefix="beside/", first=first, **how)


class StorePart(Part):

    def update(self, server, calls):
        """Puts to scattered keys that exist: as many superseded revisions."""
        self.bench.generate(server, calls, streams=500, update_of=KEYS)

    def measure(self, side, server, run):
        bench = self.bench
        bench.rest()
        restart = server.restart()
        self.figure("open_1m", f"open and ready with {KEYS:,} keys", "s", limit=("≤", 0.8)).add(side, restart)
        self.figure("open_1m_cpu", "the same: server CPU", "s").add(side, server.cpu_seconds())
        time.sleep(2)
        self.figure("anon_1m", f"anonymous memory with {KEYS:,} keys", "MB", limit=("≤", 130)).add(side, server.anonymous_bytes() / 1e6)

        calls = {"etcdpp": (20_000, 100_000), "etcd": (30, 30)}[side]
        key, end = PREFIX + b"0000500000", PREFIX[:-1] + b"0"
        one = bench.h2load(server, range_message(key), 100_000 if side == "etcdpp" else 30_000)["cpu_us"]
        page = bench.h2load(server, range_message(key, end, limit=500), calls[0])["cpu_us"]
        count = bench.h2load(server, range_message(PREFIX + b"0000100000", PREFIX + b"0000900000", count_only=True), calls[1])["cpu_us"]
        self.figure("page_cpu", "a page of 500 keys: server CPU", "µs", limit=("≤", 500)).add(side, page)
        self.figure("count_cpu", "a count of 800,000 keys: server CPU", "µs").add(side, count)
        self.figure("count_over_one", "the same over a Range of one key", "×", limit=("≤", 1.3)).add(side, count / one)

        old = revision_of(server)
        self.update(server, OLD_UPDATES)
        old_page = bench.h2load(server, range_message(key, end, limit=500, revision=old), calls[0])["cpu_us"]
        old_count = bench.h2load(server, range_message(PREFIX + b"0000100000", PREFIX + b"0000900000", revision=old, count_only=True),
                                 calls[1])["cpu_us"]
        self.figure("old_page", f"a page at a revision {OLD_UPDATES:,} updates old, over one of now", "×", limit=("≤", 3)).add(side, old_page / page)
        self.figure("old_count", "a count there, over one of now", "×", limit=("≤", 3)).add(side, old_count / count)

        grown = peak_while(server, lambda: slow_readers.read_whole(server.client_port, PREFIX))
        self.figure("list_growth", f"a list of all {KEYS:,} keys: growth of anonymous memory", "MB", limit=("≤", 16)).add(side, grown / 1e6)

        self.compaction(side, server)
        self.defragment(side, server)
        self.figure("open_updated", "open and ready after all that", "s").add(side, server.restart())
        page = bench.h2load(server, range_message(key, end, limit=500), calls[0])["cpu_us"]
        self.figure("page_updated", "a page of 500 keys after all that: server CPU", "µs", limit=("≤", 500)).add(side, page)
        bench.say(f"store {side} {run + 1}: page {page:.0f} us, count {count:.1f} us, open {restart:.2f} s")

    def compaction(self, side, server):
        self.update(server, KEYS)
        self.bench.rest()
        idle = self.puts_beside(server, 20_000).answer()
        removed = server.metric("etcd_debugging_mvcc_db_compaction_keys_total")
        beside = self.puts_beside(server, 100_000)
        begin = time.monotonic()
        self.ask(server, "compaction", str(revision_of(server)), "--physical")
        took = time.monotonic() - begin
        beside.stop()
        answer = beside.answer()
        gone = server.metric("etcd_debugging_mvcc_db_compaction_keys_total") - removed
        if gone < KEYS * 0.9:
            raise RuntimeError(f"{side}: the compaction removed only {gone:.0f} rows")
        self.figure("compaction_time", "compaction of 1,000,000 revisions under puts", "s").add(side, took)
        self.figure("compaction_p99", "put p99 beside it", "µs").add(side, answer["p99_us"])
        self.figure("compaction_idle_p99", "put p99 without it", "µs").add(side, idle["p99_us"])
        self.figure("compaction_ratio", "put p99 beside it over without", "×", limit=("≤", 2)).add(side, answer["p99_us"] / idle["p99_us"])

    def defragment(self, side, server):
        self.bench.rest()
        beside = self.puts_beside(server, 100_000)
        time.sleep(0.2)
        before = server.metric("etcd_mvcc_db_total_size_in_bytes")
        begin = time.monotonic()
        self.ask(server, "defrag")
        took = time.monotonic() - begin
        time.sleep(0.2)
        beside.stop()
        answer = beside.answer()
        self.figure("defrag_time", "defragment under puts", "s").add(side, took)
        self.figure("defrag_max", "longest put beside it", "ms", limit=("≤", 50)).add(side, answer["max_us"] / 1e3)
        idle = self.puts_beside(server, int(1500 * took) + 1000).answer()
        self.figure("defrag_idle_max", "longest put in as long a time without it", "ms").add(side, idle["max_us"] / 1e3)
        self.figure("defrag_shrunk", "the database after it", "MB").add(side, server.metric("etcd_mvcc_db_total_size_in_bytes") / 1e6)
        self.figure("defrag_before", "the database before it", "MB").add(side, before / 1e6)

    def run(self, sides, runs):
        for run in range(runs):
            for side, server in sides.items():
                server.stop()
                server.wipe()
                server.start()
                self.bench.generate(server, KEYS, streams=500)
                self.measure(side, server, run)


def file_bytes(server):
    """What the file of the database takes of the disk."""
    for name in ("member/etcdpp/data.lmdb", "member/snap/db"):
        path = os.path.join(server.directory, name)
        if os.path.exists(path):
            return os.stat(path).st_blocks * 512
    raise RuntimeError(f"{server.name} has no database in {server.directory}")


class SizesPart(Part):
    # Name, keys, least and most bytes of a value: about 85 MB live each.
    SHAPES = [("256", "256 B", 300_000, 256, 256), ("4k", "4 KB", 20_000, 4096, 4096), ("30k", "1 to 30 KB", 5_400, 1024, 30 * 1024)]
    ROUNDS = 10
    BESIDE = 1_000  # keys that the puts beside a compaction overwrite
    IDLE = 15_000  # puts without one: for as long as it takes, since in a tenth of that p99 is anything from 0.2 to 1.8 ms

    def run(self, sides, runs):
        for run in range(runs):
            for shape in self.SHAPES:
                for side, server in sides.items():
                    server.stop()
                    server.wipe()
                    self.bench.rest()
                    server.start()
                    self.measure(side, server, run, *shape)

    def measure(self, side, server, run, key, title, keys, least, most):
        bench = self.bench
        how = {"value_bytes": least, "value_bytes_to": most, "streams": 100}
        one = {"value_bytes": least, "value_bytes_to": most, "update_of": self.BESIDE}
        bench.generate(server, keys, **how)
        self.puts_beside(server, 3 * self.BESIDE, **one).answer()
        for round in range(self.ROUNDS):
            bench.generate(server, keys, update_of=keys, seed=round + 1, **how)
            self.ask(server, "compaction", str(revision_of(server)), "--physical")
        time.sleep(1)
        live = (keys + self.BESIDE) * (16 + 16 + (least + most) / 2)
        self.figure(f"size_{key}", f"{title}: file after {self.ROUNDS} rounds of overwrite and compaction, over the live bytes", "×",
                    limit=("≤", 2.5)).add(side, file_bytes(server) / live)
        allocated = server.metric("etcd_mvcc_db_total_size_in_bytes")
        self.figure(f"size_{key}_pages", f"{title}: of which pages, without what is allocated ahead", "×").add(side, allocated / live)
        self.figure(f"size_{key}_live", f"{title}: live bytes then", "MB").add(side, live / 1e6)
        # Beside these rounds nobody puts: what is put during a compaction is not compacted by it, and would count as the file's.
        bench.rest()
        idle = self.puts_beside(server, self.IDLE, **one).answer()
        old = revision_of(server)
        bench.generate(server, keys, update_of=keys, seed=self.ROUNDS + 1, **how)
        self.reads(side, server, key, title, old)
        beside = self.puts_beside(server, 100_000, **one)
        self.ask(server, "compaction", str(revision_of(server)), "--physical")
        beside.stop()
        answer = beside.answer()
        self.figure(f"size_{key}_p99", f"{title}: put p99 beside a compaction, over without", "×", limit=("≤", 2)).add(side, answer["p99_us"] / idle["p99_us"])
        self.figure(f"size_{key}_idle_p99", f"{title}: put p99 without it", "µs").add(side, idle["p99_us"])
        self.figure(f"size_{key}_anon", f"{title}: anonymous memory", "MB").add(side, server.anonymous_bytes() / 1e6)
        self.figure(f"size_{key}_open", f"{title}: open and ready", "s").add(side, server.restart())
        beside = self.puts_beside(server, 100_000, **one)
        time.sleep(0.2)
        self.ask(server, "defrag")
        time.sleep(0.2)
        beside.stop()
        self.figure(f"size_{key}_defrag", f"{title}: longest put beside a defragment", "ms", limit=("≤", 50)).add(side, beside.answer()["max_us"] / 1e3)
        bench.say(f"sizes {title} {side} {run + 1}: {file_bytes(server) / 1e6:.0f} MB after defragment")

    def reads(self, side, server, key, title, old):
        """At the newest revision and at one that is as many updates older as there are keys."""
        end = PREFIX[:-1] + b"0"
        few, many = {"etcdpp": (2_000, 50_000), "etcd": (30, 30)}[side]

        def cpu(calls, message):
            return self.bench.h2load(server, message, calls)["cpu_us"]

        one = cpu(50_000, range_message(PREFIX + b"0000000100"))
        page, old_page = (cpu(few, range_message(PREFIX, end, limit=50, revision=revision)) for revision in (0, old))
        count, old_count = (cpu(many, range_message(PREFIX, end, revision=revision, count_only=True)) for revision in (0, old))
        self.figure(f"size_{key}_page", f"{title}: a page of 50 keys: server CPU", "µs").add(side, page)
        self.figure(f"size_{key}_count", f"{title}: a count of all over a Range of one key", "×", limit=("≤", 1.3)).add(side, count / one)
        self.figure(f"size_{key}_old_page", f"{title}: the page before all keys were overwritten, over now", "×", limit=("≤", 3)).add(side, old_page / page)
        self.figure(f"size_{key}_old_count", f"{title}: the count then, over now", "×", limit=("≤", 3)).add(side, old_count / count)
        grown = peak_while(server, lambda: slow_readers.read_whole(server.client_port, PREFIX))
        self.figure(f"size_{key}_list", f"{title}: a list of all: growth of anonymous memory", "MB", limit=("≤", 16)).add(side, grown / 1e6)
