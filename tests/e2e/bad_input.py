#!/usr/bin/env python3
"""etcdppd and everything that an operator, a disk or a stranger on the network may put before it.

usage: bad_input.py <etcdppctl> <etcdppd>

Three parts: what it refuses to start with (one clear line, exit code 1), what is done to a running server's port (an honest
client notices nothing), and damage to its files (repaired or refused by name). Whatever happens, no process may die by a signal
that it did not get from here.
"""

import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request

import member
from member import Member, check, free_port

CTL, SERVER = sys.argv[1], sys.argv[2]
SAMPLES = os.path.join("..", "shared", "testdata", "etcd")
WORK = tempfile.mkdtemp(prefix="etcdpp-bad-input-")
# What AddressSanitizer keeps of freed memory would look like the server's own.
ENV = member.ENV | {"ASAN_OPTIONS": ":".join(filter(None, [member.ENV.get("ASAN_OPTIONS"), "quarantine_size_mb=16"]))}
random.seed(20)


def skip(what, why):
    print(f"SKIPPED: {what}: {why}", flush=True)


def fresh(name):
    path = os.path.join(WORK, name)
    os.makedirs(path)
    return path


def fatal_of(log):
    """The fatal line of a log, or none; every line that looks like one must be JSON."""
    fatal = None
    for line in log.splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            if entry["level"] == "fatal":
                fatal = entry
    return fatal


class Server(Member):
    def __init__(self, directory, *flags, port=None, preexec=None, wait=True):
        super().__init__(CTL, SERVER, directory, zip(flags[::2], flags[1::2]), port=port, env=ENV, preexec=preexec, wait=wait, log_folder=WORK)

    def put(self, key, value):
        code, out = self.ctl("put", key, stdin=value) if isinstance(value, bytes) else self.ctl("put", key, value)
        return check(f"put {key}", code == 0, out[-500:])

    def get(self, key):
        return self.ctl("get", key, "--print-value-only")[1].rstrip("\n")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def alive(self, what):
        return check(f"{what}: the server lives", self.process.poll() is None,
                     f"exit {self.process.returncode}\n{self.log()[-2000:]}")

    def rss_mb(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) // 1024

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self, sig=signal.SIGTERM, seconds=20):
        self.process.send_signal(sig)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            check(f"signal {sig} ends the server within {seconds} s", False, self.log()[-2000:])
        return self.process.returncode


def refused(what, directory, words, *flags, preexec=None, code=1):
    """The server must not start, and say why in one line."""
    server = Server(directory, *flags, preexec=preexec, wait=False)
    if server.await_ready():
        server.end()
        check(f"{what}: refused", False, "it serves clients")
        return
    judge_refusal(what, server, words, code)


def judge_refusal(what, server, words, code=1):
    log = server.log()
    check(f"{what}: exit code {code}", server.process.returncode == code, f"exit {server.process.returncode}\n{log[-1500:]}")
    last = log.strip().splitlines()[-1] if log.strip() else ""
    try:
        entry = json.loads(last)
    except ValueError:
        check(f"{what}: the last line is a JSON log line", False, log[-1500:])
        return
    check(f"{what}: the last line is fatal", entry.get("level") == "fatal", last)
    text = json.dumps(entry)
    check(f"{what}: says why", all(word in text for word in words), f"wanted {words} in {last}")


def crash(server):
    server.process.kill()
    server.process.wait()


def filled(name, count=20, *flags):
    """A data directory with keys k0…, whose server was killed."""
    directory = fresh(name)
    server = Server(directory, *flags)
    for i in range(count):
        server.put(f"k{i}", f"v{i}")
    crash(server)
    return directory


def wal_of(directory):
    wal = os.path.join(directory, "member", "wal")
    return os.path.join(wal, sorted(n for n in os.listdir(wal) if n.endswith(".wal"))[-1])


def database_of(directory):
    return os.path.join(directory, "member", "etcdpp", "data.lmdb")


def frames(path):
    """(offset, length, padding) of each frame of a segment, and where they end."""
    with open(path, "rb") as f:
        data = f.read()
    found, at = [], 0
    while at + 8 <= len(data):
        field = struct.unpack_from("<q", data, at)[0]
        if field == 0:
            break
        size = field & 0x00FFFFFFFFFFFFFF
        pad = (field >> 56) & 0x7 if field < 0 else 0
        found.append((at, size, pad))
        at += 8 + size + pad
    return found, at


