# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything at once: floods, readers that come, err and die, interfaces and the module that go."""

import contextlib
import os
import random
import time

from harness import child, conserved, counters, eventually, load, same, true, unload
from network import PORT, SERVER4, SERVER6, Lab, socket
from ring import ACCEPT, COPY, DROP, HOLD, SEEN, Ring

ROUNDS = 8


def flood(lab):
    """Work of a child: bounded, both families, many flows."""

    def work(ready):
        with lab.client:
            senders = []
            for family, host in ((socket.AF_INET, SERVER4), (socket.AF_INET6, SERVER6)):
                for _ in range(8):
                    sender = socket.socket(family, socket.SOCK_DGRAM)
                    sender.connect((host, PORT))
                    senders.append(sender)
        ready()
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for sender in senders:
                with contextlib.suppress(OSError):
                    sender.send(b"x" * 200)
            time.sleep(0.001)

    return work


def reader(seed, **fields):
    """Work of a child: answers rightly, wrongly, twice, or not at all, until it is killed."""

    def work(ready):
        generator = random.Random(seed)
        ring = Ring(**fields)
        ready()
        while True:
            ring.poll(0.05)
            frames = [frame for frame in ring.read() if generator.random() < 0.8]
            kinds = (SEEN,) if fields.get("mode") == COPY else (ACCEPT, DROP)
            for frame in frames:
                ring.answer([frame] * generator.randrange(1, 3), generator.choice(kinds))
            ring.write(generator.randbytes(20 * generator.randrange(100)))

    return work


def test_readers_die_under_flood():
    with Lab() as lab, lab.server, child(flood(lab)), conserved(at_least=100):
        lab.listeners()
        for number in range(ROUNDS):
            with contextlib.ExitStack() as readers:
                for ring in range(2):
                    fields = {
                        "rings": 2,
                        "ring": ring,
                        "fanout": number & 1,
                        "fail": number >> 1 & 1,
                        "mode": COPY if number % 4 == 3 else HOLD,
                        "slots": 64 << number % 3,
                        "watermark": 1 + number % 8,
                        "timer_us": 500,
                        "deadline_ms": 20 + 100 * (number % 3),
                    }
                    readers.enter_context(child(reader(number * 2 + ring, **fields)))
                time.sleep(0.4)


def test_links_flap_under_flood():
    with Lab() as lab, lab.server, child(flood(lab)), conserved(), child(reader(1, deadline_ms=200, slots=1024)):
        lab.listeners()
        for _ in range(ROUNDS):
            time.sleep(0.15)
            lab.server.ip("link", "set", "s0", "down")
            lab.server.ip("link", "set", "s0", "up")
            address6 = "2001:db8:1::1/64"
            with contextlib.suppress(AssertionError):
                lab.server.ip("addr", "add", address6, "dev", "s0", "nodad")
        lab.server.ip("link", "del", "s0")


def test_module_comes_and_goes_under_flood():
    """insmod, rings, rmmod, while escalated packets stream in and another reader tries its luck."""

    def intruder(ready):
        ready()
        while True:
            with contextlib.suppress(OSError), Ring(slots=16, deadline_ms=50) as ring:
                time.sleep(0.02)
                ring.answer(ring.read(), ACCEPT)
            time.sleep(0.02)

    with Lab() as lab, lab.server, child(flood(lab)):
        lab.listeners()
        with child(intruder):
            removed = 0
            for _ in range(ROUNDS * 4):
                load()
                time.sleep(0.05)
                with contextlib.suppress(AssertionError):  # in use, now and then
                    unload()
                    removed += 1
            true(f"it was removed {removed} times", removed > 3)
        if os.path.isdir("/sys/module/synward"):
            unload()
        load()
        # nobody reads, so that the flood, which goes on, meets no hook
        same("counters of a fresh module", {name: value for name, value in counters().items() if value}, {})
        with conserved(), Ring(deadline_ms=100) as ring:
            eventually("and it holds what comes", lambda: ring.head > 0)


def test_namespaces_go_under_flood():
    for number in range(3):
        with Lab() as lab, child(flood(lab)), conserved():
            with lab.server:
                ring = Ring(slots=256, deadline_ms=1000, fail=number & 1)
            time.sleep(0.3)
            lab.server.delete()
            time.sleep(0.1)
            ring.close()
