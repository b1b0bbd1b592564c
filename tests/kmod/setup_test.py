# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening, setting up and mapping a ring: what is refused, and how."""

import ctypes
import fcntl
import mmap
import os
import select

import genl
from harness import PARAMETERS, file_text, same, status_of, true
from network import CLONE_NEWNET, libc, shared
from ring import (
    ABI,
    COPY,
    DEADLINE_MAX,
    DEVICE,
    FANOUT_FLOW,
    FRAME_MAX,
    SETUP,
    SETUP_DEFAULTS,
    SETUP_FIELDS,
    SETUP_IOCTL,
    SLOTS_MAX,
    Ring,
    errno_of,
    raw_map,
)
from ring import libc as ring_libc


def test_refused_setups():
    wrong = [
        ("EPROTO", {"abi": 0}),
        ("EPROTO", {"abi": ABI + 1}),
        ("EPROTO", {"abi": 0xFFFFFFFF, "slots": 3}),
        ("EINVAL", {"rings": 0}),
        ("EINVAL", {"rings": 65}),
        ("EINVAL", {"rings": 65535}),
        ("EINVAL", {"ring": 1}),
        ("EINVAL", {"ring": 65535, "rings": 64}),
        ("EINVAL", {"mode": 2}),
        ("EINVAL", {"mode": 255}),
        ("EINVAL", {"fanout": 2}),
        ("EINVAL", {"fail": 2}),
        ("EINVAL", {"reserved": 1}),
        ("EINVAL", {"slots": 0}),
        ("EINVAL", {"slots": 1}),
        ("EINVAL", {"slots": 3}),
        ("EINVAL", {"slots": SLOTS_MAX * 2}),
        ("EINVAL", {"slots": 0x80000000}),
        ("EINVAL", {"slots": 0xFFFFFFFF}),
        ("EINVAL", {"frame_bytes": 0}),
        ("EINVAL", {"frame_bytes": 64}),
        ("EINVAL", {"frame_bytes": 192}),
        ("EINVAL", {"frame_bytes": FRAME_MAX * 2}),
        ("EINVAL", {"frame_bytes": 0x80000000}),
        ("EINVAL", {"watermark": 0}),
        ("EINVAL", {"watermark": 65, "timer_us": 1}),
        ("EINVAL", {"watermark": 2}),
        ("EINVAL", {"watermark": 2, "timer_us": DEADLINE_MAX * 1000 + 1}),
        ("EINVAL", {"deadline_ms": 0}),
        ("EINVAL", {"deadline_ms": DEADLINE_MAX + 1}),
        ("EINVAL", {"deadline_ms": 0xFFFFFFFF}),
        ("ENOBUFS", {"bytes": 0xFFFFFFFF}),
    ]
    with shared() as lab:
        with lab.server:
            ring = Ring(setup=False)
            for error, fields in wrong:
                same(f"setup with {fields}", errno_of(ring.setup, **fields), error)
            same("rings of the namespace", genl.Client().rings(), [])
            # what was refused has changed nothing: the descriptor is as good as new
            answer = ring.setup()
        true("the map holds the frames", answer["map_bytes"] >= answer["frames_offset"] + 64 * 256)
        same("a second setup", errno_of(ring.setup), "EALREADY")
        ring.close()


def test_every_allowed_extreme():
    with shared() as lab, lab.server:
        for fields in (
            {"slots": 2, "frame_bytes": 128},
            {"slots": 2, "frame_bytes": FRAME_MAX, "watermark": 2, "timer_us": 1, "deadline_ms": 1},
            {"slots": SLOTS_MAX, "frame_bytes": 128, "watermark": SLOTS_MAX, "timer_us": 1000},
            {"ring": 63, "rings": 64, "mode": COPY, "fanout": FANOUT_FLOW, "fail": 1, "bytes": 1},
        ):
            with Ring(**fields) as ring:
                same("the header's slots", int.from_bytes(ring.map[4:8], "little"), fields.get("slots", 64))


def test_ioctl_of_another_kind():
    ring = Ring(setup=False)
    same("an unknown ioctl", errno_of(fcntl.ioctl, ring.fd, SETUP_IOCTL + 1, bytearray(44)), "ENOTTY")
    same("another size", errno_of(fcntl.ioctl, ring.fd, SETUP_IOCTL + (1 << 16), bytearray(45)), "ENOTTY")
    bad = ctypes.c_void_p(4096)
    true("a bad pointer", ring_libc.ioctl(ring.fd, ctypes.c_ulong(SETUP_IOCTL), bad) == -1)
    same("its error", ctypes.get_errno(), 14)
    ring.close()


def test_answer_that_cannot_be_written():
    """The setup lies on a page that may only be read: nothing is left behind."""
    with shared() as lab, lab.server:
        ring = Ring(setup=False)
        page = mmap.mmap(-1, 4096)
        page[: SETUP.size] = SETUP.pack(*(SETUP_DEFAULTS[name] for name in SETUP_FIELDS))
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        ring_libc.mprotect(address, 4096, mmap.PROT_READ)
        result = ring_libc.ioctl(ring.fd, ctypes.c_ulong(SETUP_IOCTL), ctypes.c_void_p(address))
        same("the call and its error", (result, ctypes.get_errno()), (-1, 14))
        same("rings of the namespace", genl.Client().rings(), [])
        ring.close()


