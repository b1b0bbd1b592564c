# SPDX-License-Identifier: GPL-2.0-or-later
"""Beside what else holds packets or moves them between devices."""

import socket
import struct

from harness import Responder, counted, same, true
from network import MARK, PORT, Lab, nothing_comes
from ring import ACCEPT, Ring

NFNETLINK, NFNL_SUBSYS_QUEUE = 12, 3
PACKET, VERDICT, CONFIG = (NFNL_SUBSYS_QUEUE << 8 | message for message in range(3))
NLM_F_REQUEST, NLM_F_ACK = 1, 4
QUEUE = 5


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data.ljust(-(-len(data) // 4) * 4, b"\0")


class Queue:
    """A reader of nfnetlink_queue that knows nothing of synward."""

    def __init__(self, namespace):
        self.socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NFNETLINK)
        self.socket.settimeout(20)
        self.socket.bind((0, 0))
        self.send(CONFIG, attribute(1, struct.pack(">BxH", 1, 0)), NLM_F_ACK)  # NFQNL_CFG_CMD_BIND
        self.send(CONFIG, attribute(2, struct.pack(">IB", 256, 2)), NLM_F_ACK)  # NFQNL_COPY_PACKET

    def send(self, kind, attributes, flags=0):
        body = struct.pack(">BBH", 0, 0, QUEUE) + attributes
        self.socket.send(struct.pack("=IHHII", 16 + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body)
        if flags & NLM_F_ACK:
            same("acknowledged", struct.unpack_from("=i", self.socket.recv(4096), 16)[0], 0)

    def take(self):
        """The next packet's id and bytes."""
        message = self.socket.recv(65536)
        same("a packet", struct.unpack_from("=H", message, 4)[0], PACKET)
        offset, number, data = 20, None, b""
        while offset < len(message):
            length, kind = struct.unpack_from("=HH", message, offset)
            if kind == 1:  # NFQA_PACKET_HDR
                number = struct.unpack_from(">I", message, offset + 4)[0]
            elif kind == 10:  # NFQA_PAYLOAD
                data = message[offset + 4 : offset + length]
            offset += -(-length // 4) * 4
        return number, data

    def accept(self, number):
        self.send(VERDICT, attribute(2, struct.pack(">II", 1, number)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def test_another_reader_of_nfqueue():
    """What the ring lets go on reaches the queue; neither sees the other's packets, nor ends with the other."""
    rules = (
        Lab.rules(f"udp dport {PORT} @th,64,8 0x62")  # "b..." goes to both
        + f"""table inet other {{
            chain prerouting {{
                type filter hook prerouting priority 10;
                udp dport {PORT} queue num {QUEUE}
            }}
        }}
        """
    )
    with Lab(rules) as lab, lab.server, Queue(lab.server) as queue:
        listener = lab.listeners()[0]
        sender = lab.senders()[0]
        with counted(ring_held=1, ring_accepted=1), Ring() as ring:
            sender.send(b"both")
            frame = ring.take(1)[0]
            true("the ring has it first", frame.data.endswith(b"both") and nothing_comes(queue.socket))
            sender.send(b"queue")
            number, data = queue.take()
            same("in the queue", data[28:], b"queue")
            queue.accept(number)
            same("datagram", listener.recv(100), b"queue")
            ring.answer([frame], ACCEPT)
            number, data = queue.take()
            same("then the queue", data[28:], b"both")
            true("nothing arrives without the other's verdict", nothing_comes(listener))
            queue.accept(number)
            same("datagram of both", listener.recv(100), b"both")
        sender.send(b"later")
        number, _ = queue.take()
        queue.accept(number)
        same("the queue goes on", listener.recv(100), b"later")


def test_vrf():
    """A packet that comes in by a VRF's device passes the hooks as that of the device and as that of the VRF."""
    with Lab() as lab, lab.server:
        lab.server.batch("link add red type vrf table 10\nlink set red up\nlink set s0 master red\n")
        lab.neighbours()
        listener = lab.udp(lab.server)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"red")
        listener.bind(("", PORT))
        sender = lab.udp(lab.client)
        sender.connect(("192.0.2.1", PORT))
        seen = []

        def accept(frame):
            seen.append((frame.ifindex, frame.mark))
            return ACCEPT, 0, 0

        with Ring() as ring, Responder(ring, accept):
            for number in range(20):
                sender.send(b"%d" % number)
                same("datagram", listener.recv(100), b"%d" % number)
        true("the frames name the device", socket.if_nametoindex("s0") in {index for index, _ in seen})
        same("marks", {mark for _, mark in seen}, {MARK})
