# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of the generic netlink family "synward", as lib/abi/genetlink.h describes it."""

import os
import socket
import struct

NETLINK_GENERIC = 16
SOL_NETLINK, ADD_MEMBERSHIP = 270, 1
ERROR, DONE = 2, 3
REQUEST, MULTI, ACK, DUMP = 1, 2, 4, 0x300
NESTED = 0x8000
CTRL, GETFAMILY, FAMILY_ID, FAMILY_NAME, MCAST_GROUPS = 16, 3, 1, 2, 7

GET, SET, GET_RINGS, GET_COUNTERS, EVENT, BIND, GET_BOUND = 1, 2, 3, 4, 5, 6, 7
A_ABI, A_VERSION, A_POLICY, A_RING, A_COUNTERS, A_EVENT, A_SETS, A_SET = 1, 2, 3, 4, 5, 6, 8, 9
SET_NAME, SET_DIM, SET_FLAGS, SET_INDEX = 1, 2, 3, 4
SETS_MAX = 64
POLICY = {"fail": (1, "B"), "slots": (2, "I"), "bytes": (3, "Q"), "deadline": (4, "I")}
RING = {
    name: (number, kind)
    for number, (name, kind) in enumerate(
        (
            ("index", "H"),
            ("rings", "H"),
            ("mode", "B"),
            ("fanout", "B"),
            ("fail", "B"),
            ("slots", "I"),
            ("held", "I"),
            ("bytes", "Q"),
            ("published", "Q"),
            ("lost", "Q"),
            ("pid", "I"),
        ),
        1,
    )
}
OPENED, CLOSED, OVERFLOW, EXPIRED = 0, 1, 2, 3


def attribute(kind, data):
    return struct.pack("<HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def attributes(data):
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("<HH", data)
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def fields(data, table):
    found = attributes(data)
    return {name: struct.unpack("<" + kind, found[number])[0] for name, (number, kind) in table.items() if number in found}


def set_attribute(name, dim, flags):
    """A set of SW_NL_BIND."""
    parts = attribute(SET_NAME, name.encode() + b"\0") + attribute(SET_DIM, bytes([dim])) + attribute(SET_FLAGS, bytes([flags]))
    return attribute(A_SET | NESTED, parts)


class Client:
    """A socket in the namespace in which it is made."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.socket.settimeout(20)
        self.socket.bind((0, 0))
        self.sequence = 0
        reply = self.call(CTRL, GETFAMILY, attribute(FAMILY_NAME, b"synward\0"))[0]
        found = attributes(reply[20:])
        self.family = struct.unpack("<H", found[FAMILY_ID])[0]
        self.groups = {}
        for group in attributes(found.get(MCAST_GROUPS, b"")).values():
            parts = attributes(group)
            self.groups[parts[1].rstrip(b"\0").decode()] = struct.unpack("<I", parts[2])[0]

    def call(self, family, command, payload=b"", flags=ACK, version=1):
        """The messages of the reply; OSError for an error."""
        self.sequence += 1
        body = struct.pack("<BBH", command, version, 0) + payload
        header = struct.pack("<IHHII", 16 + len(body), family, REQUEST | flags, self.sequence, 0)
        self.socket.send(header + body)
        messages = []
        while True:
            data = self.socket.recv(65536)
            while data:
                length, kind, _, _, _ = struct.unpack_from("<IHHII", data)
                message, data = data[:length], data[(length + 3) & ~3 :]
                if kind == ERROR:
                    code = struct.unpack_from("<i", message, 16)[0]
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    return messages
                if kind == DONE:
                    return messages
                messages.append(message)

    def get(self):
        found = attributes(self.call(self.family, GET)[0][20:])
        return {
            "abi": struct.unpack("<I", found[A_ABI])[0],
            "version": found[A_VERSION].rstrip(b"\0").decode(),
            **fields(found[A_POLICY], POLICY),
        }

    def set_raw(self, payload):
        self.call(self.family, SET, payload)

    def set(self, **values):
        nest = b"".join(attribute(POLICY[name][0], struct.pack("<" + POLICY[name][1], value)) for name, value in values.items())
        self.set_raw(attribute(A_POLICY | NESTED, nest))

    def rings(self):
        messages = self.call(self.family, GET_RINGS, flags=DUMP)
        return [fields(attributes(message[20:])[A_RING], RING) for message in messages]

    def counters(self):
        found = attributes(attributes(self.call(self.family, GET_COUNTERS)[0][20:])[A_COUNTERS])
        return {kind - 1: struct.unpack("<Q", data)[0] for kind, data in found.items()}

    def bind_raw(self, payload):
        self.call(self.family, BIND, payload)

    def bind(self, *sets):
        """Each a name, or a name, dimension and flags."""
        sets = [(item, 1, 1) if isinstance(item, str) else item for item in sets]
        self.bind_raw(attribute(A_SETS | NESTED, b"".join(set_attribute(*item) for item in sets)))

    def unbind(self):
        self.bind_raw(b"")

    def bound(self):
        """Name, dimension, flags and index of each; None: connections are left alone."""
        data = attributes(self.call(self.family, GET_BOUND)[0][20:]).get(A_SETS)
        if data is None:
            return None
        sets = []
        while data:
            length = struct.unpack_from("<H", data)[0]
            parts = attributes(data[4:length])
            index = struct.unpack("<H", parts[SET_INDEX])[0]
            sets.append((parts[SET_NAME].rstrip(b"\0").decode(), parts[SET_DIM][0], parts[SET_FLAGS][0], index))
            data = data[(length + 3) & ~3 :]
        return sets

    def listen(self):
        self.socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, self.groups["events"])

    def event(self):
        """The next event: its number, and the ring."""
        message = self.socket.recv(65536)
        found = attributes(message[20:])
        return found[A_EVENT][0], fields(found[A_RING], RING)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
