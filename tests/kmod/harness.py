# SPDX-License-Identifier: GPL-2.0-or-later
"""What the module's tests share: loading it, its counters, waiting, and the results."""

import contextlib
import os
import re
import subprocess
import threading
import time
import traceback

from network import run

COUNTERS = "/sys/kernel/synward/counters"
PARAMETERS = "/sys/module/synward/parameters"
COMPLAINTS = re.compile(
    r"WARNING:|BUG:|BUG |INFO: (rcu|task|trying|possible)|Oops|general protection|KASAN|UBSAN|suspected memory leak|"
    r"suspicious RCU|inconsistent lock|possible recursive|possible circular|refcount_t|stall"
)


class Skip(Exception):
    """The kernel lacks what the test is about."""


def may_skip(test):
    """Whether this kernel is known to lack what the test is about; any other skip would hide that it never runs."""
    sanitizer = "sanitizer" in os.uname().release
    if test.startswith("memory."):
        return not sanitizer  # only that kernel can fail allocations
    if sanitizer and not test.startswith("cookie."):
        return True  # it has but two types of sets
    before_6_9 = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (6, 9)
    return test.startswith("cookie.") and before_6_9


def module_path():
    path = os.environ.get("SYNWARD_MODULE", "")
    if not os.path.exists(path):
        raise SystemExit(f"tests/kmod: no module at SYNWARD_MODULE='{path}': run tests/guest/run, which builds it")
    return path


def load(*parameters):
    if not os.path.isdir("/sys/module/synward"):
        # insmod brings nothing along; where ip_set is built in, there is nothing to bring
        subprocess.run(["modprobe", "-q", "ip_set"], check=False)
        run("insmod", module_path(), *parameters)


def unload():
    run("rmmod", "synward")


def file_text(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def counters():
    return {name: int(file_text(f"{COUNTERS}/{name}")) for name in os.listdir(COUNTERS)}


def eventually(what, question, seconds=20):
    """Waits until question() is true."""
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


def same(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, expected {wanted!r}")


def true(what, value):
    if not value:
        raise AssertionError(what)


@contextlib.contextmanager
def counted(**wanted):
    """Within it the module counts exactly this, and nothing else."""
    before = counters()

    def difference():
        return {name: value - before[name] for name, value in counters().items() if value != before[name]}

    yield
    wanted = {name: value for name, value in wanted.items() if value}
    deadline = time.monotonic() + 10
    while difference() != wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    same("counters", difference(), wanted)


WAYS_OUT = ("ring_accepted", "ring_dropped", "ring_expired", "ring_closed", "ring_device_gone")


@contextlib.contextmanager
def conserved(at_least=1):
    """
    Of what is held within it, each packet leaves once, and in one of the ways out: what is counted in
    and what is counted out is the same when no ring is open any more. At least so many are.
    """
    before = counters()
    yield
    after = counters()
    grown = {name: after[name] - before[name] for name in after}
    same(f"packets that left are those that were held: {grown}", sum(grown[name] for name in WAYS_OUT), grown["ring_held"])
    true(f"packets were held: {grown}", grown["ring_held"] >= at_least)


class Responder(threading.Thread):
    """A reader in a thread of its own: answers every frame by `decide(frame)` -> (kind, mark, mask)."""

    def __init__(self, ring, decide=lambda frame: (0, 0, 0), slow=0):
        super().__init__(daemon=True)
        self.ring, self.decide, self.slow = ring, decide, slow
        self.frames = 0
        self.longest = 0
        self.largest = 0
        self.stopping = False
        self.error = None

    def run(self):
        from ring import verdict

        try:
            while not self.stopping:
                if not self.ring.poll(0.05):
                    continue
                frames = self.ring.read()
                if self.slow:
                    time.sleep(self.slow)
                self.ring.write(b"".join(verdict(frame, *self.decide(frame)) for frame in frames))
                self.frames += len(frames)
                self.longest = max([self.longest] + [frame.length for frame in frames])
                self.largest = max([self.largest] + [frame.gso_segments for frame in frames])
        except Exception as error:  # told by stop(), in the test's own thread
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.join()
        if self.error:
            raise self.error


@contextlib.contextmanager
def child(work):
    """A process that runs work(ready) until it is killed; ready() lets the test go on."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.close(read_end)
            work(lambda: os.write(write_end, b"1"))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write_end)
    try:
        true("the child process is ready", os.read(read_end, 1) == b"1")
        yield pid
    finally:
        os.close(read_end)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def status_of(work):
    """Runs work() in a child and returns what it returns, a string."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(write_end, str(work()).encode())
        except BaseException as error:
            os.write(write_end, repr(error).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return text


def kernel_log():
    return subprocess.run(["dmesg"], text=True, capture_output=True, check=True).stdout.splitlines()


def complaints(lines):
    return [line for line in lines if COMPLAINTS.search(line)]


KMEMLEAK = "/sys/kernel/debug/kmemleak"


def scan_leaks(then):
    """`then`: "scan", or "clear" to forget what others have lost before."""
    subprocess.run(["mount", "-t", "debugfs", "debugfs", "/sys/kernel/debug"], capture_output=True, check=False)
    if not os.path.exists(KMEMLEAK):
        return []
    for command in ("scan", "scan", then):  # an object must stay unseen for some seconds, and for two scans
        time.sleep(6)
        with open(KMEMLEAK, "w", encoding="ascii") as file:
            file.write(command)
    return file_text(KMEMLEAK).splitlines()
