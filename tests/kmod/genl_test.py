# SPDX-License-Identifier: GPL-2.0-or-later
"""Generic netlink: policy, rings, counters, events."""

import os
import re
import struct

import genl
from harness import counted, file_text, same, status_of, true
from network import MARK, Lab, nothing_comes, shared
from ring import ACCEPT, COPY, DROP, FAIL_ACCEPT, FAIL_DROP, FANOUT_FLOW, Ring, errno_of

DEFAULTS = {"abi": 1, "fail": FAIL_ACCEPT, "slots": 65536, "bytes": 64 << 20, "deadline": 10000}

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def ring_reasons():
    """Index of each counter of the module, from the list itself."""
    names = re.findall(r"^\tX\([A-Z0-9_]+,\s*([a-z0-9_]+),\s*([A-Z]+),", file_text(f"{ROOT}/lib/abi/reasons.h"), re.M)
    return {name: index for index, (name, action) in enumerate(names) if action == "RING"}


def test_get():
    with Lab() as lab, lab.server, genl.Client() as client:
        answer = client.get()
        same("version", answer.pop("version"), file_text("/sys/kernel/synward/version"))
        same("abi", file_text("/sys/kernel/synward/abi"), "1")
        same("policy", answer, DEFAULTS)


def test_set():
    with Lab() as lab, genl.Client() as outside, lab.server, genl.Client() as client:
        for name, value in (("fail", 1), ("slots", 2), ("bytes", 4096), ("deadline", 1), ("bytes", 1 << 40), ("fail", 0)):
            before = client.get()
            client.set(**{name: value})
            # A cap of the machine that is less counts.
            counts = min(value, 64 << 20)
            same(f"policy after {name} = {value}", client.get(), {**before, name: counts})
        client.set(fail=1, slots=64, bytes=8192, deadline=77)
        wanted = client.get()
        same("all at once", {key: wanted[key] for key in genl.POLICY}, {"fail": 1, "slots": 64, "bytes": 8192, "deadline": 77})
        for values in (
            {"fail": 2},
            {"fail": 255},
            {"slots": 0},
            {"slots": 1},
            {"slots": (1 << 22) + 1},
            {"slots": 0xFFFFFFFF},
            {"bytes": 0},
            {"bytes": 4095},
            {"bytes": 1 << 63},
            {"bytes": (1 << 64) - 1},
            {"deadline": 0},
            {"deadline": 10001},
            {"deadline": 0xFFFFFFFF},
            {"fail": 0, "slots": 128, "deadline": 0},
        ):
            true(f"{values} is refused", errno_of(client.set, **values) in ("EINVAL", "ERANGE"))
            same("nothing has changed", client.get(), wanted)
        attribute, nested = genl.attribute, genl.A_POLICY | genl.NESTED
        for what, payload in (
            ("nothing", b""),
            ("an unknown attribute", attribute(77, b"1234")),
            ("an attribute that is no request", attribute(genl.A_ABI, struct.pack("<I", 1))),
            ("an unknown policy", attribute(nested, attribute(9, b"1234"))),
            ("a short number", attribute(nested, attribute(2, b"12"))),
            ("a long number", attribute(nested, attribute(2, b"12345678"))),
            ("a policy without the nest's flag", attribute(genl.A_POLICY, attribute(2, struct.pack("<I", 4)))),
            ("half a header", attribute(nested, b"\x08\x00")),
            ("a length beyond the end", attribute(nested, struct.pack("<HH", 400, 2) + b"1234")),
        ):
            true(f"{what} is refused", errno_of(client.set_raw, payload) in ("EINVAL", "ERANGE"))
            same("nothing has changed", client.get(), wanted)
        for command in (genl.GET, genl.GET_COUNTERS):
            same("GET with an attribute", errno_of(client.call, client.family, command, attribute(1, b"1234")), "EINVAL")
        same("an unknown command", errno_of(client.call, client.family, 99), "ENOTSUP")
        same("the other namespace", outside.get()["slots"], DEFAULTS["slots"])


def test_privilege():
    def as_nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        with genl.Client() as client:
            client.get()
            client.rings()
            client.counters()
            return errno_of(client.set, slots=2)

    with Lab() as lab, lab.server, genl.Client() as client:
        same("SET by nobody, after GET", status_of(as_nobody), "EPERM")
        same("slots", client.get()["slots"], DEFAULTS["slots"])


