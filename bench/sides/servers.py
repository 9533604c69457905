"""Two servers under the same flags, each in a directory of its own on loopback, and what /proc says of them."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One member of a cluster of one. start() returns the seconds until /health said true."""

    def __init__(self, name, program, directory):
        self.name = name
        self.program = program
        self.directory = os.path.join(directory, name)
        self.log = self.directory + ".log"
        self.client_port, self.peer_port = free_port(), free_port()
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.client_port}"

    @property
    def pid(self):
        return self.process.pid

    def flags(self):
        client, peer = f"http://{self.address}", f"http://127.0.0.1:{self.peer_port}"
        return ["--name", "m", "--data-dir", self.directory, "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"m={peer}",
                "--quota-backend-bytes", str(8 << 30), "--log-level", "warn"]

    def start(self):
        begin = time.monotonic()
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([self.program, *self.flags()], stdout=log, stderr=log)
        while time.monotonic() - begin < 60:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at once with {self.process.returncode}; see {self.log}")
            try:
                with urllib.request.urlopen(f"http://{self.address}/health", timeout=1) as answer:
                    if b'"true"' in answer.read():
                        return time.monotonic() - begin
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.002)
        raise RuntimeError(f"{self.name} is not healthy after 60 s; see {self.log}")

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def wipe(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def cpu_seconds(self):
        """User and system time of all its threads, ended ones included."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/statm") as statm:
            return int(statm.read().split()[1]) * PAGE

    def anonymous_bytes(self):
        """Resident memory that is no page of a file: the map of a database counts in rss_bytes, not here."""
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        return 0

    def metric(self, name):
        """The sum of a metric's series, or None if the server has none of that name."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=10) as answer:
                text = answer.read().decode()
        except (urllib.error.URLError, OSError):
            return None
        values = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith((name + " ", name + "{"))]
        return sum(values) if values else None
