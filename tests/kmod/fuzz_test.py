# SPDX-License-Identifier: GPL-2.0-or-later
"""Random input to every door of the module, and afterwards it works as before."""

import concurrent.futures
import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import random
import struct
import time

import genl
from harness import child, conserved, counted, counters, eventually, same, status_of, true
from network import shared
from ring import (
    ABI,
    ACCEPT,
    COPY,
    DROP,
    HOLD,
    SETUP,
    SETUP_DEFAULTS,
    SETUP_FIELDS,
    SETUP_IOCTL,
    VERDICT,
    Ring,
    errno_of,
    raw_map,
    verdict,
)
from ring import libc as ring_libc

ring_libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
ring_libc.write.restype = ctypes.c_ssize_t

SECONDS = 4
NUMBERS = (0, 1, 2, 3, 63, 64, 65, 127, 128, 255, 256, 4096, 65535, 65536, 1 << 31, (1 << 32) - 1)


@contextlib.contextmanager
def random_rounds():
    """A generator of random numbers, and rounds for some seconds. The seed is told: a failure can be had again."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"# SEED={seed}", flush=True)
    generator = random.Random(seed)

    def rounds():
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            yield generator

    yield rounds()


def still_works(lab):
    sender = lab.senders()[0]
    with Ring() as ring:
        sender.send(b"after all")
        ring.answer(ring.take(1), ACCEPT)
        same("datagram", lab.listeners()[0].recv(100), b"after all")


def test_setups():
    known = {"success", "EINVAL", "EPROTO", "ENOBUFS", "ENOMEM", "EALREADY", "EBUSY"}
    with shared() as lab, lab.server, random_rounds() as rounds, genl.Client() as client:
        results = set()
        for generator in rounds:
            fields = dict(SETUP_DEFAULTS)
            for _ in range(generator.randrange(1, 4)):
                fields[generator.choice(SETUP_FIELDS)] = generator.choice(NUMBERS)
            widths = (32, 16, 16, 8, 8, 8, 8) + (32,) * 8
            packed = SETUP.pack(*(fields[name] & ((1 << width) - 1) for name, width in zip(SETUP_FIELDS, widths)))
            if generator.random() < 0.2:
                packed = generator.randbytes(SETUP.size)
            with Ring(setup=False) as ring:
                for _ in range(2):
                    results.add(errno_of(fcntl.ioctl, ring.fd, SETUP_IOCTL, bytearray(packed)))
        true(f"results: {results}", results <= known and {"success", "EINVAL", "EPROTO", "EALREADY"} <= results)
        same("rings", client.rings(), [])
        still_works(lab)


def test_commands_and_maps():
    with shared() as lab, lab.server, random_rounds() as rounds, Ring() as ring:
        for generator in rounds:
            command = generator.choice((generator.randrange(1 << 32), SETUP_IOCTL ^ 1 << generator.randrange(32)))
            with contextlib.suppress(OSError):
                if command != SETUP_IOCTL:
                    fcntl.ioctl(ring.fd, command, bytearray(generator.randbytes(1024)))
            size = generator.choice((1, 4096, ring.map_bytes, ring.map_bytes + 4096, 1 << 40))
            with contextlib.suppress(OSError):
                where = raw_map(
                    ring.fd,
                    size,
                    generator.randrange(8),
                    generator.choice((mmap.MAP_SHARED, mmap.MAP_PRIVATE)),
                    generator.choice((0, 0, 4096, 1 << 30, 1 << 43)),
                )
                same("what may be mapped", size, ring.map_bytes)
                for protection in range(8):
                    done = ring_libc.mprotect(where, size, protection) == 0
                    same(f"protection {protection}", done, protection in (0, 1))
                ring_libc.munmap(where, size)
    with shared() as lab, lab.server:
        still_works(lab)


def test_verdicts():
    """While packets come and go: what is accounted for at the end is what came in."""
    for mode in (HOLD, COPY):
        before = counters()
        with conserved(at_least=0), shared() as lab, lab.server, random_rounds() as rounds:
            sender = lab.senders()[0]
            with Ring(mode=mode, slots=32, deadline_ms=100, fail=1) as ring:
                for generator in rounds:
                    for _ in range(generator.randrange(8)):
                        sender.send(b"x")
                    frames = ring.read()
                    data = bytearray()
                    for _ in range(generator.randrange(200)):
                        kind = generator.random()
                        if kind < 0.4 and frames:
                            data += verdict(generator.choice(frames), generator.randrange(4))
                        elif kind < 0.8:
                            slot, generation = generator.choice((generator.randrange(40), 1 << 31)), generator.randrange(1, 50)
                            data += VERDICT.pack(slot, generation, generator.choice(NUMBERS), 0, 0)
                        else:
                            data += generator.randbytes(VERDICT.size)
                    with contextlib.suppress(OSError):
                        ring.write(bytes(data)[: generator.choice((len(data), generator.randrange(4000)))])
                true(f"tail {ring.tail}, head {ring.head}", ring.head - 32 <= ring.tail <= ring.head)
            after = counters()
        grown = {name: after[name] - before[name] for name in after}
        true(f"frames were published: {grown}", grown["ring_held"] + grown["ring_copied"] > 20)
    with shared() as lab, lab.server:
        still_works(lab)


def raw_write(ring, address, size):
    """write() of memory that Python would not let go of; the result, or the name of the error."""
    done = ring_libc.write(ring.fd, ctypes.c_void_p(address), size)
    return done if done >= 0 else errno.errorcode[ctypes.get_errno()]


def test_array_that_faults():
    """Verdicts are copied sixteen at a time: those before the one that cannot be read whole are carried out."""
    page = mmap.PAGESIZE
    for readable in (0, 5, 16, 32, 40):
        done = readable - readable % 16
        memory = mmap.mmap(-1, 2 * page)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        same("mprotect", ring_libc.mprotect(address + page, page, 0), 0)
        with shared() as lab, lab.server, Ring() as ring:
            sender = lab.senders()[0]
            with counted(ring_held=48, ring_dropped=done):
                for _ in range(48):
                    sender.send(b"x")
                frames = ring.take(48)
                first = page - readable * VERDICT.size
                memory[first:page] = b"".join(verdict(frame, DROP) for frame in frames[:readable])
                same(f"{readable} of 48 can be read", raw_write(ring, address + first, 48 * VERDICT.size), "EFAULT")
                same("tail", ring.tail, done)
            with counted(ring_dropped=48 - done, ring_stale=done):
                ring.answer(frames, DROP)


def test_memory_that_changes():
    """Another thread of the reader writes into the verdicts while the module reads them."""
    memory = mmap.mmap(-1, 16 * mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))

    def change(ready):
        generator = random.Random(1)
        kinds = [struct.pack("<I", kind) for kind in (ACCEPT, DROP, 7, 1 << 31)]
        ready()
        while True:
            at = generator.randrange(len(memory) // VERDICT.size) * VERDICT.size
            memory[at + 8 : at + 12] = generator.choice(kinds)

    with shared() as lab, lab.server, random_rounds() as rounds, conserved(at_least=100), child(change):
        sender = lab.senders()[0]
        with Ring(slots=256, deadline_ms=200) as ring:
            for generator in rounds:
                for _ in range(32):
                    sender.send(b"x")
                data = b"".join(verdict(frame, generator.randrange(2)) for frame in ring.read()) * 20
                size = min(len(data), len(memory)) // VERDICT.size * VERDICT.size
                memory[:size] = data[:size]
                same("bytes written", raw_write(ring, address, size), size)


def test_writers_and_setups_race():
    """Processes that share a descriptor: one of them sets it up, and each packet gets one verdict."""
    with shared() as lab, lab.server, genl.Client() as client:
        for _ in range(20):
            with Ring(setup=False) as ring:
                go = mmap.mmap(-1, mmap.PAGESIZE)

                def set_up():
                    while not go[0]:
                        pass
                    return errno_of(fcntl.ioctl, ring.fd, SETUP_IOCTL, bytearray(SETUP.pack(*SETUP_DEFAULTS.values())))

                with concurrent.futures.ThreadPoolExecutor(3) as pool:
                    results = [pool.submit(status_of, set_up) for _ in range(3)]
                    go[0] = 1
                same("results", sorted(result.result() for result in results), ["EALREADY", "EALREADY", "success"])
                same("rings", len(client.rings()), 1)

        def answer(ring):
            def work(ready):
                ready()
                while True:
                    ring.answer([ring.frame(number) for number in range(ring.tail, ring.head)], ACCEPT)

            return work

        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        with conserved(at_least=300), Ring() as ring, child(answer(ring)), child(answer(ring)):
            before = counters()
            for number in range(300):
                sender.send(b"%d" % number)
                same("datagram, once", int(listener.recv(100)), number)
            # A packet is counted when its way is over, which its reader need not wait for.
            eventually("every packet is counted as accepted", lambda: counters()["ring_accepted"] - before["ring_accepted"] == 300)


def test_netlink():
    with shared() as lab, lab.server, random_rounds() as rounds, genl.Client() as client:
        before = client.get()
        for generator in rounds:
            payload = bytearray()
            for _ in range(generator.randrange(4)):
                inner = b"".join(
                    struct.pack("<HH", generator.choice((4, 5, 6, 8, 12, generator.randrange(65536))), generator.randrange(8))
                    + generator.randbytes(generator.choice((0, 1, 4, 8)))
                    for _ in range(generator.randrange(4))
                )
                payload += genl.attribute(generator.randrange(10) | generator.choice((0, genl.NESTED)), inner)
            if generator.random() < 0.3:
                payload = bytearray(generator.randbytes(generator.randrange(200)))
            flags = generator.choice((genl.ACK, genl.ACK, genl.DUMP))
            with contextlib.suppress(OSError):
                client.call(client.family, generator.randrange(8), bytes(payload), flags, generator.randrange(4))
        client.set(**{name: before[name] for name in genl.POLICY})
        same("policy", client.get(), before)
        same("abi", before["abi"], ABI)
        still_works(lab)