def patch(path, offset, data):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


# --- What it refuses to start with.

def flags_and_places():
    for flags, said in [(["--no-such-flag"], "flag provided but not defined: -no-such-flag"),
                        (["--max-txn-ops", "many"], "max-txn-ops"), (["--max-txn-ops"], "max-txn-ops"),
                        (["--listen-client-urls", "ftp://127.0.0.1:2379"], "URL scheme must be http"),
                        (["--config-file", "/nowhere/etcd.conf"], "/nowhere/etcd.conf")]:
        done = subprocess.run([SERVER, *flags], capture_output=True, env=ENV, timeout=30)
        check(f"{flags}: exit code 1 or 2", done.returncode in (1, 2), done)
        check(f"{flags}: the first line says why", said.encode() in (done.stderr.splitlines() or [b""])[0], done.stderr[:300])

    base = fresh("places")
    for flags, words in [(("--listen-client-urls", "http://example.com:2379"), ["expected IP in URL for binding"]),
                         (("--election-timeout", "1"), ["election-timeout"]),
                         (("--client-cert-auth", "true"), ["not supported yet", "client-cert-auth"]),
                         (("--initial-cluster", "m2=http://127.0.0.1:1"), ["m1"])]:
        server = Server(os.path.join(base, "flag"), *flags, wait=False)
        check(f"{flags}: not started", not server.await_ready(), server.log()[-500:])
        check(f"{flags}: exit code 1", server.process.returncode == 1, f"{server.process.returncode} {server.log()[-500:]}")
        last = server.log().strip().splitlines()[-1]
        check(f"{flags}: says why", all(w in last for w in words), f"wanted {words} in {last}")
        check(f"{flags}: nothing was made", not os.path.exists(os.path.join(base, "flag", "member", "wal")))

    occupied = os.path.join(base, "file")
    open(occupied, "w").close()
    refused("data directory below a file", os.path.join(occupied, "data"), [occupied])
    refused("data directory that is a file", occupied, [occupied])
    refused("data directory in /proc", "/proc/etcdpp", ["/proc/etcdpp"])
    if os.geteuid() == 0:
        skip("data directory without write permission", "root may write everywhere")
    else:
        locked = os.path.join(base, "locked")
        os.makedirs(locked, 0o500)
        refused("data directory without write permission", os.path.join(locked, "data"), [locked, "ermission denied"])

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        refused("port in use", os.path.join(base, "port"), [f"127.0.0.1:{port}", "Address already in use"],
                "--listen-client-urls", f"http://127.0.0.1:{port}")

    server = Server(os.path.join(base, "shared"))
    refused("second process on one data directory", server.directory, ["another process"])
    server.put("a", "b")
    server.alive("after a second process tried")
    server.end()


# --- Data directories of others.

def own_row(path, name, value):
    """Writes a row of tree `own` in place: 8 bytes, format 1, CRC-32C of 0 ‖ name ‖ value ‖ 1."""
    with open(path, "rb") as f:
        data = f.read()
    name = name.encode()
    body = struct.pack(">Q", value)
    row = body + b"\x01" + struct.pack("<I", crc32c(b"\x00" + name + body + b"\x01"))
    at, changed = data.find(name), 0
    while at >= 0:
        if data[at + len(name) + 8:at + len(name) + 9] == b"\x01":
            patch(path, at + len(name), row)
            changed += 1
        at = data.find(name, at + 1)
    return changed


