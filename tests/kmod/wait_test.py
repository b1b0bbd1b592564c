# SPDX-License-Identifier: GPL-2.0-or-later
"""When a reader is woken: watermark, timer, and what verdicts change about it."""

import select
import threading
import time

from harness import same, true
from network import shared
from ring import ACCEPT, COPY, DROP, SEEN, Ring


class Sleeper(threading.Thread):
    """Sleeps in poll() and notes how long."""

    def __init__(self, ring, seconds):
        super().__init__(daemon=True)
        self.ring, self.seconds = ring, seconds
        self.woken = None
        self.start()
        time.sleep(0.3)  # until it sleeps; nothing is wrong if it does not yet

    def run(self):
        started = time.monotonic()
        self.woken = self.ring.poll(self.seconds)
        self.slept = time.monotonic() - started

    def result(self):
        self.join()
        return self.woken


def test_every_frame():
    """Watermark 1: at once."""
    with shared() as lab, lab.server, Ring() as ring:
        sender = lab.senders()[0]
        same("an empty ring", ring.poll(0), False)
        sleeper = Sleeper(ring, 20)
        sender.send(b"x")
        true("woken", sleeper.result())
        true(f"after {sleeper.slept:.1f} s", sleeper.slept < 5)
        same("as long as it is not answered", (ring.poll(0), ring.poll(0)), (True, True))
        ring.answer(ring.take(1), DROP)
        same("afterwards", ring.poll(0), False)


def test_watermark():
    with shared() as lab, lab.server, Ring(watermark=4, timer_us=9_000_000) as ring:
        sender = lab.senders()[0]
        sleeper = Sleeper(ring, 20)
        for _ in range(3):
            sender.send(b"x")
        ring.take(3)
        time.sleep(0.2)
        same("three of four", (sleeper.woken, ring.poll(0)), (None, False))
        sender.send(b"x")
        true("the fourth wakes", sleeper.result())
        true(f"before the timer: {sleeper.slept:.1f} s", sleeper.slept < 8)
        ring.next = 0
        frames = ring.take(4)
        # a verdict for the third says that the first three are known
        ring.answer(frames[2:3], DROP)
        same("one is left that nobody has named", ring.poll(0), False)
        for _ in range(3):
            sender.send(b"x")
        ring.take(3)
        same("four again", ring.poll(0), True)


def test_timer():
    with shared() as lab, lab.server, Ring(watermark=64, timer_us=700_000) as ring:
        sender = lab.senders()[0]
        sleeper = Sleeper(ring, 20)
        sender.send(b"x")
        sent = time.monotonic()
        true("woken", sleeper.result())
        waited = time.monotonic() - sent
        true(f"after {waited:.2f} s", 0.6 <= waited <= 5)
        # the frame is old by now: whoever asks again does not wait
        same("asked again", ring.poll(0), True)
        ring.answer(ring.take(1), DROP)
        # nobody slept when this one came: poll() itself starts the timer
        sender.send(b"y")
        frame = ring.take(1)[0]
        same("too early", ring.poll(0), False)
        true("later", ring.poll(20))
        waited = (time.monotonic_ns() - frame.time) / 1e9
        true(f"after {waited:.2f} s", 0.69 <= waited <= 5)


def test_timer_after_verdicts():
    """One thread sleeps, another answers: what is left is still told in time."""
    with shared() as lab, lab.server, Ring(watermark=64, timer_us=500_000) as ring:
        sender = lab.senders()[0]
        sender.send(b"0")
        first = ring.take(1)
        sleeper = Sleeper(ring, 20)
        sender.send(b"1")
        ring.take(1)
        ring.answer(first, DROP)
        true("woken for the second", sleeper.result())


def test_epoll():
    with shared() as lab, lab.server, Ring(watermark=2, timer_us=300_000) as ring, select.epoll() as epoll:
        sender = lab.senders()[0]
        epoll.register(ring.fd, select.EPOLLIN)
        same("an empty ring", epoll.poll(0), [])
        for burst in (2, 1, 3):
            for _ in range(burst):
                sender.send(b"x")
            same("readable", epoll.poll(20), [(ring.fd, select.EPOLLIN)])
            ring.answer(ring.take(burst), ACCEPT)
            same("answered", epoll.poll(0), [])


def test_copies():
    with shared() as lab, lab.server, Ring(mode=COPY, watermark=2, timer_us=9_000_000) as ring:
        sender = lab.senders()[0]
        sleeper = Sleeper(ring, 20)
        sender.send(b"x")
        sender.send(b"x")
        true("woken", sleeper.result())
        ring.answer(ring.take(2)[-1:], SEEN)
        same("seen", ring.poll(0), False)


def test_writable():
    """Verdicts never wait."""
    with shared() as lab, lab.server, Ring() as ring:
        poller = select.poll()
        poller.register(ring.fd, select.POLLIN | select.POLLOUT)
        same("events", poller.poll(0), [(ring.fd, select.POLLOUT)])
