# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory that cannot be had: only in kernels with fault injection (tests/guest/sanitizer)."""

import contextlib
import ctypes
import mmap
import os

import genl
from harness import Responder, Skip, conserved, eventually, load, module_path, same, true
from marker_test import MarkLab
from network import CLONE_NEWNET, Lab
from ring import Ring, errno_of, libc, raw_map

FAILSLAB = "/sys/kernel/debug/failslab"
PAGES = "/sys/kernel/debug/fail_page_alloc"


@contextlib.contextmanager
def failing(percent, only_this_process=True):
    if not os.path.isdir(FAILSLAB):
        os.system("mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null")
    if not os.path.isdir(FAILSLAB):
        raise Skip("this kernel has no fault injection")

    def write(path, value):
        for _ in range(1000):  # this fails, too, while memory does
            with contextlib.suppress(OSError):
                with open(path, "w", encoding="ascii") as file:
                    file.write(str(value))
                return
        raise AssertionError(f"cannot write {value} to {path}")

    for folder in (FAILSLAB, PAGES):
        for name, value in (
            ("task-filter", "Y" if only_this_process else "N"),
            ("ignore-gfp-wait", "N"),
            ("interval", 1),
            ("times", -1),
            ("space", 0),
            ("verbose", 0),
        ):
            write(f"{folder}/{name}", value)
    write(f"{PAGES}/ignore-gfp-highmem", "N")
    write(f"{PAGES}/min-order", 0)
    write("/proc/self/make-it-fail", 1)
    for folder in (FAILSLAB, PAGES):
        write(f"{folder}/probability", percent)
    try:
        yield
    finally:
        write("/proc/self/make-it-fail", 0)
        for folder in (FAILSLAB, PAGES):
            write(f"{folder}/probability", 0)


def set_up_and_map():
    ring = Ring(setup=False)
    try:
        ring.setup(slots=256)
        where = raw_map(ring.fd, ring.map_bytes, mmap.PROT_READ, mmap.MAP_SHARED)
        # this fails, too, and what stays mapped keeps the ring: Python's own mmap does not look
        eventually("the ring is unmapped", lambda: libc.munmap(where, ring.map_bytes) == 0)
    finally:
        ring.close()


def test_setup():
    """Each step of opening, setting up and asking fails now and then; nothing is left behind."""
    results = set()
    with Lab() as lab, lab.server, genl.Client() as client:
        with failing(10):
            for _ in range(150):
                results.add(errno_of(set_up_and_map))
                results.add(errno_of(client.set, fail=1))
                results.add(errno_of(client.set, fail=0))
        true(f"results: {results}", results <= {"success", "ENOMEM", "ENOBUFS", "ENFILE"})
        same("some were refused, some not", {"success", "ENOMEM"} <= results, True)
        same("rings", client.rings(), [])
        Ring().close()


def test_bind():
    """Binding sets fails now and then: the old ones stay then, and no reference is lost."""
    results = set()
    with MarkLab("create a hash:ip skbinfo\ncreate b hash:net skbinfo\n") as lab, lab.server, genl.Client() as client:
        with failing(10):
            for _ in range(150):
                results.add(errno_of(client.bind, "a", "b", "a"))
                results.add(errno_of(client.bound))
                results.add(errno_of(client.unbind))
        true(f"results: {results}", results <= {"success", "ENOMEM", "ENOBUFS"})
        same("some were refused, some not", {"success", "ENOMEM"} <= results, True)
        client.bind("a")
        same("references", (lab.references("a"), lab.references("b")), (1, 0))
        client.unbind()
        same("and none", (lab.references("a"), lab.references("b")), (0, 0))


def test_module():
    """Loading, unloading and new namespaces, of which each step fails now and then."""
    results = set()
    file = os.open(module_path(), os.O_RDONLY | os.O_CLOEXEC)

    def syscall(number, *arguments):
        if libc.syscall(number, *arguments):
            raise OSError(ctypes.get_errno(), "")

    def come():
        syscall(313, file, b"", 0)  # finit_module

    def go():
        syscall(176, b"synward", os.O_NONBLOCK)  # delete_module

    def namespace():
        pid = os.fork()
        if pid == 0:
            os._exit(libc.unshare(CLONE_NEWNET) != 0)
        os.waitpid(pid, 0)

    try:
        with failing(5):
            for _ in range(60):
                there = os.path.isdir("/sys/module/synward")
                results.add(errno_of(go if there else come))
                results.add(errno_of(namespace))
    finally:
        os.close(file)
    true(f"results: {results}", results <= {"success", "ENOMEM", "EAGAIN"})
    same("some were refused, some not", {"success", "ENOMEM"} <= results, True)
    load()
    Ring().close()


def test_traffic():
    """All processes: what is lost is lost by others; the ring neither leaks nor hangs, nor loses what it held."""
    with Lab() as lab, lab.server, conserved():
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        with Ring(slots=64, deadline_ms=500) as ring, Responder(ring):
            with failing(5, only_this_process=False):
                for _ in range(300):
                    with contextlib.suppress(OSError):
                        sender.send(b"x")
            sender.send(b"the end")
            while listener.recv(100) != b"the end":
                pass
