"""What a server asks of its disk, counted from outside with strace."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

CALL = re.compile(r"(?P<name>write|pwrite64|fdatasync|fsync)\(\d+<(?P<path>[^>]*)>")


class Trace:
    """strace attached to a server while a load runs. Counts its syncs by file, and the writes into its log."""

    def __init__(self, pid):
        self.pid = pid
        self.syncs = {}
        self.log_writes = 0

    @staticmethod
    def possible():
        return shutil.which("strace") is not None

    @property
    def log_syncs(self):
        return sum(count for name, count in self.syncs.items() if name.endswith(" of the log"))

    def run(self, load):
        with tempfile.NamedTemporaryFile(mode="r", suffix=".strace") as out:
            tracer = subprocess.Popen(["strace", "-f", "-y", "-s", "0", "-e", "trace=write,pwrite64,fdatasync,fsync", "-o", out.name,
                                       "-p", str(self.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(1.0)
            if tracer.poll() is not None:
                raise RuntimeError("strace cannot attach: " + tracer.stderr.read().decode().strip())
            try:
                answer = load()
            finally:
                tracer.send_signal(signal.SIGINT)
                tracer.wait()
            for line in out:
                self.count(line)
        return answer

    def count(self, line):
        call = CALL.search(line)
        if not call:
            return
        in_log = "/wal/" in call["path"]
        if call["name"] in ("fdatasync", "fsync"):
            what = f"{call['name']} of {'the log' if in_log else os.path.basename(call['path'])}"
            self.syncs[what] = self.syncs.get(what, 0) + 1
        elif in_log:
            self.log_writes += 1
