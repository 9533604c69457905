#!/usr/bin/env python3
"""A member's log with one byte flipped at each place, and cut at each length: what waldump says and what etcdppd does.

usage: wal_damage.py <etcdppctl> <etcdppd>          (waldump is expected beside etcdppd)

The judge is a reader of its own, written from docs/formats/wal.md: where etcd's rule ends the log, and what is missing then.
waldump is asked about every place; etcdppd is started on a sample of them, on a database that has applied all of the log, and on
one that has applied only its beginning. Then what an operator does next: --force-truncate-wal, and waldump --salvage.
"""

import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

from member import ENV, Member, check, end as end_of_test

CTL, SERVER = sys.argv[1], sys.argv[2]
WALDUMP = os.path.join(os.path.dirname(SERVER), "waldump")
WORK = tempfile.mkdtemp(prefix="etcdpp-wal-damage-")
SEGMENT = "0000000000000000-0000000000000000.wal"
BATCH = 200
TAIL = 600  # zeros behind the end that stay, more than a sector
random.seed(7)

# --- The judge.

TABLE = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(crc, data):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def fields(data):
    """{number: last value} of a protobuf message, bytes under (number, "bytes"), groups left out; or None."""
    found, at, groups = {}, 0, []

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise ValueError
            byte = data[at]
            at += 1
            if shift == 63 and byte > 1:
                raise ValueError
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    try:
        while at < len(data):
            tag = varint()
            number, kind = tag >> 3, tag & 7
            if not 1 <= number < 1 << 29 or kind > 5:
                return None
            value = None
            if kind == 0:
                value = varint()
            elif kind in (1, 5):
                at += 8 if kind == 1 else 4
                if at > len(data):
                    return None
            elif kind == 2:
                length = varint()
                if length > len(data) - at:
                    return None
                value = data[at:at + length]
                at += length
            elif kind == 3:
                groups.append(number)
            elif not groups or groups.pop() != number:
                return None
            if not groups and value is not None:
                found[(number, "bytes") if kind == 2 else number] = value
    except ValueError:
        return None
    return None if groups else found


def torn(body, offset):
    while body:
        piece = body[:512 - offset % 512]
        if not any(piece):
            return True
        body, offset = body[len(piece):], offset + len(piece)
    return False


class Verdict:
    """outcome: "ends", "torn" or "refused"; place: the byte; index: the last entry; commit; owner known."""

    def __init__(self):
        self.outcome, self.place, self.index, self.commit, self.owner, self.hidden = "ends", 0, 0, 0, False, False


def judge(data):
    v = Verdict()
    at = crc = 0
    metadata = None

    def end(outcome):
        v.outcome, v.place = outcome, at
        if v.outcome != "refused" and (not v.owner or v.commit > v.index):
            v.outcome = "refused"
        return v

    while True:
        if at == len(data):
            return end("ends")
        if len(data) - at < 8:
            return end("torn")
        word = struct.unpack_from("<Q", data, at)[0]
        if word == 0:
            v.hidden = any(data[at:])
            return end("ends")
        length = word & 0x00FFFFFFFFFFFFFF
        padding = (word >> 56) & 7 if word >> 63 else 0
        if at + 8 + length + padding > len(data):
            return end("torn")
        body = data[at + 8:at + 8 + length + padding]
        record = fields(body[:length])
        if record is None:
            return end("torn" if torn(body, at + 8) else "refused")
        kind, stored, payload = record.get(1, 0), record.get(2, 0) & 0xFFFFFFFF, record.get((3, "bytes"), b"")
        if kind == 4:
            if crc not in (0, stored):
                return end("refused")
            crc = stored
        else:
            crc = crc32c(crc, payload)
            if crc != stored:
                return end("torn" if torn(body, at + 8) else "refused")
        said = fields(payload)
        if kind == 1:
            if said is None or metadata not in (None, payload):
                return end("refused")
            metadata, v.owner = payload, True
        elif kind == 2:
            if said is None or said.get(1, 0) > 2 or said.get(3, 0) > v.index + 1:
                return end("refused")
            v.index = said.get(3, 0)
        elif kind == 3:
            if said is None:
                return end("refused")
            v.commit = said.get(3, 0)
        elif kind == 5:
            if said is None or fields(said.get((3, "bytes"), b"")) is None:
                return end("refused")
            if said.get(1, 0) == 0 and said.get(2, 0) != 0:
                return end("refused")  # the start marker with another term
        elif kind != 4:
            return end("refused")
        at += 8 + length + padding


# --- The programs.

def waldump(*arguments, seconds=60):
    done = subprocess.run([WALDUMP, *arguments], capture_output=True, timeout=seconds, env=ENV)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


