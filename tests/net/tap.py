#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A wire between two network namespaces made of two TAP devices, whose driver has XDP of
its own, without metadata before Linux 6.15. Lives until it is killed.

tap.py DEVICE NAMESPACE DEVICE: one end here, the other in /run/netns/NAMESPACE.
"""
import ctypes
import fcntl
import os
import select
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000


def tap(name):
    """Not blocking: only then does the driver make frames as XDP wants them."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def main():
    here, namespace, there = sys.argv[1:]
    ends = [tap(here)]
    with open(f"/run/netns/{namespace}", "rb") as other:
        if ctypes.CDLL(None, use_errno=True).setns(other.fileno(), 0):
            sys.exit(f"setns: {os.strerror(ctypes.get_errno())}")
    ends.append(tap(there))
    peer = {ends[0]: ends[1], ends[1]: ends[0]}
    while True:
        for end in select.select(ends, [], [])[0]:
            try:
                os.write(peer[end], os.read(end, 65536))
            except OSError:  # one of them is down
                pass


if __name__ == "__main__":
    main()
