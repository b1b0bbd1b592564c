#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes capture files for replay.test.

captures.py syns FILE --count N --seconds S [--link ethernet|raw|cooked|cooked2] [--snap BYTES]
                 [--to ADDRESS] [--format pcap|pcapng] [--nanoseconds] [--swapped]
captures.py ready FILE COUNT     exits 0 when the file has at least so many packets
"""
import argparse
import ipaddress
import socket
import struct
import sys

LINKS = {"ethernet": 1, "raw": 101, "cooked": 113, "cooked2": 276}


def segment(number, to, port):
    options = bytes.fromhex("020405b4 0402080a 00000001 00000000 01030307")
    tcp = struct.pack("!HHIIBBHHH", 1024 + number % 60000, port, number, 0, 0xA0, 2, 65535, 0, 0) + options
    if to.version == 6:
        source = socket.inet_pton(socket.AF_INET6, "2001:db8::")[:12] + struct.pack("!I", number)
        return struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + source + to.packed + tcp
    source = struct.pack("!I", 0xC6120000 + number)  # 198.18.0.0/15
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, source, to.packed) + tcp


def frame(link, packet):
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x800
    if link == "ethernet":
        return bytes.fromhex("020000000001 020000000002") + struct.pack("!H", kind) + packet
    if link == "cooked":
        return struct.pack("!HHH8sH", 0, 1, 6, bytes.fromhex("0200000000020000"), kind) + packet
    if link == "cooked2":
        return struct.pack("!HHIHBB8s", kind, 0, 2, 1, 0, 6, bytes.fromhex("0200000000020000")) + packet
    return packet


class Pcap:
    def __init__(self, out, order, second, link):
        self.out, self.order, self.second = out, order, second
        magic = 0xA1B23C4D if second == 10**9 else 0xA1B2C3D4
        out.write(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link))

    def write(self, nanoseconds, kept, length):
        fraction = nanoseconds % 10**9 * self.second // 10**9
        self.out.write(struct.pack(self.order + "IIII", nanoseconds // 10**9, fraction, len(kept), length) + kept)


class Pcapng:
    def __init__(self, out, order, second, link):
        self.out, self.order, self.second = out, order, second
        self.block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
        # if_tsresol is left out where it has its default, microseconds.
        resolution = struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0) if second == 10**9 else b""
        self.block(1, struct.pack(order + "HHI", link, 0, 65535) + resolution)

    def block(self, kind, body):
        body += bytes(-len(body) % 4)
        length = len(body) + 12
        self.out.write(struct.pack(self.order + "II", kind, length) + body + struct.pack(self.order + "I", length))

    def write(self, nanoseconds, kept, length):
        time = nanoseconds * self.second // 10**9
        self.block(6, struct.pack(self.order + "IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(kept), length) + kept)


def syns(options):
    order = ">" if options.swapped else "<"
    form = Pcapng if options.format == "pcapng" else Pcap
    with open(options.file, "wb") as out:
        file = form(out, order, 10**9 if options.nanoseconds else 10**6, LINKS[options.link])
        for number in range(options.count):
            data = frame(options.link, segment(number, options.to, options.port))
            time = 1_700_000_000 * 10**9 + int(number * options.seconds * 10**9) // options.count
            file.write(time, data[: options.snap] if options.snap else data, len(data))


def count(path):
    with open(path, "rb") as file:
        data = file.read()
    at, packets = 24, 0
    while at + 16 <= len(data):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
        packets += at <= len(data)
    return packets


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("syns")
    command.add_argument("file")
    command.add_argument("--count", type=int, required=True)
    command.add_argument("--seconds", type=float, required=True)
    command.add_argument("--link", choices=LINKS, default="ethernet")
    command.add_argument("--to", type=ipaddress.ip_address, default="192.0.2.1")
    command.add_argument("--format", choices=("pcap", "pcapng"), default="pcap")
    command.add_argument("--nanoseconds", action="store_true")
    command.add_argument("--swapped", action="store_true", help="the other byte order than that of x86")
    command.add_argument("--port", type=int, default=80)
    command.add_argument("--snap", type=int, default=0)
    command = commands.add_parser("ready")
    command.add_argument("file")
    command.add_argument("packets", type=int)
    options = parser.parse_args()
    if options.command == "syns":
        syns(options)
    else:
        sys.exit(count(options.file) < options.packets)


main()