class Server(Member):
    def __init__(self, directory, **flags):
        super().__init__(CTL, SERVER, directory, flags)

    def ctl(self, *arguments):
        code, out = super().ctl(*arguments)
        return out if code == 0 else f"exit {code}: {out}"


def wal_of(directory):
    return os.path.join(directory, "member", "wal")


def read_log(directory):
    with open(os.path.join(wal_of(directory), SEGMENT), "rb") as f:
        return f.read(1 << 20)


def with_log(name, source, data):
    """A copy of a data directory with another log."""
    directory = os.path.join(WORK, name)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(os.path.join(directory, "member"))
    for folder in ("etcdpp", "snap"):
        subprocess.run(["cp", "-r", "--sparse=always", os.path.join(source, "member", folder), os.path.join(directory, "member", folder)], check=True)
    os.makedirs(wal_of(directory))
    with open(os.path.join(wal_of(directory), SEGMENT), "wb") as f:
        f.write(data)
    return directory


def make_members():
    """(data directory whose database has applied all of the log, one whose database has applied its beginning, the log)"""
    young = os.path.join(WORK, "young")
    server = Server(young)
    server.ctl("put", "k0", "v0")
    server.end()
    full = os.path.join(WORK, "full")
    subprocess.run(["cp", "-r", "--sparse=always", young, full], check=True)
    server = Server(full)
    for i in range(1, 8):
        server.ctl("put", f"k{i}", f"v{i}" * 20 * (i % 3))
    server.end()
    data = read_log(full)
    end = judge(data)
    check("the log made for this ends cleanly", end.outcome == "ends" and end.index > 8, vars(end))
    return full, young, data[:end.place + TAIL], end


# --- The checks.

def variants(data, end):
    """(name, bytes) of everything that is tried."""
    for length in range(end.place + 16):
        yield f"cut at {length}", data[:length]
    for place in range(end.place + 16):
        flip = 1 << random.randrange(8)
        yield f"flipped {flip:#04x} at {place}", data[:place] + bytes([data[place] ^ flip]) + data[place + 1:]


def ask_waldump(data, end):
    everything = list(variants(data, end))
    counts = {}
    for first in range(0, len(everything), BATCH):
        batch = everything[first:first + BATCH]
        paths = [os.path.join(WORK, "asked", str(i), SEGMENT) for i in range(len(batch))]
        for path, (_, damaged) in zip(paths, batch):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(damaged)
        _, text = waldump("--verify", "-o", "json", *paths)
        said = [entry for entry in map(json.loads, text.splitlines()) if "verdict" in entry]
        if not check("waldump: one verdict for each log", len(said) == len(batch), text[-1000:]):
            return
        for entry, path, (name, damaged) in zip(said, paths, batch):
            expected = judge(damaged)
            code = entry["exit-code"]
            counts[code] = counts.get(code, 0) + 1
            wanted = {"torn": (3,), "refused": (4,), "ends": (5, 6) if expected.hidden else (0, 6)}[expected.outcome]
            good = check(f"waldump, {name}: verdict", code in wanted, f"{code}, not {wanted}; the judge: {vars(expected)}\n{entry}")
            if good and code in (3, 4):
                check(f"waldump, {name}: byte", f"at byte {expected.place} of {path}" in entry["text"], f"the judge: {vars(expected)}\n{entry}")
            with open(path, "rb") as f:
                check(f"waldump, {name}: only looks", f.read() == damaged)
        # The process's own exit code, and every other question, of one of them.
        entry, path = random.choice(list(zip(said, paths)))
        for question in (["--verify"], [], ["--frames", "--hex"], ["--summary"], ["--history", "k1"]):
            code, text = waldump(*question, path)
            check(f"waldump {question}: exit code", code == entry["exit-code"], f"{code}: {text}")
    check("every verdict was seen", all(counts.get(code, 0) > 5 for code in (0, 3, 4)), counts)
    print(f"waldump: {sum(counts.values())} logs, exit codes {counts}", flush=True)