def directories():
    source = filled("mine")

    def copy(name):
        path = os.path.join(WORK, name)
        subprocess.run(["cp", "-r", "--sparse=always", source, path], check=True)
        return path

    future = copy("future")
    check("the format version was found in the file", own_row(database_of(future), "format_version", 99) > 0)
    refused("future format", future, ["newer version", "data.lmdb"])
    other = copy("other-member")
    check("the member id was found in the file", own_row(database_of(other), "member_id", 0xBAD) > 0)
    refused("database of another member", other, ["another member or cluster", "data.lmdb", "bad"])

    stranger = filled("stranger", 3, "--initial-cluster-token", "other")
    mixed = copy("mixed")
    shutil.copy(database_of(stranger), database_of(mixed))
    refused("database of another cluster", mixed, ["another member or cluster"])

    no_wal = copy("no-wal")
    server = Server(no_wal)  # so that the database has applied something
    server.end()
    shutil.rmtree(os.path.join(no_wal, "member", "wal"))
    refused("log missing, database there", no_wal, ["no log", no_wal])
    empty_wal = copy("empty-wal")
    server = Server(empty_wal)
    server.end()
    os.truncate(wal_of(empty_wal), 0)
    refused("log of no bytes", empty_wal, [".wal"])

    no_database = copy("no-database")
    shutil.rmtree(os.path.join(no_database, "member", "etcdpp"))
    server = Server(no_database)
    check("database missing, whole log there: rebuilt", server.get("k19") == "v19", server.get("k19"))
    server.end()

    snapshotted = fresh("snapshotted")
    server = Server(snapshotted, "--snapshot-count", "10")
    for i in range(30):
        server.put(f"k{i}", "v")
    deadline = time.monotonic() + 20
    while "saved snapshot to disk" not in server.log() and time.monotonic() < deadline:
        time.sleep(0.05)
    check("a snapshot was saved", "saved snapshot to disk" in server.log())
    server.end()
    shutil.rmtree(os.path.join(snapshotted, "member", "etcdpp"))
    refused("database missing, log begins at a snapshot", snapshotted, ["database is missing or older", snapshotted])

    for name, change in [("random bytes", lambda p: open(p, "wb").write(random.randbytes(100_000))),
                         ("nothing", lambda p: os.truncate(p, 0)),
                         ("a text", lambda p: open(p, "w").write("this is no database\n")),
                         ("one page", lambda p: os.truncate(p, 4096)),
                         ("half its length", lambda p: os.truncate(p, max(4096, used_pages(p) // 2)))]:
        garbage = copy("garbage-" + name.replace(" ", "-"))
        clean = Server(garbage)
        clean.end()
        change(database_of(garbage))
        refused_or_rebuilt(f"database of {name}", garbage, ["data.lmdb"])
    directory = copy("a-directory")
    os.remove(database_of(directory))
    os.makedirs(database_of(directory))
    refused("a directory for a database", directory, ["data.lmdb"])

    # One flipped bit anywhere in use: found and named, or in a page that is not in use.
    for place in range(12):
        flipped = copy(f"flipped-{place}")
        Server(flipped).end()
        path = database_of(flipped)
        with open(path, "rb") as f:
            data = f.read()
        used = [i for i in range(0, len(data), 64) if data[i:i + 64] != bytes(64)]
        at = random.choice(used) + random.randrange(64)
        patch(path, at, bytes([data[at] ^ (1 << random.randrange(8))]))
        refused_or_rebuilt(f"bit flipped at {at} of the database", flipped, ["data.lmdb"])

    if not os.path.isdir(SAMPLES):
        skip("data directories of etcd", f"{SAMPLES} is not there")
        return
    def unpacked(name, sample):
        directory = fresh(name)
        with tarfile.open(os.path.join(SAMPLES, sample, "datadir.tar.gz")) as tar:
            tar.extractall(directory)
        return directory

    foreign = unpacked("foreign", "a2-auth-downgrade")
    before = sorted(os.listdir(os.path.join(foreign, "member")))
    refused("data directory of etcd with auth", foreign, ["authentication", "snap/db"])
    check("data directory of etcd with auth: untouched", sorted(os.listdir(os.path.join(foreign, "member"))) == before,
          os.listdir(os.path.join(foreign, "member")))
    taken = unpacked("taken", "a-datadir")
    server = Server(taken, wait=False)
    check("data directory of etcd: taken over", server.await_ready(), server.log()[-1500:])
    server.end()
    kept = os.listdir(os.path.join(taken, "member", "snap"))
    check("data directory of etcd: its database is kept", any(name.startswith("db.etcd-") for name in kept) and "db" not in kept, kept)
    for sample in sorted(os.listdir(os.path.join(SAMPLES, "c-wal-damage"))):
        if not sample.endswith(".tar.gz"):
            continue
        damaged = fresh("sample-" + sample)
        with tarfile.open(os.path.join(SAMPLES, "c-wal-damage", sample)) as tar:
            tar.extractall(damaged)
        refused_or_rebuilt(f"etcd's log, {sample}", damaged, [".wal"])


def used_pages(path):
    with open(path, "rb") as f:
        return len(f.read().rstrip(b"\0"))


def refused_or_rebuilt(what, directory, words):
    """Either a clear refusal, or it serves all that it ever acknowledged (damage where nothing is kept)."""
    server = Server(directory, wait=False)
    if not server.await_ready():
        judge_refusal(what, server, words)
        return
    if os.path.basename(directory).startswith("sample"):
        server.alive(what)
    else:
        check(f"{what}: all is there", server.get("k19") == "v19" and server.get("k0") == "v0", server.log()[-1000:])
    server.end()


# --- Damage to its own log.

def log_damage():
    source = filled("log", 40)

    def damaged(name):
        path = os.path.join(WORK, "log-" + name)
        subprocess.run(["cp", "-r", "--sparse=always", source, path], check=True)
        return path

    found, end = frames(wal_of(source))
    check("the log has a record for each put", len(found) > 40, len(found))
    for position in (1, len(found) // 3, len(found) // 2, len(found) - 15):
        offset, size, _ = found[position]
        directory = damaged(f"flip-{position}")
        path = wal_of(directory)
        with open(path, "rb") as f:
            f.seek(offset + 8 + size // 2)
            byte = f.read(1)[0]
        patch(path, offset + 8 + size // 2, bytes([byte ^ 0x10]))
        refused(f"bit flipped in record {position} of the log", directory, [os.path.basename(path), str(offset)])

    # What a crash can leave behind the last record: a length, part of a record, sectors of it.
    body = random.randbytes(1000)
    for name, tail in [("length", struct.pack("<q", 1000)), ("part", struct.pack("<q", 1000) + body[:300]),
                       ("sectors", struct.pack("<q", 1000) + body[:512 - (end + 8) % 512] + bytes(1000)),
                       ("beyond", struct.pack("<q", 60 << 20) + body[:100])]:
        directory = damaged("torn-" + name)
        patch(wal_of(directory), end, tail)
        server = Server(directory, wait=False)
        if check(f"torn tail ({name}): repaired", server.await_ready(), server.log()[-1500:]):
            check(f"torn tail ({name}): all is there", server.get("k39") == "v39")
            check(f"torn tail ({name}): said so", "repair" in server.log(), server.log()[-1500:])
            server.put("k40", "v40")
            crash(server)
            server = Server(directory)
            check(f"torn tail ({name}): writable afterwards", server.get("k40") == "v40", server.log()[-1000:])
            server.end()
        else:
            crash(server)

    truncated = damaged("truncated")
    Server(truncated).end()  # now the database has everything
    offset, _, _ = found[len(found) - 15]
    os.truncate(wal_of(truncated), offset + 5)
    refused("log cut below what the database has", truncated, [".wal"])


# --- A full disk, and signals.

def full_disk():
    def limit(megabytes):
        def set_it():
            resource.setrlimit(resource.RLIMIT_FSIZE, (megabytes << 20, megabytes << 20))
        return set_it

    refused("no room for the first segment", os.path.join(WORK, "tiny"), [".wal", "large"], preexec=limit(8))
    # Room for segments of 64 MB, not for a database of 80.
    server = Server(os.path.join(WORK, "full"), preexec=limit(72))
    value = random.randbytes(350_000).hex().encode()
    code, out, puts = 0, "", 0
    while code == 0 and puts < 200:
        code, out = server.ctl("put", f"k{puts}", stdin=value)
        puts += code == 0
    check("full disk: the client is told", "database space exceeded" in out, f"{puts} puts, exit {code}: {out[-300:]}")
    check("full disk: after many puts", puts > 20, puts)
    server.alive("full disk")
    check("full disk: an alarm stands", "NOSPACE" in server.ctl("endpoint", "status")[1] + server.ctl("alarm", "list")[1],
          server.log()[-1000:])
    check("full disk: reads go on", server.get(f"k{puts - 1}") == value.decode())
    check("full disk: ends in time", server.end() == -signal.SIGTERM)


def signals():
    for sig in (signal.SIGTERM, signal.SIGINT):
        directory = os.path.join(WORK, f"signal-{sig}")
        server = Server(directory)
        server.put("a", str(int(sig)))
        idle = [server.connect() for _ in range(20)]
        watch = subprocess.Popen([CTL, "--endpoints", f"127.0.0.1:{server.port}", "watch", "x"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env=ENV)
        time.sleep(0.3)
        check(f"{sig.name}: dies by it", server.end(sig) == -sig, f"{server.process.returncode}\n{server.log()[-1000:]}")
        watch.kill()
        watch.wait()
        for s in idle:
            s.close()
        server = Server(directory)
        check(f"{sig.name}: nothing lost", server.get("a") == str(int(sig)))
        server.end()
    for i in range(12):  # in the middle of a start
        server = Server(os.path.join(WORK, f"early-{i}"), wait=False)
        while not server.log():
            time.sleep(0.001)
        time.sleep(0.003 * i)
        check(f"SIGTERM {3 * i} ms after the first log line", server.end() == -signal.SIGTERM, f"{server.process.returncode}\n{server.log()[-1000:]}")
    for i in range(30):  # and where a leader is elected, whose first proposals meet a log that is being closed
        server = Server(os.path.join(WORK, f"elected-{i}"), wait=False)
        while "became candidate" not in server.log() and server.process.poll() is None:
            pass
        time.sleep(0.0001 * (i % 15))
        check("SIGTERM at an election", server.end() == -signal.SIGTERM, f"{server.process.returncode}\n{server.log()[-1000:]}")
    server = Server(os.path.join(WORK, "signal-pipe"))
    server.process.send_signal(signal.SIGPIPE)
    time.sleep(0.2)
    server.alive("SIGPIPE")
    server.end()


# --- Strangers on the client port.

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b"", length=None):
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


SETTINGS = frame(4, 0, 0)


def literal(name, value):
    def text(t):
        out, n = bytearray(), len(t)
        if n < 127:
            out.append(n)
        else:
            out.append(127)
            n -= 127
            while n >= 128:
                out.append(n % 128 + 128)
                n //= 128
            out.append(n)
        return bytes(out) + t
    return b"\x00" + text(name.encode()) + text(value if isinstance(value, bytes) else value.encode())


def call_headers(path="/etcdserverpb.KV/Put", *extra):
    headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("content-type", "application/grpc"),
               ("te", "trailers"), *extra]
    return b"".join(literal(n, v) for n, v in headers)


def message(body, compressed=0, length=None):
    return bytes([compressed]) + struct.pack(">I", len(body) if length is None else length) + body


def call(body, path="/etcdserverpb.KV/Put", end=True, *extra):
    """Preface, one call with these DATA bytes."""
    out = PREFACE + SETTINGS + frame(1, 4, 1, call_headers(path, *extra))
    pieces = [body[i:i + 16384] for i in range(0, len(body), 16384)] or [b""]
    for piece in pieces[:-1]:
        out += frame(0, 0, 1, piece)
    return out + frame(0, 1 if end else 0, 1, pieces[-1])


def attacks():
    put = b"\x0a\x01k\x12\x01v"
    yield "nothing", b""
    for n in (1, 3, 10, 23):
        yield f"{n} bytes of the preface", PREFACE[:n]
    yield "preface alone", PREFACE
    yield "preface twice", PREFACE + PREFACE
    yield "random bytes", random.randbytes(65536)
    yield "preface and random bytes", PREFACE + SETTINGS + random.randbytes(65536)
    yield "zeros", bytes(65536)
    yield "a TLS greeting", bytes.fromhex("1603010200010001fc0303") + random.randbytes(507)
    yield "a frame of 16 MB", PREFACE + SETTINGS + frame(0, 0, 1, b"x" * 16384, 0xFFFFFF)
    yield "frames of unknown kinds", PREFACE + SETTINGS + b"".join(frame(k, 0, 0, b"x" * 10) for k in range(10, 256))
    yield "data on stream 0", PREFACE + SETTINGS + frame(0, 1, 0, b"x")
    yield "data on an idle stream", PREFACE + SETTINGS + frame(0, 1, 7, b"x")
    yield "headers that are no HPACK", PREFACE + SETTINGS + frame(1, 5, 1, b"\xff" * 100)
    yield "a table update beyond all limits", PREFACE + SETTINGS + frame(1, 5, 1, b"\x3f\xff\xff\xff\x7f" + call_headers())
    yield "headers of 4 MB", PREFACE + SETTINGS + frame(1, 0, 1, call_headers()) + b"".join(
        frame(9, 0, 1, literal("x" + str(i), b"y" * 16000)) for i in range(256))
    yield "continuations without end", PREFACE + SETTINGS + frame(1, 0, 1, call_headers()) + frame(9, 0, 1) * 20000
    yield "continuation of nothing", PREFACE + SETTINGS + frame(9, 4, 1, call_headers())
    yield "settings without end", PREFACE + frame(4, 0, 0, struct.pack(">HI", 3, 100)) * 20000
    yield "pings without end", PREFACE + SETTINGS + frame(6, 0, 0, b"12345678") * 50000
    yield "priorities without end", PREFACE + SETTINGS + frame(2, 0, 1, bytes(5)) * 20000
    yield "resets without end", PREFACE + SETTINGS + b"".join(
        frame(1, 4, i, call_headers("/etcdserverpb.Watch/Watch")) + frame(3, 0, i, struct.pack(">I", 8)) for i in range(1, 4001, 2))
    yield "streams without end", PREFACE + SETTINGS + b"".join(
        frame(1, 4, i, call_headers("/etcdserverpb.Watch/Watch")) for i in range(1, 8001, 2))
    yield "window of 0", PREFACE + SETTINGS + frame(8, 0, 0, bytes(4))
    yield "window beyond 2^31", PREFACE + SETTINGS + frame(8, 0, 0, b"\x7f\xff\xff\xff") * 2
    yield "settings of odd length", PREFACE + frame(4, 0, 0, b"12345")
    yield "push promise", PREFACE + SETTINGS + frame(5, 4, 1, bytes(4) + call_headers())
    yield "stream ids going down", PREFACE + SETTINGS + frame(1, 4, 9, call_headers()) + frame(1, 4, 3, call_headers())
    yield "GOAWAY from the client", PREFACE + SETTINGS + frame(7, 0, 0, bytes(8))
    yield "a message longer than allowed", call(message(b"x" * 100, 0, 0x7FFFFFFF), end=False)
    yield "a message cut short", call(message(put, 0, 100))
    yield "a message that is no protobuf", call(message(b"\xff" * 50))
    yield "a message with bytes behind it", call(message(put) + b"xyz")
    yield "a compressed message that is not", call(message(b"no gzip", 1), "/etcdserverpb.KV/Put", True, ("grpc-encoding", "gzip"))
    yield "an unknown compression", call(message(put, 1), "/etcdserverpb.KV/Put", True, ("grpc-encoding", "rot13"))
    yield "transactions 10,000 deep", call(message(nested(10_000)), "/etcdserverpb.KV/Txn")
    yield "an unknown method", call(message(put), "/etcdserverpb.KV/Nothing")
    yield "a path of 60 KB", call(message(put), "/" + "x" * 60000)[:16384]
    yield "a bad timeout", call(message(put), "/etcdserverpb.KV/Put", True, ("grpc-timeout", "soon"))
    yield "trailers in the middle", PREFACE + SETTINGS + frame(1, 4, 1, call_headers()) + frame(1, 4, 1, literal("a", "b"))
    yield "a watch of nonsense", call(b"".join(message(random.randbytes(20)) for _ in range(100)), "/etcdserverpb.Watch/Watch", False)
    yield "a GET without end", b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100_000
    yield "one header of 10 MB", b"GET /health HTTP/1.1\r\nX: " + b"y" * 10_000_000
    yield "a target of 1 MB", b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\n\r\n"
    yield "a body of 64 MB announced", b"POST /version HTTP/1.1\r\nHost: x\r\nContent-Length: 67108864\r\n\r\n" + b"x" * 4_000_000
    yield "a length below zero", b"POST /version HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nabc"
    yield "two lengths", b"POST /version HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nabcde"
    yield "length and chunks", b"POST /version HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    yield "chunks of nonsense", b"POST /version HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc"
    yield "a chunk of 2^63", b"POST /version HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nabc"
    yield "an upgrade to nothing", b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    yield "a path out of the tree", b"GET /../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"
    yield "percents of nonsense", b"GET /health?exclude=%zz%00%ff&&&=&%25 HTTP/1.1\r\nHost: x\r\n\r\n"
    yield "a thousand requests at once", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
    yield "a request of 1990", b"GET /\r\n"
    yield "headers with NUL", b"GET /health HTTP/1.1\r\nHo\0st: \0\r\n\r\n"


def nested(depth):
    """A TxnRequest with `depth` transactions in one another, success branches."""
    body = b""
    for _ in range(depth):
        inner = b"\x22" + varint(len(body)) + body        # RequestOp.request_txn
        body = b"\x12" + varint(len(inner)) + inner       # TxnRequest.success
    return body


def varint(n):
    out = bytearray()
    while n >= 128:
        out.append(n % 128 + 128)
        n //= 128
    out.append(n)
    return bytes(out)


class Honest(threading.Thread):
    """A client that wants its puts and gets answered the whole time."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.rounds, self.problems, self.slowest = server, 0, [], 0.0
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            begin = time.monotonic()
            try:
                code, out = self.server.ctl("put", "honest", str(self.rounds))
                if code != 0:
                    self.problems.append(out)
                elif self.server.get("honest") != str(self.rounds):
                    self.problems.append("another value")
            except subprocess.TimeoutExpired:
                self.problems.append("no answer in 30 s")
            self.slowest = max(self.slowest, time.monotonic() - begin)
            self.rounds += 1
            time.sleep(0.05)

    def finish(self):
        self.over.set()
        self.join()
        check("the honest client had its turns", self.rounds > 10, self.rounds)
        check("the honest client noticed nothing", not self.problems, self.problems[:3])


def send_and_look(server, payload):
    """Sends everything, then reads until the server closes or says nothing for a moment."""
    answer = b""
    with server.connect() as s:
        s.settimeout(5)
        try:
            s.sendall(payload)
        except OSError:
            pass  # it has closed already
        s.settimeout(0.15)
        try:
            while len(answer) < 1 << 20:
                piece = s.recv(65536)
                if not piece:
                    break
                answer += piece
        except OSError:
            pass
    return answer


def statuses():
    """What a client is told, through curl, which reads HTTP/2 by itself (but not an answer that comes before its request is out)."""
    if not shutil.which("curl"):
        skip("statuses of bad calls", "there is no curl")
        return
    server = Server(os.path.join(WORK, "statuses"))
    put = b"\x0a\x01k\x12\x01v"
    for what, path, body, headers, status in [
            ("a good put", "KV/Put", message(put), [], 0),
            ("a message longer than allowed", "KV/Put", message(b"x", 0, 0x7FFFFFFF), [], 8),
            ("a message that is no protobuf", "KV/Put", message(b"\xff" * 20), [], 13),
            ("a put without a key", "KV/Put", message(b""), [], 3),
            ("a txn 10,000 deep", "KV/Txn", message(nested(10_000)), [], (3, 13)),
            ("a compressed message that is not", "KV/Put", message(put, 1), ["grpc-encoding: gzip"], 13),
            ("no leader asked for, one there", "KV/Put", message(put), ["hasleader: true"], 0),
            ("a lease that is not there", "Lease/LeaseRevoke", message(b"\x08\x07"), [], 5),
            ("a future revision", "KV/Range", message(b"\x0a\x01k\x20\xff\x01"), [], 11)]:
        file = os.path.join(WORK, "body")
        with open(file, "wb") as f:
            f.write(body)
        done = subprocess.run(["curl", "-s", "--max-time", "20", "--http2-prior-knowledge", "-H", "content-type: application/grpc", "-H", "te: trailers",
                               *(x for h in headers for x in ("-H", h)), "--data-binary", "@" + file, "-D", "-", "-o", "/dev/null",
                               f"http://127.0.0.1:{server.port}/etcdserverpb.{path}"], capture_output=True)
        said = re.findall(rb"^grpc-status: (\d+)\r?$", done.stdout, re.M)
        wanted = status if isinstance(status, tuple) else (status,)
        check(f"{what}: status {status}", len(said) == 1 and int(said[0]) in wanted, done)
    for what, request, answer in [
            ("a request of nonsense", b"NONSENSE\r\n\r\n", 400), ("a negative length", b"POST /version HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
            ("headers of 10 MB", b"GET /health HTTP/1.1\r\nX: " + b"y" * 10_000_000, 431), ("another method", b"DELETE /health HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            ("a path out of the tree", b"GET /../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", (301, 400, 404))]:
        said = send_and_look(server, request)[:12]
        wanted = answer if isinstance(answer, tuple) else (answer,)
        check(f"{what}: {answer}", said[9:12].decode(errors="replace") in map(str, wanted), said)
    server.end()


def descriptors():
    """More connections than the process may have descriptors: no crash, no spinning, and all is well when they have gone."""
    server = Server(os.path.join(WORK, "descriptors"), preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)))
    server.put("a", "b")
    crowd = [server.connect() for _ in range(400)]
    for s in crowd:
        try:
            s.sendall(PREFACE + SETTINGS)
        except OSError:
            pass

    def cpu():
        with open(f"/proc/{server.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    time.sleep(1)
    begin = cpu()
    time.sleep(2)
    server.alive("out of descriptors")
    check("out of descriptors: it does not spin", cpu() - begin < 0.5, cpu() - begin)
    for s in crowd:
        s.close()
    server.put("a", "c")
    check("out of descriptors: serves again", server.get("a") == "c")
    server.end()


def port():
    server = Server(os.path.join(WORK, "port"))
    server.put("stays", "here")
    honest = Honest(server)
    fds, memory = server.fds(), server.rss_mb()
    half_open = [server.connect() for _ in range(300)]
    for i, s in enumerate(half_open):
        s.sendall([b"", b"P", PREFACE, PREFACE + SETTINGS, b"GET /hea", PREFACE + SETTINGS + frame(1, 4, 1, call_headers()) +
                   frame(0, 0, 1, message(b"x", 0, 1000))][i % 6])
    for what, payload in attacks():
        answer = send_and_look(server, payload)
        if not server.alive(what):
            break
        check(f"{what}: not believed", b"etc/passwd" not in answer and b"root:" not in answer)
    # A reader that never reads, of answers that never end.
    deaf = []
    for _ in range(20):
        s = server.connect()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        deaf.append(s)
    time.sleep(1)
    check("memory is bounded under attack", server.rss_mb() < memory + 300, f"{memory} MB before, {server.rss_mb()} MB after")
    honest.finish()
    print(f"  honest client: {honest.rounds} rounds, slowest {honest.slowest:.2f} s; memory {memory} → {server.rss_mb()} MB", flush=True)

    big = random.randbytes(1_000_000).hex().encode()
    code, out = server.ctl("put", "big", stdin=big)
    check("a request that is too large: its status", code != 0 and "request is too large" in out, out[-300:])
    for s in half_open + deaf:
        s.close()
    deadline = time.monotonic() + 10
    while server.fds() > fds and time.monotonic() < deadline:
        time.sleep(0.1)
    check("no descriptor is left behind", server.fds() <= fds, f"{fds} before, {server.fds()} after")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
        check("metrics are there", b"\netcd_server_has_leader 1\n" in answer.read())
    check("what was there is there", server.get("stays") == "here")
    check("ends by the signal", server.end() == -signal.SIGTERM, server.log()[-1000:])


PARTS = [flags_and_places, directories, log_damage, full_disk, signals, statuses, descriptors, port]


def main():
    wanted = sys.argv[3:]
    for part in PARTS:
        if wanted and part.__name__ not in wanted:
            continue
        begin, before = time.monotonic(), member.checks
        part()
        print(f"{part.__name__}: {member.checks - before} checks, {time.monotonic() - begin:.1f} s", flush=True)
    if member.failures:
        print(f"files are in {WORK}")
    else:
        shutil.rmtree(WORK)
    member.end()


main()
