# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that are held, and what the reader sees of them."""

import random
import socket
import struct
import time

from harness import Responder, counted, eventually, same, true
from network import CLIENT4, MARK, PORT, REASON, SERVER4, SERVER6, Lab, nothing_comes, shared
from ring import ACCEPT, DROP, FAIL_DROP, FANOUT_CPU, FANOUT_FLOW, IPV4, IPV6, Ring, errno_of, verdict

UDP = 17


def test_accept_and_drop():
    with shared() as lab, counted(ring_held=4, ring_accepted=2, ring_dropped=2):
        four, six = lab.listeners()
        from4, from6 = lab.senders()
        with lab.server, Ring() as ring:
            for sender in (from4, from6):
                sender.send(b"good")
                sender.send(b"bad")
            frames = ring.take(4)
            true("nothing arrives without a verdict", nothing_comes(four) and nothing_comes(six))
            for frame in frames:
                ring.answer([frame], ACCEPT if frame.data.endswith(b"good") else DROP)
            same("datagrams", (four.recv(100), six.recv(100)), (b"good", b"good"))
            true("what is dropped does not come", nothing_comes(four) and nothing_comes(six))
            same("head and tail", (ring.head, ring.tail), (4, 4))


def test_frame():
    payload = bytes(range(100))
    with shared() as lab, lab.server, Ring(frame_bytes=128) as ring:
        from4, from6 = lab.senders()
        index = socket.if_nametoindex("s0")
        before = time.monotonic_ns()
        from4.send(payload)
        four = ring.take(1)[0]
        from6.send(payload)
        six = ring.take(1)[0]
        after = time.monotonic_ns()
        for number, frame in enumerate((four, six)):
            same("sequence", frame.sequence, number + 1)
            same("slot and generation", (frame.slot, frame.generation), (number, 1))
            same("mark and reason", (frame.mark, frame.reason), (MARK, REASON))
            same("interface", frame.ifindex, index)
            same("protocol", frame.protocol, UDP)
            same("captured", frame.captured, 64)
            same("one segment, no tag", (frame.gso_size, frame.vlan, frame.reserved), (0, 0, 0))
            true("time", before <= frame.time <= after)
        same("families", (four.family, six.family), (IPV4, IPV6))
        same("lengths", (four.length, six.length), (128, 148))
        same("transport headers", (four.transport, six.transport), (20, 40))
        same("IPv4 source and payload", (four.data[12:16], four.data[28:]), (socket.inet_aton(CLIENT4), payload[:36]))
        same("IPv6 port and payload", (six.data[42:44], six.data[48:]), (struct.pack(">H", PORT), payload[:16]))
        ring.answer([four, six], DROP)


def test_extension_headers():
    """Hop-by-hop options lie between the IPv6 header and the transport header."""
    with shared() as lab, lab.server, Ring() as ring:
        _, listener = lab.listeners()
        _, sender = lab.senders()
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0]))
        sender.send(b"options")
        frame = ring.take(1)[0]
        same("transport and protocol", (frame.transport, frame.protocol), (48, UDP))
        same("next header", frame.data[6], 0)
        ring.answer([frame], ACCEPT)
        same("datagram", listener.recv(100), b"options")


def test_fragments():
    rules = Lab.rules("ip protocol udp") + Lab.rules("ip6 nexthdr ipv6-frag", table="six")
    with Lab(rules) as lab, lab.server, Ring() as ring:
        listeners = lab.listeners()
        senders = lab.senders()
        data = random.randbytes(2500)
        for listener, sender, offset in zip(listeners, senders, (20, 48)):
            sender.send(data)
            frames = ring.take(2)
            same("transport headers", [frame.transport for frame in frames], [offset, 0])
            same("protocols", [frame.protocol for frame in frames], [UDP, UDP])
            ring.answer(frames, ACCEPT)
            same("the whole datagram", listener.recv(4096), data)


def test_mark():
    rules = (
        Lab.rules()
        + """table inet later {
        chain prerouting {
            type filter hook prerouting priority -150;
            udp dport 7777 meta mark 0x12340058 counter
            udp dport 7777 meta mark 0 counter
        }
    }"""
    )
    with Lab(rules) as lab, lab.server, Ring() as ring:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        for data in (b"marked", b"cleared", b"unmasked"):
            sender.send(data)
        frames = ring.take(3)
        ring.answer(frames[:1], ACCEPT, 0x12345678, 0xFFFF00FF & ~0x22)
        ring.answer(frames[1:2], ACCEPT)
        ring.answer(frames[2:], ACCEPT, 0xFFFFFFFF, 0)
        same("datagrams", [listener.recv(100) for _ in range(3)], [b"marked", b"cleared", b"unmasked"])
        listing = lab.server.exec("nft", "list", "table", "inet", "later")
        true(f"the verdict's mark is seen by later hooks: {listing}", "mark 0x12340058 counter packets 1 " in listing)
        true(f"the escalation bits are gone from the others: {listing}", "mark 0x00000000 counter packets 2 " in listing)


