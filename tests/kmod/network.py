# SPDX-License-Identifier: GPL-2.0-or-later
"""Namespaces, rules and packets for the module's tests.

client (c0) 192.0.2.2, 2001:db8:1::2  <-veth->  192.0.2.1, 2001:db8:1::1 (s0) server

Few commands are run, since each takes half a second in an emulated guest.
"""

import contextlib
import ctypes
import os
import secrets
import socket
import subprocess

ESCALATE = 0x8000
REASON = 30  # stray_ack; any number under 128 will do
MARK = ESCALATE | REASON << 8
PORT = 7777
SERVER4, CLIENT4, SERVER6, CLIENT6 = "192.0.2.1", "192.0.2.2", "2001:db8:1::1", "2001:db8:1::2"
CLIENT_MAC, SERVER_MAC = "02:00:00:00:00:02", "02:00:00:00:00:01"
CLONE_NEWNET = 0x40000000
MS_BIND = 4096
MNT_DETACH = 2
SELF = "/proc/thread-self/ns/net"

libc = ctypes.CDLL(None, use_errno=True)


def run(*command, **options):
    done = subprocess.run(command, text=True, capture_output=True, check=False, **options)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def call(what, result):
    if result:
        raise OSError(ctypes.get_errno(), what)


def enter(fd):
    call("setns", libc.setns(fd, CLONE_NEWNET))


class Namespace:
    """A namespace with a name for `ip`; `with namespace:` puts this thread into it."""

    def __init__(self, letter):
        self.name = f"swk{letter}-{secrets.token_hex(3)}"
        self.path = f"/run/netns/{self.name}"
        self.outside = []
        os.makedirs("/run/netns", exist_ok=True)
        with open(self.path, "x", encoding="ascii"):
            pass
        before = os.open(SELF, os.O_RDONLY | os.O_CLOEXEC)
        try:
            call("unshare", libc.unshare(CLONE_NEWNET))
            call("mount", libc.mount(SELF.encode(), self.path.encode(), None, MS_BIND, None))
            for key in ("all", "default"):
                self.write(f"net/ipv4/conf/{key}/rp_filter", 0)
        finally:
            enter(before)
            os.close(before)

    def __enter__(self):
        self.outside.append(os.open(SELF, os.O_RDONLY | os.O_CLOEXEC))
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        enter(fd)
        os.close(fd)
        return self

    def __exit__(self, *_):
        fd = self.outside.pop()
        enter(fd)
        os.close(fd)

    @staticmethod
    def write(path, value):
        with open(f"/proc/sys/{path}", "w", encoding="ascii") as file:
            file.write(str(value))

    def sysctl(self, path, value):
        with self:
            self.write(path, value)

    def exec(self, *command, **options):
        with self:
            return run(*command, **options)

    def ip(self, *arguments):
        return self.exec("ip", *arguments)

    def batch(self, text):
        return self.exec("ip", "-batch", "-", input=text)

    def nft(self, text):
        return self.exec("nft", "-f", "-", input=text)

    def socket(self, family, kind, protocol=0):
        with self:
            return socket.socket(family, kind, protocol)

    def delete(self):
        with contextlib.suppress(OSError):
            libc.umount2(self.path.encode(), MNT_DETACH)
            os.unlink(self.path)


def wire(one, device1, other, device2):
    one.batch(f"link add {device1} type veth peer name {device2} netns {other.name}\nlink set {device1} up\n")
    other.batch(f"link set {device2} up\n")


def address(namespace, device, *addresses):
    namespace.batch("".join(f"addr add {item} dev {device}{' nodad' if ':' in item else ''}\n" for item in addresses))


class Lab:
    """A client and a server that escalates datagrams and segments to PORT."""

    def __init__(self, rules=None):
        self.namespaces = []
        self.sockets = []
        self.pair = None
        try:
            self.client = self.namespace("c")
            self.server = self.namespace("s")
            self.wire()
            self.server.nft(rules or self.rules())
        except BaseException:
            self.close()
            raise

    @staticmethod
    def rules(match=f"meta l4proto {{ tcp, udp }} th dport {PORT}", mark=MARK, table="escalate"):
        return f"""table inet {table} {{
            chain prerouting {{
                type filter hook prerouting priority -300;
                {match} counter meta mark set {mark}
            }}
        }}
        """

    def namespace(self, letter):
        namespace = Namespace(letter)
        self.namespaces.append(namespace)
        return namespace

    def wire(self):
        # neighbours are known: no test waits for one to answer
        self.client.batch(
            f"""link set lo up
            link add c0 address {CLIENT_MAC} type veth peer name s0 address {SERVER_MAC} netns {self.server.name}
            link set c0 up
            addr add {CLIENT4}/24 dev c0
            addr add {CLIENT6}/64 dev c0 nodad
            neigh replace {SERVER4} lladdr {SERVER_MAC} dev c0
            neigh replace {SERVER6} lladdr {SERVER_MAC} dev c0
            """
        )
        self.server.batch(
            f"""link set lo up
            link set s0 up
            addr add {SERVER4}/24 dev s0
            addr add {SERVER6}/64 dev s0 nodad
            """
        )
        self.neighbours()

    def neighbours(self):
        """Of the server; a device that gets a master loses them."""
        self.server.batch(
            f"""neigh replace {CLIENT4} lladdr {CLIENT_MAC} dev s0
            neigh replace {CLIENT6} lladdr {CLIENT_MAC} dev s0
            """
        )

    def udp(self, namespace, family=socket.AF_INET, bind=None):
        udp = namespace.socket(family, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        udp.settimeout(20)
        if bind:
            udp.bind((bind, PORT))
        self.sockets.append(udp)
        return udp

    def listeners(self):
        """Sockets of the server that get what is let through, IPv4 and IPv6."""
        self.pair = self.pair or (self.udp(self.server, bind=SERVER4), self.udp(self.server, socket.AF_INET6, SERVER6))
        return self.pair

    def senders(self):
        """Sockets of the client; somebody listens, so that none is told "refused"."""
        self.listeners()
        four, six = self.udp(self.client), self.udp(self.client, socket.AF_INET6)
        four.connect((SERVER4, PORT))
        six.connect((SERVER6, PORT))
        return four, six

    def close_sockets(self):
        for item in self.sockets:
            item.close()
        self.sockets.clear()
        self.pair = None

    def close(self):
        self.close_sockets()
        for namespace in self.namespaces:
            namespace.delete()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


_shared = []


@contextlib.contextmanager
def shared():
    """The lab of all tests that leave its links, rules and policy as they are."""
    if not _shared:
        _shared.append(Lab())
    lab = _shared[0]
    try:
        yield lab
    except BaseException:
        # who knows what it left behind
        _shared.clear()
        lab.close()
        raise
    lab.close_sockets()


def nothing_comes(udp, seconds=0.3):
    """True if no datagram comes in that time."""
    udp.settimeout(seconds)
    try:
        udp.recv(65536)
        return False
    except TimeoutError:
        return True
    finally:
        udp.settimeout(20)