def test_rings():
    with shared() as lab, lab.server, genl.Client() as client:
        same("none", client.rings(), [])
        sender = lab.senders()[0]
        rings = [Ring(rings=8, ring=number, fanout=FANOUT_FLOW, mode=number & 1, fail=number >> 1 & 1, slots=64 << number) for number in (5, 0, 2)]
        found = client.rings()
        same("by index", [ring["index"] for ring in found], [0, 2, 5])
        for ring in found:
            number = ring["index"]
            same(
                "a ring",
                ring,
                {
                    "index": number,
                    "rings": 8,
                    "mode": number & 1,
                    "fanout": FANOUT_FLOW,
                    "fail": number >> 1 & 1,
                    "slots": 64 << number,
                    "held": 0,
                    "bytes": 0,
                    "published": 0,
                    "lost": 0,
                    "pid": os.getpid(),
                },
            )
        for ring in rings:
            ring.close()
        with Ring() as ring:
            for _ in range(3):
                sender.send(b"x")
            ring.answer(ring.take(3)[:1], DROP)
            found = client.rings()[0]
            same("held, published", (found["held"], found["published"]), (2, 3))
            true("bytes", found["bytes"] > 0)
        same("none", client.rings(), [])


def test_all_shares():
    """A dump that needs more than one message."""
    with shared() as lab, lab.server, genl.Client() as client:
        rings = [Ring(rings=64, ring=number, slots=2) for number in range(64)]
        same("by index", [ring["index"] for ring in client.rings()], list(range(64)))
        for ring in rings:
            ring.close()


def test_counters():
    reasons = ring_reasons()
    same("files", sorted(os.listdir("/sys/kernel/synward/counters")), sorted(reasons))
    described = re.findall(r"^\t\t(ring_\w+)  ", file_text(f"{ROOT}/docs/ABI/sysfs-kernel-synward"), re.M)
    same("counters that docs/ABI describes", sorted(described), sorted(reasons))
    described = re.findall(r"parameters/(\w+)$", file_text(f"{ROOT}/docs/ABI/sysfs-module-synward"), re.M)
    same("parameters that docs/ABI describes", sorted(described), sorted(os.listdir("/sys/module/synward/parameters")))
    with Lab() as lab, lab.server, genl.Client() as client, Ring(slots=4) as ring:
        same("none", client.counters(), {})
        sender = lab.senders()[0]
        with counted(ring_held=4, ring_full=1, ring_dropped=3, ring_accepted=1):
            for _ in range(5):
                sender.send(b"x")
            frames = ring.take(4)
            ring.answer(frames[:3], DROP)
            ring.answer(frames[3:], ACCEPT)
        same(
            "of the namespace",
            client.counters(),
            {reasons["ring_held"]: 4, reasons["ring_full"]: 1, reasons["ring_dropped"]: 3, reasons["ring_accepted"]: 1},
        )
        with lab.client, genl.Client() as other:
            same("of another", other.counters(), {})


def test_events():
    with shared() as lab, lab.server, genl.Client() as client:
        sender = lab.senders()[0]
        client.listen()
        with lab.client:
            Ring().close()  # not our namespace: nothing is told here
        ring = Ring(slots=4, deadline_ms=300)
        number, told = client.event()
        same("opened", (number, told["index"], told["slots"], told["pid"]), (genl.OPENED, 0, 4, 0))
        for _ in range(12):
            sender.send(b"x")
        number, told = client.event()
        same("overflow", (number, told["held"]), (genl.OVERFLOW, 4))
        same("expired", client.event()[0], genl.EXPIRED)
        # told once until it is empty again; then anew
        for _ in range(6):
            sender.send(b"x")
        same("overflow", client.event()[0], genl.OVERFLOW)
        same("expired", client.event()[0], genl.EXPIRED)
        ring.close()
        number, told = client.event()
        same("closed", (number, told["held"]), (genl.CLOSED, 0))


def test_policy_without_a_reader():
    with Lab() as lab, lab.server, genl.Client() as client:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        client.set(fail=FAIL_DROP)
        with counted(ring_no_reader=2):
            sender.send(b"0")
            sender.send(b"1")
            true("dropped", nothing_comes(listener))
        with Ring() as ring, counted(ring_held=1, ring_accepted=1):
            sender.send(b"2")
            ring.answer(ring.take(1), ACCEPT)
            same("datagram", listener.recv(100), b"2")
        with counted(ring_no_reader=1):
            sender.send(b"3")
            true("dropped", nothing_comes(listener))
        client.set(fail=FAIL_ACCEPT)
        with counted():
            sender.send(b"4")
            same("datagram", listener.recv(100), b"4")
        # a namespace that goes away with such a policy
        client.set(fail=FAIL_DROP)


def test_frames_of_a_copying_ring_are_listed():
    with shared() as lab, lab.server, genl.Client() as client, Ring(mode=COPY) as ring:
        sender = lab.senders()[0]
        sender.send(b"x")
        frame = ring.take(1)[0]
        same("mark", frame.mark, MARK)
        found = client.rings()[0]
        same("held, but no bytes", (found["held"], found["bytes"]), (1, 0))