def test_batch_of_different_verdicts():
    count = 300
    with shared() as lab, counted(ring_held=count, ring_accepted=count // 2, ring_dropped=count // 2):
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        with lab.server, Ring(slots=512) as ring:
            for number in range(count):
                sender.send(b"%d" % number)
            frames = ring.take(count)
            same("order of arrival", [int(frame.data[28:]) for frame in frames], list(range(count)))
            kinds = [ACCEPT, DROP] * (count // 2)
            random.shuffle(kinds)
            data = b"".join(verdict(frame, kind) for frame, kind in zip(frames, kinds))
            same("bytes taken by one write", ring.write(data), len(data))
            wanted = [number for number, kind in enumerate(kinds) if kind == ACCEPT]
            same("datagrams, in order", [int(listener.recv(100)) for _ in wanted], wanted)
            true("and no other", nothing_comes(listener))
            same("tail", ring.tail, count)


def test_order_of_verdicts():
    """The newest first: slots are free again only when the oldest is decided."""
    with shared() as lab, lab.server, Ring(slots=8) as ring:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        for number in range(8):
            sender.send(b"%d" % number)
        frames = ring.take(8)
        ring.answer(reversed(frames[1:]), ACCEPT)
        same("datagrams", [int(listener.recv(100)) for _ in range(7)], [7, 6, 5, 4, 3, 2, 1])
        same("tail", ring.tail, 0)
        with counted(ring_full=1):
            sender.send(b"finds no slot")
            same("the fail policy lets it through", listener.recv(100), b"finds no slot")
        same("lost", ring.lost, 1)
        ring.answer(frames[:1], ACCEPT)
        same("datagram", listener.recv(100), b"0")
        same("tail", ring.tail, 8)
        # the same slots again, with another generation
        for number in range(8):
            sender.send(b"%d" % number)
        again = ring.take(8)
        same("generations", [frame.generation for frame in again], [2] * 8)
        ring.answer(again, DROP)


def test_stale_and_bad_verdicts():
    with shared() as lab, lab.server, Ring(slots=4) as ring:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        for data in (b"0", b"1"):
            sender.send(data)
        frames = ring.take(2)
        with counted(ring_bad_verdict=7):
            for fields in (
                {"slot": 4},
                {"slot": 0x80000000},
                {"slot": 0xFFFFFFFF},
            ):
                ring.answer([frames[0]._replace(**fields)], ACCEPT)
            for kind in (2, 3, 0x80000000, 0xFFFFFFFF):
                ring.answer(frames[:1], kind)
        with counted(ring_stale=5):
            ring.write(bytes(20))  # all zero: names no generation
            for fields in ({"generation": 2}, {"generation": 0xFFFFFFFF}, {"slot": 2}, {"slot": 3}):
                ring.answer([frames[0]._replace(**fields)], DROP)
        true("both are still held", nothing_comes(listener))
        with counted(ring_accepted=1, ring_stale=2):
            # a verdict twice in one write, and once more later
            ring.answer([frames[0], frames[0]], ACCEPT)
            ring.answer([frames[0]], DROP)
        same("datagram", listener.recv(100), b"0")
        with counted(ring_dropped=1):
            ring.answer([frames[1]], DROP)
        true("once only", nothing_comes(listener))
        for size in (1, 19, 21, 39):
            same(f"a write of {size} bytes", errno_of(ring.write, bytes(size)), "EINVAL")
        same("a write of nothing", ring.write(b""), 0)


def test_garbage_does_not_disturb():
    """Random verdicts by the thousand between good ones."""
    with shared() as lab, lab.server, Ring(slots=64) as ring:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        generator = random.Random(1)
        for round_number in range(20):
            for number in range(10):
                sender.send(b"%d" % (round_number * 10 + number))
            frames = ring.take(10)
            ring.write(generator.randbytes(20 * 500))
            # plausible slots and kinds with generations that are over or to come
            near = [
                struct.pack("<IIIII", generator.randrange(70), generator.choice((0, 50, 51, 2**32 - 1)), generator.randrange(4), 0, 0)
                for _ in range(200)
            ]
            good = [verdict(frame, ACCEPT) for frame in frames]
            for item in good:
                near.insert(generator.randrange(len(near)), item)
            ring.write(b"".join(near))
            got = sorted(int(listener.recv(100)) for _ in range(10))
            same("datagrams", got, list(range(round_number * 10, round_number * 10 + 10)))
        same("head and tail", (ring.head, ring.tail), (200, 200))


def test_shares_by_flow():
    with shared() as lab, lab.server:
        listener = lab.listeners()[0]
        rings = [Ring(rings=2, ring=number, fanout=FANOUT_FLOW, slots=256) for number in range(2)]
        senders = [lab.udp(lab.client) for _ in range(30)]
        for _ in range(3):
            for sender in senders:
                sender.sendto(b"x", (SERVER4, PORT))
        eventually("all packets are held", lambda: sum(ring.head for ring in rings) == 90)
        ports = [[struct.unpack(">H", frame.data[20:22])[0] for frame in ring.read()] for ring in rings]
        true("both have a share", all(len(set(part)) >= 3 for part in ports))
        same("a flow stays with one", set(ports[0]) & set(ports[1]), set())
        for ring in rings:
            ring.close()
        for _ in range(90):
            listener.recv(100)


def test_share_without_reader():
    """Of 64 shares one has a reader; the packets of the others take the namespace's policy."""
    with shared() as lab, lab.server, Ring(rings=64, ring=63, fanout=FANOUT_CPU, fail=FAIL_DROP):
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        with counted(ring_no_reader=3):
            for data in (b"0", b"1", b"2"):
                sender.send(data)
                same("datagram", listener.recv(100), data)


def test_loopback():
    """Packets that have a route before they are held."""
    with shared() as lab, lab.server, Ring() as ring:
        for family, host in ((socket.AF_INET, SERVER4), (socket.AF_INET6, SERVER6)):
            listener = lab.udp(lab.server, family, host)
            sender = lab.udp(lab.server, family)
            sender.sendto(b"to myself", (host, PORT))
            frame = ring.take(1)[0]
            ring.answer([frame], ACCEPT)
            same("datagram", listener.recv(100), b"to myself")


def test_slow_reader():
    with shared() as lab, counted(ring_held=50, ring_accepted=50):
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        with lab.server, Ring(slots=64, watermark=16, timer_us=20000) as ring, Responder(ring, slow=0.05):
            for number in range(50):
                sender.send(b"%d" % number)
            same("datagrams", [int(listener.recv(100)) for _ in range(50)], list(range(50)))


def test_large_segments():
    """TCP segments that the sender's stack has not cut."""
    with shared() as lab, lab.server, Ring(slots=256, watermark=1) as ring, Responder(ring) as responder:
        server = lab.server.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.bind((SERVER4, PORT))
        server.listen()
        client = lab.client.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.settimeout(60)
        client.connect((SERVER4, PORT))
        peer, _ = server.accept()
        peer.settimeout(60)
        data = random.randbytes(1 << 20)
        client.setblocking(False)
        sent, got = 0, bytearray()
        deadline = time.monotonic() + 60
        while len(got) < len(data) and time.monotonic() < deadline:
            try:
                sent += client.send(data[sent : sent + 262144])
            except BlockingIOError:
                pass
            peer.setblocking(False)
            try:
                got += peer.recv(262144)
            except BlockingIOError:
                time.sleep(0.002)
        same("what arrives", bytes(got) == data, True)
        for item in (server, client, peer):
            item.close()
    true(f"segments came up uncut (the largest of {responder.longest} bytes)", responder.longest > 1600)
    true("with their number", responder.largest > 1)


def test_cut_after_the_verdict():
    """One packet of fifty datagrams is held as one, and cut when it goes on."""
    solution, segment = 17, 103  # SOL_UDP, UDP_SEGMENT
    with shared() as lab, lab.server, Ring() as ring:
        for listener, sender, header in zip(lab.listeners(), lab.senders(), (28, 48)):
            sender.setsockopt(solution, segment, 1000)
            data = random.randbytes(50_000)
            sender.send(data)
            frame = ring.take(1)[0]
            same("length and segments", (frame.length, frame.gso_size, frame.gso_segments), (50_000 + header, 1000, 50))
            same("captured", frame.data[header:], data[: frame.captured - header])
            ring.answer([frame], ACCEPT)
            same("datagrams", b"".join(listener.recv(2000) for _ in range(50)) == data, True)
            true("no more", nothing_comes(listener))
