#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes capture files for replay.test.

captures.py syns FILE --count N --seconds S [--link ethernet|raw|cooked|cooked2] [--snap BYTES]
captures.py ready FILE COUNT     exits 0 when the file has at least so many packets
"""
import argparse
import socket
import struct
import sys

LINKS = {"ethernet": 1, "raw": 101, "cooked": 113, "cooked2": 276}


def segment(number, to, port):
    source = struct.pack("!I", 0xC6120000 + number)  # 198.18.0.0/15
    options = bytes.fromhex("020405b4 0402080a 00000001 00000000 01030307")
    tcp = struct.pack("!HHIIBBHHH", 1024 + number % 60000, port, number, 0, 0xA0, 2, 65535, 0, 0) + options
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, source, socket.inet_aton(to)) + tcp


def frame(link, packet):
    if link == "ethernet":
        return bytes.fromhex("020000000001 020000000002 0800") + packet
    if link == "cooked":
        return struct.pack("!HHH8sH", 0, 1, 6, bytes.fromhex("0200000000020000"), 0x800) + packet
    if link == "cooked2":
        return struct.pack("!HHIHBB8s", 0x800, 0, 2, 1, 0, 6, bytes.fromhex("0200000000020000")) + packet
    return packet


def syns(options):
    with open(options.file, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINKS[options.link]))
        for number in range(options.count):
            data = frame(options.link, segment(number, options.to, options.port))
            time = 1_700_000_000 + number * options.seconds / options.count
            kept = data[: options.snap] if options.snap else data
            out.write(struct.pack("<IIII", int(time), int(time % 1 * 1e6), len(kept), len(data)) + kept)


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
    command.add_argument("--to", default="192.0.2.1")
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
