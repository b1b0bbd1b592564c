#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""First packets of connections, from many sources: import_probe.py DEVICE MAC TARGET4 TARGET6.

Reads lines "SOURCE PROTOCOL PORT" and sends a packet for each: a SYN, a datagram, an
echo request. The conntrack of the receiver wants their checksums right.
"""
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "net"))
from frames import Wire, address, checksum, mac  # noqa: E402


def payload(protocol, port, number, six):
    if protocol == "tcp":
        return 6, struct.pack("!HHIIBBHHH", 1024 + number % 60000, port, number, 0, 5 << 4, 2, 64240, 0, 0), 16
    if protocol == "udp":
        return 17, struct.pack("!HHHH", 1024 + number % 60000, port, 8, 0), 6
    return (58 if six else 1), struct.pack("!BBHHH", 128 if six else 8, 0, 0, number % 65536, 1), 2


def main():
    device, receiver, target4, target6 = sys.argv[1:]
    wire = Wire(device)
    macs = mac(receiver) + wire.mac
    for number, line in enumerate(sys.stdin):
        text, protocol, port = line.split()
        source, target = address(text), address(target6 if ":" in text else target4)
        six = len(source) == 16
        kind, data, at = payload(protocol, int(port), number, six)
        pseudo = b""
        if six:
            pseudo = source + target + struct.pack("!II", len(data), kind)
        elif kind != 1:
            pseudo = source + target + struct.pack("!HH", kind, len(data))
        data = data[:at] + struct.pack("!H", checksum(pseudo + data)) + data[at + 2 :]
        if six:
            header = struct.pack("!IHBB", 6 << 28, len(data), kind, 64) + source + target
        else:
            header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), number % 65536, 0x4000, 64, kind, 0) + source + target
            header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        wire.send(macs + struct.pack("!H", 0x86DD if six else 0x0800) + header + data)


if __name__ == "__main__":
    main()
