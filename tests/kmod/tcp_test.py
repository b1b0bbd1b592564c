# SPDX-License-Identifier: GPL-2.0-or-later
"""Real connections through a gateway that holds every packet, with DNAT, masquerade and conntrack.

client 192.0.2.2 -- 192.0.2.1 gateway 203.0.113.1 -- 203.0.113.2 target
"""

import contextlib
import random
import socket
import threading

import genl
from harness import Responder, counters, same, true
from network import MARK, Lab, address, nothing_comes, wire
from ring import ACCEPT, DROP, FANOUT_CPU, FANOUT_FLOW, IPV4, Ring

RULES = f"""
table inet escalate {{
    chain prerouting {{
        type filter hook prerouting priority -300;
        meta l4proto tcp meta mark set {MARK}
    }}
}}
table inet gateway {{
    chain to_dnat {{
        type nat hook prerouting priority dstnat;
        ip daddr 192.0.2.1 tcp dport 8080 dnat ip to 203.0.113.2:80
        ip6 daddr 2001:db8:1::1 tcp dport 8080 dnat ip6 to [2001:db8:2::2]:80
    }}
    chain to_masquerade {{
        type nat hook postrouting priority srcnat;
        oifname "g1" masquerade
    }}
    chain to_forward {{
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct status dnat ct state new accept
    }}
}}
"""


class Gateway(Lab):
    def __init__(self):
        super().__init__(RULES)
        self.target = self.namespace("t")
        wire(self.server, "g1", self.target, "t0")
        address(self.server, "g1", "203.0.113.1/24", "2001:db8:2::1/64")
        address(self.target, "t0", "203.0.113.2/24", "2001:db8:2::2/64")
        self.server.sysctl("net/ipv4/ip_forward", 1)
        self.server.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.listeners_tcp = []
        for family, host in ((socket.AF_INET, "203.0.113.2"), (socket.AF_INET6, "2001:db8:2::2")):
            listener = self.target.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, 80))
            listener.listen(64)
            self.listeners_tcp.append(listener)
            self.sockets.append(listener)
            threading.Thread(target=self.serve, args=(listener,), daemon=True).start()

    @staticmethod
    def serve(listener):
        with contextlib.suppress(OSError):
            while True:
                peer, source = listener.accept()
                threading.Thread(target=Gateway.echo, args=(peer, source), daemon=True).start()

    @staticmethod
    def echo(peer, source):
        """The client's address as it is seen here, then what comes, until the end."""
        with contextlib.suppress(OSError), peer:
            peer.sendall(source[0].encode() + b"\n")
            while data := peer.recv(65536):
                peer.sendall(data)

    def connect(self, family):
        client = self.client.socket(family, socket.SOCK_STREAM)
        client.settimeout(60)
        client.connect(("192.0.2.1" if family == socket.AF_INET else "2001:db8:1::1", 8080))
        return client

    def conntrack(self):
        return self.server.exec("conntrack", "-L", "-p", "tcp")


def talk(client, size):
    """The gateway's address as the target sees it; what was sent comes back whole."""
    data = random.randbytes(size)
    sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
    sender.start()
    got = bytearray()
    while part := client.recv(65536):
        got += part
    sender.join()
    client.close()
    source, _, body = bytes(got).partition(b"\n")
    same("what comes back is what was sent", body == data, True)
    return source.decode()


def test_connections():
    before = counters()
    with Gateway() as lab, lab.server:
        rings = [Ring(rings=2, ring=number, fanout=FANOUT_CPU, slots=1024, watermark=8, timer_us=500) for number in range(2)]
        with Responder(rings[0]) as one, Responder(rings[1]) as two:
            for family, gateway in ((socket.AF_INET, "203.0.113.1"), (socket.AF_INET6, "2001:db8:2::1")):
                for size in (10, 200_000):
                    same("masqueraded as", talk(lab.connect(family), size), gateway)
            listing = lab.conntrack()
            same(f"connections in conntrack, all confirmed and assured: {listing}", listing.count("[ASSURED]"), 4)
        frames = one.frames + two.frames
        same("lost", sum(ring.lost for ring in rings), 0)
        for ring in rings:
            ring.close()
    true(f"packets held: {frames}", frames > 60)
    after = counters()
    same("every packet held was accepted", after["ring_accepted"] - before["ring_accepted"], after["ring_held"] - before["ring_held"])