def test_taken_share():
    with shared() as lab, lab.server:
        first = Ring(rings=2, ring=0)
        same("a second reader of the share", errno_of(Ring, rings=2, ring=0), "EBUSY")
        same("another number of rings", errno_of(Ring, rings=3, ring=1), "EBUSY")
        same("another fan-out", errno_of(Ring, rings=2, ring=1, fanout=FANOUT_FLOW), "EBUSY")
        second = Ring(rings=2, ring=1)
        first.close()
        # the share is free again, and still has to agree with the other
        same("another number of rings", errno_of(Ring, rings=1, ring=0), "EBUSY")
        first = Ring(rings=2, ring=0)
        first.close()
        second.close()
        Ring(rings=1).close()
        with lab.client:
            other = Ring()
        Ring().close()
        other.close()


def test_maps():
    with shared() as lab, lab.server:
        ring = Ring(setup=False)
        same("a map before setup", errno_of(raw_map, ring.fd, 4096, mmap.PROT_READ, mmap.MAP_SHARED), "ENXIO")
        ring.setup()
        size = ring.map_bytes
        rx, rw = mmap.PROT_READ | mmap.PROT_EXEC, mmap.PROT_READ | mmap.PROT_WRITE
        for what, error, arguments in (
            ("writable", "EACCES", (size, rw, mmap.MAP_SHARED)),
            ("write-only", "EACCES", (size, mmap.PROT_WRITE, mmap.MAP_SHARED)),
            ("executable", "EACCES", (size, rx, mmap.MAP_SHARED)),
            ("private", "EINVAL", (size, mmap.PROT_READ, mmap.MAP_PRIVATE)),
            ("private and writable", "EACCES", (size, rw, mmap.MAP_PRIVATE)),
            ("too small", "EINVAL", (size - 4096, mmap.PROT_READ, mmap.MAP_SHARED)),
            ("one page", "EINVAL", (1, mmap.PROT_READ, mmap.MAP_SHARED)),
            ("too large", "EINVAL", (size + 4096, mmap.PROT_READ, mmap.MAP_SHARED)),
            ("at an offset", "EINVAL", (size, mmap.PROT_READ, mmap.MAP_SHARED, 4096)),
            ("at a far offset", "EINVAL", (size, mmap.PROT_READ, mmap.MAP_SHARED, 1 << 40)),
        ):
            same(f"a map that is {what}", errno_of(raw_map, ring.fd, *arguments), error)
        address = raw_map(ring.fd, size, mmap.PROT_READ, mmap.MAP_SHARED)
        for what, protection in (("writable", rw), ("executable", rx)):
            result = ring_libc.mprotect(address, size, protection)
            same(f"making it {what} later", (result, ctypes.get_errno()), (-1, 13))
        again = raw_map(ring.fd, size, mmap.PROT_READ, mmap.MAP_SHARED)
        ring_libc.munmap(again, size)
        # the map outlives the descriptor, and the ring lives as long as it
        os.close(ring.fd)
        ring.fd = -1
        same("the share while it is mapped", errno_of(Ring), "EBUSY")
        ring_libc.munmap(address, size)
        Ring().close()


def test_before_setup():
    with Ring(setup=False) as ring:
        same("verdicts", errno_of(os.write, ring.fd, bytes(20)), "ENXIO")
        same("reading", errno_of(os.read, ring.fd, 20), "EINVAL")
        same("seeking", errno_of(os.lseek, ring.fd, 1, 0), "ESPIPE")
        poller = select.poll()
        poller.register(ring.fd, select.POLLIN)
        same("poll", [events for _, events in poller.poll(0)], [select.POLLERR])


def test_privilege():
    mode = os.stat(DEVICE).st_mode
    same("mode of the device", mode & 0o777, 0o600)

    def as_nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        return errno_of(Ring)

    def as_root_of_a_user_namespace(flags):
        true("unshare", libc.unshare(flags) == 0)
        return errno_of(Ring)

    newuser = 0x10000000
    same("nobody", status_of(as_nobody), "EACCES")
    os.chmod(DEVICE, 0o666)
    try:
        same("nobody, with the node open to all", status_of(as_nobody), "EPERM")
        same("root of a user namespace", status_of(lambda: as_root_of_a_user_namespace(newuser)), "EPERM")
        same(
            "and of its network namespace",
            status_of(lambda: as_root_of_a_user_namespace(newuser | CLONE_NEWNET)),
            "success",
        )
    finally:
        os.chmod(DEVICE, mode & 0o777)


def test_parameters():
    def write(name, text):
        with open(f"{PARAMETERS}/{name}", "w", encoding="ascii") as file:
            file.write(text)

    for name, bad in (
        ("slots", ("0", "1", "4194305", "-1", "many")),
        ("deadline_ms", ("0", "10001", "1e3")),
        ("bytes", ("0", "4095", "-1", "18446744073709551615")),
        ("memory", ("0", "1e9")),
    ):
        before = file_text(f"{PARAMETERS}/{name}")
        for text in bad:
            same(f"{name} = '{text}'", errno_of(write, name, text), "EINVAL")
        same(name, file_text(f"{PARAMETERS}/{name}"), before)
    with shared() as lab, lab.server:
        for name, value, fields in (
            ("slots", "32", {}),
            ("deadline_ms", "50", {"deadline_ms": 51}),
            ("bytes", "8192", {"bytes": 8193}),
            ("memory", "16384", {}),
        ):
            before = file_text(f"{PARAMETERS}/{name}")
            write(name, value)
            try:
                same(f"setup beyond {name} = {value}", errno_of(Ring, **fields), "ENOBUFS")
            finally:
                write(name, before)
        # nothing was charged for what was refused
        for _ in range(3):
            Ring(slots=SLOTS_MAX, frame_bytes=2048).close()
