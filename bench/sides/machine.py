"""What the hypervisor takes from a virtual machine: CPU time and latencies of such a moment are not the servers' own.

A host gives processors to its other machines when those want them, up to half of ours for minutes. Where /proc/stat counts no
stolen time all shares are 0 and nothing waits.
"""

import os
import subprocess
import sys
import time

LITTLE = 0.02


class Stolen:
    """The share of all processor time that was stolen since the last look."""

    def __init__(self):
        self.before = self.read()

    @staticmethod
    def read():
        with open("/proc/stat") as stat:
            ticks = [int(field) for field in stat.readline().split()[1:9]]  # user to steal; guests are counted in user
        return ticks[7], sum(ticks)

    def share(self):
        now = self.read()
        stolen, ticks = now[0] - self.before[0], now[1] - self.before[1]
        self.before = now
        return stolen / ticks if ticks else 0.0


def stolen_when_busy():
    """The share that is taken while all processors have something to do; an idle machine has nothing to steal from."""
    stolen = Stolen()
    spin = "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass"
    for busy in [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(os.cpu_count())]:
        busy.wait()
    return stolen.share()


def rest(patience):
    """Waits for the processors to be whole, at most `patience` seconds. The seconds that it took; the share stolen in the end."""
    begin = time.monotonic()
    while patience > 0:
        share = stolen_when_busy()
        waited = time.monotonic() - begin
        if share <= LITTLE or waited + 10 > patience:
            return waited, share
        time.sleep(10)
    return 0.0, 0.0
