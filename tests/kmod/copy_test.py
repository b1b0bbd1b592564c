# SPDX-License-Identifier: GPL-2.0-or-later
"""The copying mode: the packet is dropped at once, its frame stays until it is seen."""

from harness import counted, eventually, same, true
from network import nothing_comes, shared
from ring import ACCEPT, COPY, DROP, FAIL_DROP, SEEN, Ring


def test_copy_and_seen():
    with shared() as lab, lab.server, Ring(mode=COPY, slots=4) as ring:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        with counted(ring_copied=4):
            for number in range(4):
                sender.send(b"%d" % number)
            frames = ring.take(4)
            same("payloads", [frame.data[28:] for frame in frames], [b"0", b"1", b"2", b"3"])
            true("all were dropped", nothing_comes(listener))
        with counted(ring_full=1):
            sender.send(b"4")
            same("without a slot the fail policy holds", listener.recv(100), b"4")
        with counted(ring_bad_verdict=2):
            ring.answer(frames[:1], ACCEPT)
            ring.answer(frames[1:2], DROP)
        same("tail", ring.tail, 0)
        ring.answer(frames[2:3], SEEN)
        same("tail: it and those before it", ring.tail, 3)
        with counted(ring_stale=4):
            ring.answer(frames[:3], SEEN)
            ring.answer(frames[2:3], SEEN)
        with counted(ring_copied=3):
            for number in range(5, 8):
                sender.send(b"%d" % number)
            frames = ring.take(3)
        ring.answer(frames[-1:], SEEN)
        same("head and tail", (ring.head, ring.tail), (7, 7))


def test_seen_over_many():
    """More frames at once than are released under one lock."""
    with shared() as lab, lab.server, Ring(mode=COPY, slots=2048) as ring:
        sender = lab.senders()[0]
        for _ in range(1000):
            sender.send(b"x")
        frames = ring.take(1000)
        ring.answer(frames[-1:], SEEN)
        same("tail", ring.tail, 1000)


def test_copies_expire():
    with shared() as lab, lab.server, Ring(mode=COPY, slots=4, deadline_ms=100, fail=FAIL_DROP) as ring:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        with counted(ring_copied=3, ring_unseen=3):
            for number in range(3):
                sender.send(b"%d" % number)
            frames = ring.take(3)
            eventually("their slots are free", lambda: ring.tail == 3)
        with counted(ring_stale=1):
            ring.answer(frames[-1:], SEEN)
        true("copies are dropped once and for all", nothing_comes(listener))


def test_close_with_copies():
    with shared() as lab, lab.server:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        with counted(ring_copied=3, ring_unseen=3):
            with Ring(mode=COPY) as ring:
                for number in range(3):
                    sender.send(b"%d" % number)
                ring.take(3)
        true("nothing comes back", nothing_comes(listener))