def test_many_connections():
    with Gateway() as lab, lab.server:
        rings = [Ring(rings=2, ring=number, fanout=FANOUT_FLOW, slots=1024, watermark=4, timer_us=300) for number in range(2)]
        with Responder(rings[0]), Responder(rings[1]):
            results = []
            threads = [
                threading.Thread(target=lambda family=family: results.append(talk(lab.connect(family), 3000)))
                for family in (socket.AF_INET, socket.AF_INET6) * 8
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        same("connections", len(results), 16)
        for ring in rings:
            ring.close()


def test_refused():
    """What is dropped never becomes a conntrack entry; what is marked can be told apart behind us."""
    with Gateway() as lab, lab.server, Ring(slots=256) as ring, genl.Client():

        def decide(frame):
            syn = frame.family == IPV4 and frame.data[33] & 0x12 == 2
            return (DROP if syn else ACCEPT, 0, 0)

        with Responder(ring, decide):
            client = lab.client.socket(socket.AF_INET, socket.SOCK_STREAM)
            client.settimeout(1.5)
            try:
                client.connect(("192.0.2.1", 8080))
                raise AssertionError("connected in spite of the verdict")
            except TimeoutError:
                pass
            finally:
                client.close()
            same("conntrack", lab.server.exec("conntrack", "-C").strip(), "0")
            talk(lab.connect(socket.AF_INET6), 1000)


def test_tunnel():
    """The packet inside a tunnel keeps the mark, and must not come up a second time."""
    with Lab(Lab.rules("ip protocol 4")) as lab, lab.server, Ring() as ring:
        for namespace, local, remote, inner in (
            (lab.client, "192.0.2.2", "192.0.2.1", "198.18.0.2/24"),
            (lab.server, "192.0.2.1", "192.0.2.2", "198.18.0.1/24"),
        ):
            namespace.ip("link", "add", "ipip1", "type", "ipip", "local", local, "remote", remote)
            namespace.ip("link", "set", "ipip1", "up")
            address(namespace, "ipip1", inner)
        listener = lab.udp(lab.server, bind="198.18.0.1")
        sender = lab.udp(lab.client)
        sender.sendto(b"inside", ("198.18.0.1", 7777))
        ring.answer(ring.take(1), ACCEPT)
        same("datagram", listener.recv(100), b"inside")
        same("frames", ring.head, 1)


def test_bridge_is_left_alone():
    """Packets that a bridge hands to the IP hooks are not held."""
    with Lab("table inet none {}") as lab:
        bridge = lab.namespace("b")
        far = lab.namespace("f")
        wire(bridge, "b0", lab.client, "c1")
        wire(bridge, "b1", far, "f0")
        bridge.ip("link", "add", "br0", "type", "bridge")
        for device in ("b0", "b1"):
            bridge.ip("link", "set", device, "master", "br0")
        bridge.ip("link", "set", "br0", "up")
        address(lab.client, "c1", "198.18.5.1/24")
        address(far, "f0", "198.18.5.2/24")
        bridge.exec("modprobe", "br_netfilter")
        bridge.sysctl("net/bridge/bridge-nf-call-iptables", 1)
        bridge.nft(Lab.rules())
        with bridge, Ring() as ring:
            listener = lab.udp(far, bind="198.18.5.2")
            sender = lab.udp(lab.client)
            sender.sendto(b"bridged", ("198.18.5.2", 7777))
            same("datagram", listener.recv(100), b"bridged")
            true("only once", nothing_comes(listener))
            same("frames", ring.head, 0)
            listing = bridge.exec("nft", "list", "table", "inet", "escalate")
            true(f"it went by the IP hooks, and was marked there: {listing}", "packets 1 " in listing)
