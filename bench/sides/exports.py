"""The part `export` of side_by_side: a gigabyte, what mvccdump makes of it, and what a snapshot of it costs others.

A million keys with values of 1,000 bytes. The snapshot's client throws away what it gets, so that no second disk is measured.
"""

import os
import subprocess
import threading
import time

from sides.load import Load

KEYS = 1_000_000
VALUE_BYTES = 1_000


def stats(bench, sides):
    figure = bench.report.figure("stats_seconds", "mvccdump stats of 1 GB, of the member's own files while it runs", "s", limit=("≤", 5))
    tool = os.path.join(os.path.dirname(bench.options.etcdppd), "mvccdump")
    for _ in range(bench.options.runs):
        for side, server in sides.items():
            began = time.monotonic()
            subprocess.run([tool, "stats", server.directory], stdout=subprocess.DEVNULL, check=True)
            figure.add(side, time.monotonic() - began)


def alone(bench, sides):
    rate = bench.report.figure("export_rate", "Snapshot of 1 GB, nothing else going on", "MB/s", limit=("≥", 200))
    cpu = bench.report.figure("export_cpu", "the same: server CPU", "s")
    memory = bench.report.figure("export_anon", "the same: anonymous memory afterwards over before", "MB")
    for side, server in sides.items():
        with Load(bench.load, server, connections=1) as client:
            before = server.anonymous_bytes()
            for _ in range(bench.options.runs):
                spent = server.cpu_seconds()
                answer = client.ask("snapshot")
                cpu.add(side, server.cpu_seconds() - spent)
                rate.add(side, answer["bytes"] / 1e6 / answer["seconds"])
            memory.add(side, (server.anonymous_bytes() - before) / 1e6)
        bench.say(f"export {side}: {rate.value(side):.0f} MB/s, {cpu.value(side):.2f} s of CPU")


def beside_puts(bench, sides):
    idle = bench.report.figure("export_put_idle_p99", "puts of 4 clients without: p99", "µs")
    p99 = bench.report.figure("export_put_p99", "puts of 4 clients during snapshots: p99 over that", "×", limit=("≤", 2))
    worst = bench.report.figure("export_put_max", "the same: the slowest", "ms", limit=("≤", 50))
    rate = bench.report.figure("export_loaded_rate", "the snapshots' rate meanwhile", "MB/s")
    how = {"key_prefix": "beside/", "streams": 4, "connections": 4}
    for side, server in sides.items():
        with Load(bench.load, server, connections=1) as client:
            for _ in range(bench.options.runs):
                before = bench.generate(server, bench.calls(30_000), **how)
                answers, over = [], threading.Event()

                def snapshots():
                    while not over.is_set():
                        answers.append(client.ask("snapshot"))

                thread = threading.Thread(target=snapshots)
                thread.start()
                time.sleep(0.2)
                try:
                    beside = bench.generate(server, bench.calls(30_000), **how)
                finally:
                    over.set()
                    thread.join()
                idle.add(side, before["p99_us"])
                p99.add(side, beside["p99_us"] / before["p99_us"])
                worst.add(side, beside["max_us"] / 1000)
                rate.add(side, sum(a["bytes"] for a in answers) / 1e6 / sum(a["seconds"] for a in answers))
        bench.say(f"export beside puts {side}: p99 x {p99.value(side):.2f}, slowest {worst.value(side):.1f} ms, {rate.value(side):.0f} MB/s")


def measure(bench):
    sides = bench.pair("export")
    try:
        for side, server in sides.items():
            filled = bench.generate(server, bench.calls(KEYS), streams=200, value_bytes=VALUE_BYTES)
            bench.say(f"{side}: {bench.calls(KEYS)} keys of {VALUE_BYTES} B in {filled['seconds']:.1f} s")
        time.sleep(1)
        stats(bench, sides)
        alone(bench, sides)
        beside_puts(bench, sides)
    finally:
        bench.end(sides)
