# SPDX-License-Identifier: GPL-2.0-or-later
"""Readers, interfaces, namespaces and the module itself that go away while packets are held."""

import os
import signal
import time

from harness import child, counted, eventually, load, same, true, unload
from network import SERVER4, Lab, Namespace, nothing_comes, wire, shared
from ring import ACCEPT, FAIL_ACCEPT, FAIL_DROP, Ring, errno_of


def test_close():
    for fail in (FAIL_ACCEPT, FAIL_DROP):
        with shared() as lab, lab.server, counted(ring_held=40, ring_closed=40):
            listener = lab.listeners()[0]
            sender = lab.senders()[0]
            ring = Ring(fail=fail)
            for number in range(40):
                sender.send(b"%d" % number)
            ring.take(40)
            ring.close()
            if fail == FAIL_ACCEPT:
                same("datagrams, in order", [int(listener.recv(100)) for _ in range(40)], list(range(40)))
            else:
                true("nothing comes", nothing_comes(listener))


def reader(**fields):
    """Work of a child: a ring of its own, and never an answer."""

    def work(ready):
        ring = Ring(**fields)
        ready()
        while ring.fd >= 0:
            time.sleep(60)

    return work


def test_kill():
    with shared() as lab, lab.server, counted(ring_held=20, ring_closed=20):
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        with child(reader()) as pid:
            for number in range(20):
                sender.send(b"%d" % number)
            true("all are held", nothing_comes(listener))
            same("the share is taken", errno_of(Ring), "EBUSY")
            os.kill(pid, signal.SIGKILL)
            same("datagrams", [int(listener.recv(100)) for _ in range(20)], list(range(20)))
        # whoever comes next finds the share free
        Ring().close()


def test_stop():
    """A reader that sleeps: packets go on at their deadline; its verdicts are stale when it wakes."""

    def work(ready):
        ring = Ring(deadline_ms=300)
        ready()
        frames = ring.take(5, 60)
        os.kill(os.getpid(), signal.SIGSTOP)
        ring.answer(frames, ACCEPT)
        ready()
        time.sleep(60)

    with shared() as lab, lab.server, counted(ring_held=5, ring_expired=5, ring_stale=5):
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        with child(work) as pid:
            for number in range(5):
                sender.send(b"%d" % number)
            _, status = os.waitpid(pid, os.WUNTRACED)
            true("it has stopped itself", os.WIFSTOPPED(status))
            same("datagrams", [int(listener.recv(100)) for _ in range(5)], list(range(5)))
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.5)


def test_inherited_descriptor():
    """A ring ends with its last descriptor."""
    with shared() as lab, lab.server:
        ring = Ring()
        os.set_inheritable(ring.fd, True)
        with child(lambda ready: (ready(), time.sleep(60))) as pid:
            ring.close()
            same("the share while a child has it", errno_of(Ring), "EBUSY")
            os.kill(pid, signal.SIGKILL)
            eventually("the share is free", lambda: errno_of(lambda: Ring().close()) == "success")


def test_link_down():
    with Lab() as lab, lab.server, Ring() as ring:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        other = lab.udp(lab.server)
        other.sendto(b"by another interface", (SERVER4, 7777))
        ring.take(1)
        with counted(ring_held=40, ring_device_gone=40, ring_stale=40):
            for number in range(40):
                sender.send(b"%d" % number)
            frames = ring.take(40)
            lab.server.ip("link", "set", "s0", "down")
            ring.answer(frames, ACCEPT)
        true("nothing comes", nothing_comes(listener))
        ring.next = 0
        ring.answer(ring.take(1)[:1], ACCEPT)
        same("what came by another interface", listener.recv(100), b"by another interface")


def test_link_deleted():
    with Lab() as lab, lab.server, Ring() as ring:
        sender = lab.senders()[0]
        with counted(ring_held=20, ring_device_gone=20):
            for number in range(20):
                sender.send(b"%d" % number)
            ring.take(20)
            started = time.monotonic()
            lab.server.ip("link", "del", "s0")
            true("at once", time.monotonic() - started < 8)
        true("it is gone", "s0" not in lab.server.ip("link"))


