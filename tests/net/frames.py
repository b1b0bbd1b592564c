# SPDX-License-Identifier: GPL-2.0-or-later
"""Ethernet frames with TCP in them: to make, to send and to read them."""
import random
import socket
import struct

SYN, RST, PSH, ACK = 0x02, 0x04, 0x08, 0x10
MSS, WSCALE, SACK_PERMITTED, TIMESTAMP, FAST_OPEN = 2, 3, 4, 8, 34

SOL_PACKET = 263
PACKET_AUXDATA = 8
TP_STATUS_VLAN_VALID = 1 << 4


def checksum(data):
    """RFC 1071; 0 over data that holds its own right checksum."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def address(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def option(kind, value=b""):
    return bytes([kind, 2 + len(value)]) + value


def options(*items):
    joined = b"".join(items)
    return joined + b"\1" * (-len(joined) % 4)


def linux_options(timestamp, echo=0):
    """Of a SYN, as Linux orders them."""
    return options(
        option(MSS, struct.pack("!H", 1460)),
        option(SACK_PERMITTED),
        option(TIMESTAMP, struct.pack("!II", timestamp, echo)),
        b"\1" + option(WSCALE, b"\7"),
    )


def pseudo_header(source, target, length):
    return source + target + (struct.pack("!HH", 6, length) if len(source) == 4 else struct.pack("!II", length, 6))


def tcp_frame(macs, source, target, ports, flags, sequence, acknowledged=0, tcp_options=b"", payload=b"", tags=()):
    """`macs`: 12 bytes, receiver first; addresses packed; `tags` from the outside."""
    tcp = struct.pack("!HHIIBBHHH", *ports, sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF, (20 + len(tcp_options)) << 2, flags, 64240, 0, 0)
    tcp += tcp_options + payload
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo_header(source, target, len(tcp)) + tcp)) + tcp[18:]
    if len(source) == 4:
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), sequence & 0xFFFF, 0x4000, 64, 6, 0) + source + target
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    else:
        header = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + source + target
    ethernet = macs
    for index, tag in enumerate(tags):
        ethernet += struct.pack("!HH", 0x88A8 if index + 1 < len(tags) else 0x8100, tag)
    return ethernet + struct.pack("!H", 0x0800 if len(source) == 4 else 0x86DD) + header + tcp


def fragments(frame, size=24):
    """The frame of tcp_frame() without tags as IP fragments of `size` bytes (of 8 each) and the rest."""
    ethernet, packet = frame[:14], frame[14:]
    six = packet[0] >> 4 == 6
    header = 40 if six else 20
    data = packet[header:]
    identification = random.getrandbits(16)
    for offset in range(0, len(data), size):
        piece, more = data[offset : offset + size], offset + size < len(data)
        if six:
            head = packet[:4] + struct.pack("!HB", 8 + len(piece), 44) + packet[7:40]
            head += struct.pack("!BBHI", 6, 0, offset | more, identification)
        else:
            head = packet[:2] + struct.pack("!HHH", 20 + len(piece), identification, offset // 8 | more << 13)
            head += packet[8:10] + b"\0\0" + packet[12:20]
            head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        yield ethernet + head + piece


class Segment:
    """One TCP segment as it was received; `ValueError` for any other frame."""

    def __init__(self, frame, tags=()):
        self.tags = list(tags)
        kind, offset = int.from_bytes(frame[12:14], "big"), 14
        while kind in (0x8100, 0x88A8):
            self.tags.append(int.from_bytes(frame[offset : offset + 2], "big") & 0xFFF)
            kind, offset = int.from_bytes(frame[offset + 2 : offset + 4], "big"), offset + 4
        packet = frame[offset:]
        if kind == 0x0800 and packet[9] == 6:
            packet = packet[: int.from_bytes(packet[2:4], "big")]
            header, self.source, target = (packet[0] & 15) * 4, packet[12:16], packet[16:20]
            self.header_right = checksum(packet[:header]) == 0
        elif kind == 0x86DD and packet[6] == 6:
            packet = packet[: 40 + int.from_bytes(packet[4:6], "big")]
            header, self.source, target = 40, packet[8:24], packet[24:40]
            self.header_right = True
        else:
            raise ValueError("not TCP")
        tcp = packet[header:]
        self.right = self.header_right and checksum(pseudo_header(self.source, target, len(tcp)) + tcp) == 0
        self.ports = struct.unpack("!HH", tcp[:4])
        self.sequence, self.acknowledged = struct.unpack("!II", tcp[4:12])
        self.flags = tcp[13]
        size = (tcp[12] >> 4) * 4
        self.payload = tcp[size:]
        self.options = {}
        position = 20
        while position < size and tcp[position] != 0:
            if tcp[position] == 1:
                position += 1
                continue
            length = tcp[position + 1]
            self.options[tcp[position]] = tcp[position + 2 : position + length]
            position += max(length, 2)


class Wire:
    """A packet socket on a device: whole frames, with the VLAN tag the kernel took off."""

    def __init__(self, device):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.sock.bind((device, 3))
        self.mac = self.sock.getsockname()[4]

    def send(self, frame):
        self.sock.send(frame)

    def receive(self, timeout):
        """The next TCP segment, or None after `timeout` seconds; other frames count as None."""
        self.sock.settimeout(max(timeout, 0.001))
        try:
            frame, ancillary, _, sender = self.sock.recvmsg(65536, 256)
        except TimeoutError:
            return None
        if sender[2] == socket.PACKET_OUTGOING:
            return None
        tags = []
        for level, kind, data in ancillary:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
                if status & TP_STATUS_VLAN_VALID:
                    tags.append(tci & 0xFFF)
        try:
            return Segment(frame, tags)
        except (ValueError, IndexError, struct.error):
            return None
