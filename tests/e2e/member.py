"""A member of a cluster of one on loopback, as an operator starts it, and checks that are counted."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench"))
from sides.servers import free_port  # noqa: E402,F401  (for those who import this)

# Nothing of the caller's may configure a program that is started here.
ENV = {k: v for k, v in os.environ.items() if not k.startswith(("ETCD_", "ETCDCTL_"))}
START_SECONDS = 120
checks = 0
failures = []


def check(what, good, detail=""):
    global checks
    checks += 1
    if not good:
        failures.append(what)
        print(f"FAILED: {what}\n  {str(detail)[-2000:]}", flush=True)
    return good


def check_equal(what, got, want):
    return check(what, got == want, f"got:  {got!r}\n  want: {want!r}")


def end():
    """What a test that has come to its end says and exits with."""
    print(f"{len(failures)} of {checks} checks failed" if failures else f"{checks} checks passed", flush=True)
    sys.exit(1 if failures else 0)


def read(path):
    with open(path, errors="replace") as f:
        return f.read()


class Member:
    """Started on new ports, unless told; `flags` (name: value) win over the usual ones. `ready`: it serves; else it has ended,
    which is for the caller to judge. Its log is beside its directory, or in a folder of its own. It says the same peer URL at
    every start, nobody's unless `own_peer_url`."""

    def __init__(self, ctl, server, directory, flags=(), *, port=None, peer_port=None, own_peer_url=False, env=ENV, preexec=None, wait=True, log_folder=None):
        self.ctl_program, self.directory, self.env = ctl, directory, env
        self.port, self.peer_port = port or free_port(), peer_port or free_port()
        self.log_path = os.path.join(log_folder or os.path.dirname(directory), f"{os.path.basename(directory)}.log.{self.port}.{time.monotonic_ns()}")
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.peer_port}"
        said, flags = peer if own_peer_url else "http://127.0.0.1:1", dict(flags)
        arguments = {"--name": "m1", "--data-dir": directory, "--listen-client-urls": client, "--advertise-client-urls": client,
                     "--listen-peer-urls": peer, "--initial-advertise-peer-urls": said,
                     "--initial-cluster": f"{flags.get('--name', 'm1')}={said}"} | flags
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([server, *(f"{flag}={value}" for flag, value in arguments.items())], stdout=log, stderr=log,
                                            env=env, preexec_fn=preexec)
        self.ready = wait and self.await_ready()

    def log(self):
        return read(self.log_path)

    def await_ready(self):
        """True when it serves, false when it has ended."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if "ready to serve client requests" in self.log():
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.02)
        self.process.kill()
        sys.exit(f"neither ready nor ended after {START_SECONDS} s:\n{self.log()[-3000:]}")

    def must_be_ready(self):
        if not self.ready:
            sys.exit(f"the member did not start:\n{self.log()[-2000:]}")
        return self

    def ctl(self, *arguments, stdin=b"", seconds=60):
        done = subprocess.run([self.ctl_program, "--endpoints", f"127.0.0.1:{self.port}", *arguments], input=stdin, capture_output=True,
                              env=self.env, timeout=seconds)
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")

    def end(self, kill=False, seconds=60):
        (self.process.kill if kill else self.process.terminate)()
        return self.process.wait(seconds)
