"""Leases: what one weighs, what a keep-alive costs, and ten thousand that run out at once."""

import time

from sides.load import Load, settle


def weight_and_renewals(bench, sides):
    weight = bench.report.figure("lease_bytes", "a million leases: anonymous memory each (etcd: 100,000)", "B", limit=("≤", 200), than_etcd="lower")
    cpu = bench.report.figure("renew_cpu", "LeaseKeepAlive over all of them, 100 streams: server CPU per renewal", "µs", limit=("≤", 6), than_etcd="lower")
    rate = bench.report.figure("renew_rate", "the same: rate", "1/s")
    for side, server in sides.items():
        settle(server)
        before = server.anonymous_bytes()
        count = bench.calls(1_000_000 if side == "etcdpp" else 100_000)
        with Load(bench.load, server, leases=count, ttl=86_400) as load:
            settle(server)
            weight.add(side, (server.anonymous_bytes() - before) / count)
            load.ask("renew 10000")
            for _ in range(bench.options.runs):
                spent, done = load.cost(server, f"renew {bench.calls(200_000 if side == 'etcdpp' else 60_000)}", "calls")
                cpu.add(side, spent)
                rate.add(side, done)
        bench.say(f"leases {side}: {weight.value(side):.0f} B each, {cpu.value(side):.2f} us of CPU a renewal, {rate.value(side):.0f}/s")


def running_out(bench, sides):
    ttl = 8
    late = bench.report.figure("expiry_last", "10,000 leases with a key each that run out in one second: the last is gone after its time", "s", limit=("≤", 1))
    p99 = bench.report.figure("expiry_put_p99", "put p99 meanwhile over without", "×", limit=("≤", 2))
    for side, server in sides.items():
        for _ in range(bench.options.runs):
            settle(server)
            alone = bench.generate(server, bench.calls(20_000), key_prefix="beside/", streams=4, connections=4)
            with Load(bench.load, server, leases=10_000, ttl=ttl, attach="leased/") as load:
                # The last was granted a moment ago; it is due `ttl` from now, the first of them a second or so earlier.
                time.sleep(ttl - 1.5)
                began = time.monotonic()
                beside = []
                while time.monotonic() - began < 2.5:
                    beside.append(bench.generate(server, bench.calls(20_000), key_prefix="beside/", streams=4, connections=4)["p99_us"])
                answer = load.ask("await")
            late.add(side, max(answer["last"] - ttl, 0))
            p99.add(side, max(beside) / alone["p99_us"])
        bench.say(f"leases that run out {side}: the last {late.value(side):.2f} s late, put p99 x {p99.value(side):.2f}")


def measure(bench):
    sides = bench.pair("lease")
    try:
        running_out(bench, sides)
        weight_and_renewals(bench, sides)
    finally:
        bench.end(sides)