def start_on(name, source, damaged, applied):
    """etcdppd on this log and a database that has applied so far: starts, cuts or refuses, as the judge says."""
    directory = with_log("start", source, damaged)
    expected = judge(damaged)
    refuses = expected.outcome == "refused" or expected.index < applied
    server = Server(directory)
    what = f"etcdppd, {name}, database at {applied}"
    if not check(f"{what}: {'refuses' if refuses else 'starts'}", server.ready != refuses, f"the judge: {vars(expected)}\n{server.log()[-1500:]}"):
        server.end(kill=True)
        return "wrong"
    broken = os.path.exists(os.path.join(wal_of(directory), SEGMENT + ".broken"))
    if server.ready:
        check(f"{what}: cuts what is torn, and keeps a copy", broken == (expected.outcome == "torn"), server.log()[-1500:])
        check(f"{what}: is written to", server.ctl("put", "new", "value") == "OK\n")
        server.end()
        code, text = waldump("--verify", directory)
        check(f"{what}: the log is sound afterwards", code in (0, 6), text)
        return "cut" if broken else "started"
    check(f"{what}: exit code 1", server.process.returncode == 1, server.process.returncode)
    check(f"{what}: changes nothing", read_log(directory) == damaged and not broken)
    last = server.log().strip().splitlines()[-1]
    entry = json.loads(last)
    check(f"{what}: the last line is fatal", entry["level"] == "fatal", last)
    text = json.dumps(entry)
    wanted = [SEGMENT, str(expected.place), f"waldump --verify {wal_of(directory)}"]
    wanted += [f"index {expected.index}", f"index is {applied}"] if expected.outcome != "refused" else []
    check(f"{what}: names file, offset, index and what to run", all(word in text for word in wanted), f"{wanted} in {last}")
    return "refused"


def ask_etcdppd(full, young, data, end):
    everything = list(variants(data, end))
    half = len(everything) // 2
    sample = random.sample(everything[:half], 4) + random.sample(everything[half:], 7)
    # Two that must be there: a zero length word in the middle, and a tail that a crash tore.
    offsets, at = [], 0
    while at < end.place:
        offsets.append(at)
        word = struct.unpack_from("<Q", data, at)[0]
        at += 8 + (word & 0x00FFFFFFFFFFFFFF) + ((word >> 56) & 7)
    middle = offsets[-3]
    sample.append(("a zeroed length word", data[:middle] + bytes(8) + data[middle + 8:]))
    sample.append(("a torn tail", data[:end.place] + struct.pack("<Q", 1000) + random.randbytes(100) + bytes(TAIL)))
    counts = {}
    young_index = judge(read_log(young)).index
    for name, damaged in sample:
        for source, applied in ((full, end.index), (young, young_index)):
            did = start_on(name, source, damaged, applied)
            counts[did] = counts.get(did, 0) + 1
    check("etcdppd did all three", all(counts.get(did, 0) > 0 for did in ("started", "cut", "refused")), counts)
    print(f"etcdppd: {len(sample)} logs, twice: {counts}", flush=True)
    return middle


def force(full, data, end, middle):
    directory = with_log("force", full, data[:middle] + bytes(8) + data[middle + 8:])
    server = Server(directory)
    check("synced data is missing: refused", not server.ready and "--force-truncate-wal" in server.log(), server.log()[-1000:])
    server = Server(directory, **{"--force-truncate-wal": "true"})
    if not check("forced: starts", server.ready, server.log()[-1500:]):
        return
    warned = [json.loads(line) for line in server.log().splitlines() if "SYNCED DATA IS MISSING" in line]
    check("forced: loudly", len(warned) == 1 and warned[0]["level"] == "warn", server.log()[-1500:])
    for i in range(8):
        check(f"forced: k{i} is there", server.ctl("get", f"k{i}", "--print-value-only") != "")
    for i in range(20):
        check(f"forced: new key {i}", server.ctl("put", f"new{i}", "v") == "OK\n")
    server.end(kill=True)
    check("forced: a copy is kept", os.path.exists(os.path.join(wal_of(directory), SEGMENT + ".broken")))
    server = Server(directory)
    check("forced once: not needed again", server.ready, server.log()[-1500:])
    check("forced once: what was written is there", server.ctl("get", "new19", "--print-value-only") == "v\n")
    server.end()
    code, text = waldump("--verify", directory)
    check("forced once: the log is sound", code == 0, text)


def salvage(full, data, end):
    """A log that is refused, salvaged, beside the database that has applied it: starts."""
    place = end.place // 2
    directory = with_log("salvage", full, data[:place] + bytes([data[place] ^ 4]) + data[place + 1:])
    server = Server(directory)
    check("damaged: refused", not server.ready)
    code, text = waldump("--salvage", os.path.join(WORK, "saved"), directory)
    check("salvaged", code == 0 and "lost " in text, text)
    code, text = waldump("--verify", os.path.join(WORK, "saved"))
    check("salvaged: sound", code == 0, text)
    shutil.rmtree(wal_of(directory))
    shutil.copytree(os.path.join(WORK, "saved"), wal_of(directory))
    server = Server(directory)
    if check("salvaged: starts", server.ready, server.log()[-1500:]):
        check("salvaged: is written to", server.ctl("put", "new", "value") == "OK\n")
        check("salvaged: all is there", all(server.ctl("get", f"k{i}", "--print-value-only") for i in range(8)))
        server.end()


def main():
    try:
        full, young, data, end = make_members()
        ask_waldump(data, end)
        middle = ask_etcdppd(full, young, data, end)
        force(full, data, end, middle)
        salvage(full, data, end)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    end_of_test()


main()