def test_link_moved():
    """An interface that goes to another namespace leaves its packets behind."""
    with Lab() as lab, lab.server, Ring() as ring:
        sender = lab.senders()[0]
        with counted(ring_held=5, ring_device_gone=5):
            for number in range(5):
                sender.send(b"%d" % number)
            ring.take(5)
            lab.server.ip("link", "set", "s0", "netns", lab.client.name)


def test_peer_namespace_deleted():
    with Lab() as lab, lab.server, Ring() as ring:
        sender = lab.senders()[0]
        with counted(ring_held=5, ring_device_gone=5):
            for number in range(5):
                sender.send(b"%d" % number)
            ring.take(5)
            for item in lab.sockets:
                item.close()
            lab.client.delete()
            eventually("the link is gone", lambda: "s0" not in lab.server.ip("link"))


def test_namespace_deleted():
    """The descriptor keeps the namespace; when it closes, both go."""
    outside = Namespace("o")
    try:
        with Lab() as lab:
            wire(outside, "o0", lab.server, "o1")
            listener = lab.listeners()[0]
            sender = lab.senders()[0]
            with lab.server:
                ring = Ring()
            with counted(ring_held=3):
                for number in range(3):
                    sender.send(b"%d" % number)
                ring.take(3)
            lab.server.delete()
            time.sleep(0.3)
            with counted(ring_accepted=1):
                ring.next = 0
                ring.answer(ring.take(3)[:1], ACCEPT)
                same("the ring still works", listener.recv(100), b"0")
            for item in lab.sockets:
                item.close()
            true("its interface is there", "o0" in outside.ip("link"))
            with counted(ring_closed=2):
                ring.close()
            eventually("the namespace is gone, and its interface with it", lambda: "o0" not in outside.ip("link"), 30)
    finally:
        outside.delete()


def test_module_is_held():
    with shared() as lab, lab.server:
        ring = Ring()
        try:
            unload()
        except AssertionError as error:
            true(str(error), "in use" in str(error))
        else:
            raise AssertionError("the module was unloaded under an open ring")
        ring.close()
        eventually("its use count is 0", lambda: open("/sys/module/synward/refcnt").read().strip() == "0")
        unload()
        true("the device is gone", not os.path.exists("/dev/synward"))
        true("and the counters", not os.path.exists("/sys/kernel/synward"))
        # the traffic goes on without it, and with it again
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        sender.send(b"without")
        same("datagram", listener.recv(100), b"without")
        load()
        with Ring() as ring:
            sender.send(b"with")
            ring.answer(ring.take(1), ACCEPT)
            same("datagram", listener.recv(100), b"with")


def test_hooks_only_when_needed():
    """A namespace without a ring pays nothing: nobody counts its escalated packets."""
    with shared() as lab:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        with counted():
            sender.send(b"idle")
            same("datagram", listener.recv(100), b"idle")


def test_other_hooks_change():
    """Rules that come and go while a packet is held are the ones that it meets when it goes on."""
    with Lab() as lab, lab.server, Ring() as ring:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        sender.send(b"0")
        sender.send(b"1")
        frames = ring.take(2)
        chain = "table inet {} {{ chain c {{ type filter hook prerouting priority {};\n{} counter\n}}\n}}\n"
        lab.server.nft(chain.format("before", -301, "udp dport 7777"))
        lab.server.nft(chain.format("after", -298, "udp dport 7777"))
        ring.answer(frames[:1], ACCEPT)
        same("datagram", listener.recv(100), b"0")
        true("a chain before ours is not met", "packets 0" in lab.server.exec("nft", "list", "table", "inet", "before"))
        true("a chain behind ours is met once", "packets 1 " in lab.server.exec("nft", "list", "table", "inet", "after"))
        lab.server.nft("flush ruleset")
        ring.answer(frames[1:], ACCEPT)
        same("datagram", listener.recv(100), b"1")


def test_many_rounds():
    """Set up, hold, close, again and again: nothing is left over."""
    with shared() as lab, lab.server:
        sender = lab.senders()[0]
        for number in range(30):
            with Ring(slots=2 << number % 8, fail=number % 2):
                sender.send(b"x")

