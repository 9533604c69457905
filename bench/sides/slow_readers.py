"""Clients that ask for one long Range each and then read it slowly: raw HTTP/2, because a library would read ahead.

Every other client leaves HTTP/2's windows at their 65,535 bytes and opens them by what it has read; the rest open them to
16 MiB at once, so that only the socket holds the server back.
"""

import selectors
import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
WIDE = (16 << 20) - 65535


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(name, value):
    """A header field in HPACK's literal form without indexing: no table, no Huffman code."""
    assert len(name) < 127 and len(value) < 127
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def range_request(prefix, more_fields=b""):
    end = prefix[:-1] + bytes([prefix[-1] + 1])
    return b"\x0a" + varint(len(prefix)) + prefix + b"\x12" + varint(len(end)) + end + b"\x38\x01" + more_fields


class SlowReader:
    def __init__(self, port, prefix, wide, more_fields=b""):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.wide = wide
        self.pending = b""
        self.answer_bytes = 0  # of DATA frames
        self.ended = False
        message = range_request(prefix, more_fields)
        headers = b"".join(field(n, v) for n, v in [
            (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/etcdserverpb.KV/Range"),
            (b":authority", b"127.0.0.1"), (b"content-type", b"application/grpc"), (b"te", b"trailers")])
        settings = struct.pack(">HI", 4, 16 << 20) if wide else b""
        out = PREFACE + frame(SETTINGS, 0, 0, settings)
        if wide:
            out += frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WIDE))
        out += frame(HEADERS, 4, 1, headers)
        out += frame(DATA, 1, 1, b"\0" + struct.pack(">I", len(message)) + message)
        self.socket.sendall(out)
        self.socket.setblocking(False)

    def read(self, room):
        try:
            got = self.socket.recv(room)
        except BlockingIOError:
            return
        if not got:
            self.ended = True
            return
        self.pending += got
        taken, at, out = 0, 0, b""
        while len(self.pending) - at >= 9:
            size = int.from_bytes(self.pending[at:at + 3], "big")
            if len(self.pending) - at < 9 + size:
                break
            kind, flags = self.pending[at + 3], self.pending[at + 4]
            if kind == DATA:
                taken += size
            elif kind == SETTINGS and not flags & 1:
                out += frame(SETTINGS, 1, 0)
            elif kind == PING and not flags & 1:
                out += frame(PING, 1, 0, self.pending[at + 9:at + 9 + size])
            if kind in (DATA, HEADERS) and flags & 1:
                self.ended = True
            at += 9 + size
        self.pending = self.pending[at:]
        self.answer_bytes += taken
        if taken:
            update = struct.pack(">I", taken)
            out += frame(WINDOW_UPDATE, 0, 0, update) + frame(WINDOW_UPDATE, 0, 1, update)
        if out:
            self.socket.setblocking(True)
            self.socket.sendall(out)
            self.socket.setblocking(False)


def read_whole(port, prefix):
    """Bytes of a whole answer, read as fast as it comes."""
    reader = SlowReader(port, prefix, wide=True)
    waiting = selectors.DefaultSelector()
    waiting.register(reader.socket, selectors.EVENT_READ)
    deadline = time.monotonic() + 60
    while not reader.ended and time.monotonic() < deadline:
        waiting.select(1)
        reader.read(1 << 20)
    reader.socket.close()
    return reader.answer_bytes


def read_slowly(port, prefix, clients, bytes_per_second, seconds, sample):
    """Runs the clients for so many seconds, calling sample() ten times a second; returns the bytes that each has read."""
    readers = [SlowReader(port, prefix, wide=i % 2 == 0) for i in range(clients)]
    interval = 0.1
    share = int(bytes_per_second * interval)
    begin = time.monotonic()
    turn = 0
    while time.monotonic() - begin < seconds:
        for reader in readers:
            if not reader.ended:
                reader.read(share)
        sample()
        turn += 1
        time.sleep(max(0.0, begin + turn * interval - time.monotonic()))
    for reader in readers:
        reader.socket.close()
    return [reader.answer_bytes for reader in readers]
