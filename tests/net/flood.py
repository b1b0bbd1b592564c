#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP packets from spoofed sources of the benchmarking ranges, by a packet socket.

Bounded by time and number; prints how many were sent. The sources lie in
198.18.0.0/15 and 2001:db8:f::/48, never elsewhere.
"""
import argparse
import random
import signal
import socket
import struct
import time

import frames

# Options in an order that no system sends: wscale, NOP, MSS, SACK permitted, NOP, NOP.
ODD_OPTIONS = bytes.fromhex("03030701020405b404020101")

FLAGS = {"syn": frames.SYN, "ack": frames.ACK, "synack": frames.SYN | frames.ACK, "rst": frames.RST}


def spoofed(macs, target, port, flags, odd):
    if len(target) == 4:
        source = struct.pack("!I", (198 << 24 | 18 << 16) + random.getrandbits(17))
    else:
        source = bytes.fromhex("20010db8000f") + random.randbytes(10)
    options = b""
    if flags & frames.SYN:
        options = ODD_OPTIONS if odd else frames.linux_options(random.getrandbits(32))
    ports = (random.randrange(1024, 65536), port)
    number = random.getrandbits(32) if flags & frames.ACK else 0
    return frames.tcp_frame(macs, source, target, ports, flags, random.getrandbits(32), number, options)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", required=True)
    parser.add_argument("--mac", required=True, help="of the receiver")
    parser.add_argument("--to", action="append", required=True, help="address that is flooded")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--count", type=int, default=5_000_000)
    parser.add_argument("--rate", type=int, default=0, help="frames a second; 0: as fast as it goes")
    parser.add_argument("--different", type=int, default=8192, help="how many different ones, repeated")
    parser.add_argument("--flags", choices=FLAGS, default="syn")
    parser.add_argument("--odd", action="store_true", help="SYNs with unusual options")
    options = parser.parse_args()

    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((options.device, 0))
    macs = frames.mac(options.mac) + sock.getsockname()[4]
    targets = [frames.address(text) for text in options.to]
    flags = FLAGS[options.flags]
    made = [spoofed(macs, targets[i % len(targets)], options.port, flags, options.odd) for i in range(min(options.count, options.different))]
    sent = 0
    start = time.monotonic()
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while sent < options.count and not ended:
        now = time.monotonic() - start
        if now >= options.seconds:
            break
        if options.rate and sent >= now * options.rate:
            time.sleep(0.001)
            continue
        for _ in range(min(64, options.count - sent)):
            try:
                sock.send(made[sent % len(made)])
            except OSError:  # the device's queue is full
                pass
            sent += 1
    print(f"sent {sent} in {time.monotonic() - start:.2f} s", flush=True)


if __name__ == "__main__":
    main()
