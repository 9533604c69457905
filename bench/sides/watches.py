"""Watchers: what an event costs, what an idle watcher weighs, and what watchers do to the puts of others."""

from sides.load import Load, settle


def fan_out(bench, sides):
    cpu = bench.report.figure("watch_event_cpu", "10,000 watchers of one key on 100 streams: server CPU per delivered event", "µs",
                              limit=("≤", 0.4), than_etcd="lower")
    rate = bench.report.figure("watch_event_rate", "the same: events delivered", "1/s")
    for side, server in sides.items():
        with Load(bench.load, server, watchers=10_000) as load:
            load.ask("put 3")
            for _ in range(bench.options.runs):
                spent, delivered = load.cost(server, f"put {bench.calls(300 if side == 'etcdpp' else 60) if bench.options.scale >= 1 else 20}", "events")
                cpu.add(side, spent)
                rate.add(side, delivered)
        bench.say(f"fan-out {side}: {cpu.value(side):.2f} us of CPU an event, {rate.value(side):.0f}/s")


def idle_bytes(bench, server, watchers):
    """Of so many idle watchers and their streams; a first hundred stand already, for connections weigh by themselves."""
    server.restart()
    with Load(bench.load, server, watchers=100, distinct="first/") as _:
        settle(server)
        before = server.anonymous_bytes()
        with Load(bench.load, server, watchers=watchers, distinct="idle/") as _:
            settle(server)
            return server.anonymous_bytes() - before


def idle(bench, sides):
    weight = bench.report.figure("watch_idle_bytes", "10,000 idle watchers of 10,000 keys on 100 streams: anonymous memory each", "B",
                                 limit=("≤", 600), than_etcd="lower")
    for side, server in sides.items():
        for _ in range(bench.options.runs):
            whole = idle_bytes(bench, server, 10_000)
            streams = idle_bytes(bench, server, 100)
            weight.add(side, (whole - streams) / 9_900)
        bench.say(f"idle watchers {side}: {weight.value(side):.0f} B each")


def beside_puts(bench, sides):
    """Runs of puts with and without 10,000 watchers of 10,000 keys, in turn."""
    plain = bench.report.figure("put_cpu_alone", "Put, 100 streams, no watchers: server CPU per call", "µs")
    other = bench.report.figure("put_cpu_watched", "the same beside 10,000 watchers of 10,000 other keys", "µs")
    own = bench.report.figure("put_cpu_own", "the same with each put watched by one of 10,000, its event delivered", "µs")
    ratio = bench.report.figure("put_cpu_grown", "put cost beside 10,000 watchers over the cost without", "×", limit=("≤", 1.1))
    for side, server in sides.items():
        calls = bench.calls(100_000 if side == "etcdpp" else 30_000)
        for run in range(bench.options.runs + 1):
            alone = bench.generate(server, calls, key_prefix="plain/")["cpu_us"]
            with Load(bench.load, server, watchers=10_000, distinct="watched/") as _:
                settle(server)
                beside = bench.generate(server, calls, key_prefix="plain/")["cpu_us"]
                delivered = bench.generate(server, 10_000, key_prefix="watched/")["cpu_us"]
            settle(server)
            if run == 0:
                continue  # warms up
            plain.add(side, alone)
            other.add(side, beside)
            own.add(side, delivered)
            ratio.add(side, beside / alone)
        bench.say(f"puts beside watchers {side}: {plain.value(side):.1f} us alone, {other.value(side):.1f} beside, {own.value(side):.1f} watched")


def stalled(bench, sides):
    """Runs of puts with and without 1,000 watchers that read nothing, in turn."""
    grown = bench.report.figure("stalled_rss", "1,000 stalled watchers while 50,000 puts of 256 B pass them: RSS over before", "MB", limit=("≤", 100))
    p50 = bench.report.figure("stalled_p50", "put p50 beside them over without", "×", limit=("≤", 1.05))
    p99 = bench.report.figure("stalled_p99", "put p99 beside them over without", "×", limit=("≤", 1.3))
    for side, server in sides.items():
        calls = bench.calls(50_000 if side == "etcdpp" else 20_000)
        ratios = {"p50_us": [], "p99_us": []}
        bench.generate(server, calls, key_prefix="stall/", streams=10)
        for _ in range(bench.options.runs):
            settle(server)
            before = server.rss_bytes()
            alone = bench.generate(server, calls, key_prefix="stall/", streams=10)
            with Load(bench.load, server, watchers=1_000, streams=1_000, connections=100, distinct="stall/", stall=True) as _:
                # They fall behind first: what is measured is their being behind.
                bench.generate(server, calls, key_prefix="stall/", streams=10)
                beside = bench.generate(server, calls, key_prefix="stall/", streams=10)
                grown.add(side, (server.rss_bytes() - before) / 1e6)
            for name in ratios:
                ratios[name].append(beside[name] / alone[name])
        for ratio in ratios["p50_us"]:
            p50.add(side, ratio)
        for ratio in ratios["p99_us"]:
            p99.add(side, ratio)
        bench.say(f"stalled watchers {side}: +{grown.value(side):.0f} MB, put p50 x {p50.value(side):.2f}, p99 x {p99.value(side):.2f}")


def measure(bench):
    sides = bench.pair("watch")
    try:
        fan_out(bench, sides)
        idle(bench, sides)
        beside_puts(bench, sides)
        stalled(bench, sides)
    finally:
        bench.end(sides)
