# SPDX-License-Identifier: GPL-2.0-or-later
"""What a ring cannot hold, or not for longer: caps, deadlines, and the fail policy."""

import threading
import time

import genl
from harness import counted, eventually, same, true
from network import Lab, nothing_comes, shared
from ring import ACCEPT, DROP, FAIL_ACCEPT, FAIL_DROP, Ring, errno_of


def test_full():
    for fail in (FAIL_ACCEPT, FAIL_DROP):
        with shared() as lab, lab.server, Ring(slots=8, fail=fail) as ring:
            listener = lab.listeners()[0]
            sender = lab.senders()[0]
            with counted(ring_held=8, ring_full=4, ring_accepted=8):
                for number in range(12):
                    sender.send(b"%d" % number)
                frames = ring.take(8)
                early = [] if fail == FAIL_DROP else [8, 9, 10, 11]
                same("what finds no slot", [int(listener.recv(100)) for _ in early], early)
                true("nothing else", nothing_comes(listener))
                same("lost", ring.lost, 4)
                ring.answer(frames, ACCEPT)
                same("what was held", [int(listener.recv(100)) for _ in range(8)], list(range(8)))


def test_bytes_of_a_ring():
    with shared() as lab, lab.server, Ring(bytes=8192, fail=FAIL_DROP) as ring, genl.Client() as client:
        sender = lab.senders()[0]
        for _ in range(40):
            sender.send(bytes(1000))
        eventually("some find no room", lambda: ring.lost > 0)
        eventually("all have come", lambda: ring.lost + ring.head == 40)
        held = client.rings()[0]
        true(f"bytes held: {held}", 0 < held["bytes"] <= 8192)
        same("lost, told twice", held["lost"], ring.lost)
        with counted(ring_dropped=ring.head):
            ring.answer(ring.read(), DROP)
        same("bytes held then", client.rings()[0]["bytes"], 0)
        # and there is room again
        with counted(ring_held=1, ring_dropped=1):
            sender.send(b"x")
            ring.answer(ring.take(1), DROP)
    with shared() as lab, lab.server, Ring(bytes=1), counted(ring_over_bytes=1):
        listener = lab.listeners()[0]
        lab.senders()[0].send(b"too large for one byte")
        same("the fail policy lets it through", listener.recv(100), b"too large for one byte")


def test_bytes_of_a_namespace():
    """Two rings of one namespace share its cap."""
    with Lab() as lab, lab.server, genl.Client() as client:
        client.set(bytes=16384)
        same("a ring with a greater cap", errno_of(Ring, bytes=16385), "ENOBUFS")
        sender = lab.senders()[0]
        rings = [Ring(rings=2, ring=number, fanout=1) for number in range(2)]
        senders = [lab.udp(lab.client) for _ in range(20)]
        for item in senders:
            item.sendto(bytes(1200), sender.getpeername())
        eventually("all have come", lambda: sum(ring.lost + ring.head for ring in rings) == 20)
        held = client.rings()
        true(f"bytes held: {held}", 0 < sum(ring["bytes"] for ring in held) <= 16384)
        true("some were not", sum(ring.lost for ring in rings) > 0)
        for ring in rings:
            ring.close()
        # what was closed is not counted any more
        with Ring() as ring, counted(ring_held=1, ring_dropped=1):
            sender.send(b"x")
            ring.answer(ring.take(1), DROP)


def test_slots_of_a_namespace():
    with Lab() as lab, lab.server, genl.Client() as client:
        client.set(slots=128)
        same("a ring of more", errno_of(Ring, slots=256), "ENOBUFS")
        first = Ring(rings=3, ring=0, slots=64)
        second = Ring(rings=3, ring=1, slots=64)
        same("a third", errno_of(Ring, rings=3, ring=2, slots=2), "ENOBUFS")
        first.close()
        third = Ring(rings=3, ring=2, slots=64)
        second.close()
        third.close()
        # lowering a cap takes nothing from those that are there
        first = Ring(slots=128)
        client.set(slots=2)
        same("slots", client.rings()[0]["slots"], 128)
        first.close()
        same("another", errno_of(Ring, slots=4), "ENOBUFS")
        Ring(slots=2).close()


def test_deadline():
    for fail in (FAIL_ACCEPT, FAIL_DROP):
        with shared() as lab, lab.server, Ring(deadline_ms=300, fail=fail, slots=64) as ring:
            listener = lab.listeners()[0]
            sender = lab.senders()[0]
            with counted(ring_held=21, ring_expired=20, ring_accepted=1):
                for number in range(20):
                    sender.send(b"%d" % number)
                frames = ring.take(20)
                if fail == FAIL_ACCEPT:
                    same("datagrams, in order", [int(listener.recv(100)) for _ in range(20)], list(range(20)))
                    waited = (time.monotonic_ns() - frames[-1].time) / 1e6
                    true(f"the last was held {waited:.0f} ms", waited >= 299)
                else:
                    eventually("the ring is empty", lambda: ring.tail == 20)
                    true("nothing comes", nothing_comes(listener))
                # and once more, after the work has gone to sleep
                sender.send(b"decided")
                ring.answer(ring.take(1), ACCEPT)
                same("datagram", listener.recv(100), b"decided")
            with counted(ring_stale=20):
                ring.answer(frames, ACCEPT)


def test_deadline_of_each():
    """Packets that come over a while leave over a while, each at its own time."""
    with shared() as lab, lab.server, Ring(deadline_ms=500) as ring:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]

        def send():
            for number in range(8):
                sender.send(b"%d" % number)
                time.sleep(0.1)

        sending = threading.Thread(target=send)
        sending.start()
        waits = []
        for number in range(8):
            same("in their order", int(listener.recv(100)), number)
            waits.append((time.monotonic_ns() - ring.frame(number).time) / 1e6)
        sending.join()
        true(f"none is let go early: held for {waits} ms", min(waits) >= 499)
        # One that is late tells of a machine that was busy; all of them, of the module.
        true(f"one at least is let go in time: held for {waits} ms", min(waits) <= 560)
        true(f"none is forgotten: held for {waits} ms", max(waits) <= 5000)


def test_deadline_cap():
    with Lab() as lab, lab.server, genl.Client() as client:
        client.set(deadline=100)
        same("a longer one", errno_of(Ring, deadline_ms=101), "ENOBUFS")
        Ring(deadline_ms=100).close()


def test_caps_under_the_parameters():
    """A namespace may set less than the module's parameters, and not more."""
    path = "/sys/module/synward/parameters/deadline_ms"
    with open(path, encoding="ascii") as file:
        before = file.read()
    with Lab() as lab, lab.server, genl.Client() as client:
        client.set(deadline=9000)
        try:
            with open(path, "w", encoding="ascii") as file:
                file.write("50")
            same("more than the parameter", errno_of(Ring, deadline_ms=51), "ENOBUFS")
            same("told", client.get()["deadline"], 50)
            Ring(deadline_ms=50).close()
            client.set(deadline=40)
            same("more than its own", errno_of(Ring, deadline_ms=41), "ENOBUFS")
        finally:
            with open(path, "w", encoding="ascii") as file:
                file.write(before)
