#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Handshakes by hand: what no ordinary socket of the kernel would send.

The client's address must not be one of the sending namespace, or its kernel
would reset what it does not know. Fails with one line that says what is wrong.
"""
import argparse
import os
import random
import struct
import sys
import time

import frames
from frames import ACK, PSH, RST, SYN

SLOW = int(os.environ.get("PEER_SLOW", "1"))


class Connection:
    def __init__(self, options):
        self.wire = self.out = frames.Wire(options.device)
        self.macs = frames.mac(options.mac) + self.wire.mac
        self.source, self.target = frames.address(options.source), frames.address(options.host)
        self.ports = (random.randrange(20000, 60000), options.port)
        self.tags = [int(tag) for tag in options.vlan.split(",")] if options.vlan else []
        self.sequence = random.getrandbits(32)
        self.acknowledged = 0
        self.fragment = options.fragment

    def send(self, frame):
        """In fragments where they are wanted: of the SYN, or of segments with data."""
        if self.fragment and frames.Segment(frame).flags & (SYN if self.fragment == "syn" else PSH):
            for piece in frames.fragments(frame):
                self.out.send(piece)
        else:
            self.out.send(frame)

    def move(self, device, mac):
        """Sends by another device from now on; answers are awaited where they came before."""
        self.out = frames.Wire(device)
        self.macs = frames.mac(mac) + self.out.mac

    def frame(self, flags, options=b"", payload=b""):
        return frames.tcp_frame(self.macs, self.source, self.target, self.ports, flags, self.sequence, self.acknowledged, options, payload, self.tags)

    def exchange(self, frame, wanted):
        """Sends, retransmitting like a client, and returns the first answer that is wanted."""
        for _ in range(4):
            self.send(frame)
            deadline = time.monotonic() + SLOW
            while (left := deadline - time.monotonic()) > 0:
                segment = self.wire.receive(left)
                if segment and segment.ports == self.ports[::-1] and segment.source == self.target and wanted(segment):
                    return segment
        return None


def fail(text):
    print(text)
    sys.exit(1)


def shake(connection, payload, extra):
    """The first two packets; returns the options of the third."""
    options = frames.options(frames.linux_options(1000), extra)
    answer = connection.exchange(connection.frame(SYN, options, payload), lambda segment: segment.flags & (SYN | RST))
    if answer is None:
        fail("no answer to the SYN")
    if answer.flags & RST:
        fail("the SYN was answered by a reset")
    if answer.acknowledged != (connection.sequence + 1) & 0xFFFFFFFF:
        fail(f"the SYN-ACK acknowledges {answer.acknowledged - connection.sequence}, expected 1")
    if answer.tags != connection.tags:
        fail(f"the SYN-ACK has the VLAN tags {answer.tags}, expected {connection.tags}")
    if not answer.right:
        fail("the SYN-ACK has a wrong checksum")
    unknown = set(answer.options) - {frames.MSS, frames.WSCALE, frames.SACK_PERMITTED, frames.TIMESTAMP}
    if unknown:
        fail(f"the SYN-ACK has the options {unknown}, which must not be reflected")
    connection.sequence += 1
    connection.acknowledged = answer.sequence + 1
    stamp = answer.options.get(frames.TIMESTAMP)
    if stamp is None:
        return b""
    return b"\1\1" + frames.option(frames.TIMESTAMP, struct.pack("!I", 1001) + stamp[:4])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", required=True)
    parser.add_argument("--mac", required=True, help="of the receiver")
    parser.add_argument("--source", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--vlan", help="tags from the outside, as 200,100")
    parser.add_argument("--syn-data", action="store_true", help="the SYN carries the request")
    parser.add_argument("--fastopen", action="store_true", help="the SYN has a TCP Fast Open option")
    parser.add_argument("--syn-only", action="store_true", help="be content with the SYN-ACK")
    parser.add_argument("--then", help="the SYN-ACK is acknowledged only when this file exists; until then FILE.answered tells of it")
    parser.add_argument("--move", choices=("ack", "data"), help="with --move-to: from the ACK of the SYN-ACK, or the first data, on")
    parser.add_argument("--move-to", nargs=2, metavar=("DEVICE", "MAC"), help="sends by this device to this receiver")
    parser.add_argument("--fragment", choices=("syn", "data"), help="what comes in IP fragments")
    options = parser.parse_args()
    connection = Connection(options)
    request = b"id\n"
    extra = frames.option(frames.FAST_OPEN, random.randbytes(8)) if options.fastopen else b""
    tcp_options = shake(connection, request if options.syn_data else b"", extra)
    if options.syn_only:
        return
    if options.move == "ack":
        connection.move(*options.move_to)
    if options.then:
        open(options.then + ".answered", "w", encoding="ascii").close()
        while not os.path.exists(options.then):
            connection.wire.receive(0.05)
    connection.send(connection.frame(ACK, tcp_options))
    if options.move == "data":
        connection.move(*options.move_to)
    answer = connection.exchange(connection.frame(PSH | ACK, tcp_options, request), lambda segment: segment.payload or segment.flags & RST)
    if answer is None:
        fail("no answer to the request")
    if answer.flags & RST:
        fail("the request was answered by a reset")
    if not answer.payload.strip().isdigit():
        fail(f"a strange answer: {answer.payload!r}")
    connection.sequence += len(request)
    connection.send(connection.frame(RST))


if __name__ == "__main__":
    main()
