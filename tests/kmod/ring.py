# SPDX-License-Identifier: GPL-2.0-or-later
"""The reader's side of /dev/synward, as lib/abi/ring.h describes it."""

import collections
import ctypes
import errno
import fcntl
import mmap
import os
import select
import struct
import time

DEVICE = "/dev/synward"
ABI = 1
HOLD, COPY = 0, 1
FANOUT_CPU, FANOUT_FLOW = 0, 1
FAIL_ACCEPT, FAIL_DROP = 0, 1
ACCEPT, DROP, SEEN = 0, 1, 2
IPV4, IPV6 = 0, 1
SLOTS_MAX = 65536
FRAME_MAX = 4096
DEADLINE_MAX = 10000

SETUP = struct.Struct("<IHHBBBBIIIIIIII")
SETUP_FIELDS = (
    "abi ring rings mode fanout fail reserved slots frame_bytes watermark timer_us deadline_ms bytes "
    "map_bytes frames_offset"
).split()
SETUP_IOCTL = 3 << 30 | SETUP.size << 16 | ord("Y") << 8 | 1
FRAME = struct.Struct("<QQIIIIIHHHHHBBBBHIQ")
Frame = collections.namedtuple(
    "Frame",
    "sequence time slot generation mark ifindex length captured transport gso_size gso_segments vlan "
    "family protocol reason checksum queue hash reserved data",
)
VERDICT = struct.Struct("<IIIII")
HEAD, TAIL, LOST = 64, 72, 80

SETUP_DEFAULTS = {
    "abi": ABI,
    "ring": 0,
    "rings": 1,
    "mode": HOLD,
    "fanout": FANOUT_CPU,
    "fail": FAIL_ACCEPT,
    "reserved": 0,
    "slots": 64,
    "frame_bytes": 256,
    "watermark": 1,
    "timer_us": 0,
    "deadline_ms": DEADLINE_MAX,
    "bytes": 0,
    "map_bytes": 0,
    "frames_offset": 0,
}


def verdict(frame, kind, mark=0, mask=0):
    return VERDICT.pack(frame.slot, frame.generation, kind, mark, mask)


class Ring:
    """One descriptor; belongs to the namespace in which it is made."""

    open = set()  # those that a failed test leaves behind are closed by tests/kmod/all

    def __init__(self, setup=True, **fields):
        self.fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        Ring.open.add(self)
        self.map = None
        self.next = 0
        if setup:
            try:
                self.setup(**fields)
                self.map = mmap.mmap(self.fd, self.map_bytes, mmap.MAP_SHARED, mmap.PROT_READ)
            except OSError:
                self.close()
                raise

    def setup(self, **fields):
        buffer = bytearray(SETUP.pack(*({**SETUP_DEFAULTS, **fields}[name] for name in SETUP_FIELDS)))
        fcntl.ioctl(self.fd, SETUP_IOCTL, buffer)
        answer = dict(zip(SETUP_FIELDS, SETUP.unpack(buffer)))
        self.slots, self.frame_bytes = answer["slots"], answer["frame_bytes"]
        self.map_bytes, self.frames_offset = answer["map_bytes"], answer["frames_offset"]
        return answer

    def word(self, offset):
        return struct.unpack_from("<Q", self.map, offset)[0]

    @property
    def head(self):
        return self.word(HEAD)

    @property
    def tail(self):
        return self.word(TAIL)

    @property
    def lost(self):
        return self.word(LOST)

    def frame(self, sequence):
        at = self.frames_offset + sequence % self.slots * self.frame_bytes
        fields = FRAME.unpack_from(self.map, at)
        data = self.map[at + FRAME.size : at + FRAME.size + fields[7]]
        return Frame(*fields, data)

    def poll(self, seconds):
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        events = poller.poll(seconds * 1000)
        return bool(events) and bool(events[0][1] & select.POLLIN)

    def read(self):
        """The frames published since the last call."""
        head = self.head
        frames = [self.frame(sequence) for sequence in range(self.next, head)]
        self.next = head
        return frames

    def take(self, count, seconds=20):
        """Waits until so many frames have come, and returns them."""
        frames = self.read()
        deadline = time.monotonic() + seconds
        while len(frames) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"only {len(frames)} of {count} frames came within {seconds} s")
            time.sleep(0.005)
            frames += self.read()
        return frames

    def write(self, data):
        return os.write(self.fd, data)

    def answer(self, frames, kind, mark=0, mask=0):
        return self.write(b"".join(verdict(frame, kind, mark, mask) for frame in frames))

    def close(self):
        Ring.open.discard(self)
        if self.map is not None:
            self.map.close()
            self.map = None
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def raw_map(fd, size, protection, flags, offset=0):
    """The address, or OSError: Python's own mmap checks too much before it asks the kernel."""
    address = libc.mmap(None, size, protection, flags, fd, offset)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return address


def errno_of(call, *arguments, **keywords):
    """The name of the error that the call ends with, or "success"."""
    try:
        call(*arguments, **keywords)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "success"
