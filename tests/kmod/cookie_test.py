# SPDX-License-Identifier: GPL-2.0-or-later
"""
Connections whose handshake XDP has answered, on a port of which a rule marks everything.

The ACK with a good cookie brings a socket along that tc has made for it, and that socket's
listener is not referenced: such a packet must not be held.
"""

import contextlib
import os
import socket
import tempfile

from harness import Responder, Skip, conserved, counters, same
from network import PORT, SERVER4, SERVER6, Lab, run
from ring import ACCEPT, Ring

BUILD = os.environ.get("SYNWARD_BUILD", "")
HOSTS = ((socket.AF_INET, SERVER4), (socket.AF_INET6, SERVER6))


def need_cookie_sockets():
    with open("/proc/kallsyms", encoding="ascii") as symbols:
        known = any(line.split()[2] == "bpf_sk_assign_tcp_reqsk" for line in symbols)
    if not known or not os.path.exists("/sys/kernel/btf/vmlinux"):
        raise Skip("this kernel makes no sockets from cookies, or has no BTF")


@contextlib.contextmanager
def protected():
    """A lab in which XDP answers every SYN to PORT, and a rule marks what netfilter sees of it."""
    need_cookie_sockets()
    with Lab(Lab.rules(f"tcp dport {PORT}")) as lab, lab.server, tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        # what XDP sends arrives only where the other end has a program, too
        lab.client.ip("link", "set", "dev", "c0", "xdpdrv", "obj", f"{BUILD}/tests/net/pass.bpf.o", "sec", "xdp")
        file.write(
            f'[daemon]\nobject = "{BUILD}/xdp/synward.bpf.o"\n'
            f'[[service]]\nname = "test"\nport = {PORT}\nmode = "cookie"\n'
        )
        file.flush()
        # by ip, which gives the command the /sys of the namespace
        run("ip", "netns", "exec", lab.server.name, f"{BUILD}/tools/synward", "load", "s0", "--config", file.name)
        yield lab


def listen(lab, family, host):
    listener = lab.server.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.settimeout(60)
    listener.bind((host, PORT))
    listener.listen(8)
    return listener


def connect(lab, family, host):
    client = lab.client.socket(family, socket.SOCK_STREAM)
    client.settimeout(60)
    client.connect((host, PORT))
    return client


def foreign():
    return counters()["ring_foreign"]


def handshake_ends(lab, family, host):
    """Although nobody answers; what follows the handshake is held like any packet."""
    before = foreign()
    with listen(lab, family, host) as listener, Ring(slots=256) as ring:
        with connect(lab, family, host) as client, listener.accept()[0] as server:
            same("frames", ring.head, 0)
            same("left alone", foreign() - before, 1)
            client.sendall(b"held")
            ring.take(1)
            ring.next = 0
            with Responder(ring):
                server.settimeout(60)
                same("data", server.recv(100), b"held")


def listener_goes(lab, family, host):
    """While packets of its connections are held, and those go on."""
    with Ring(slots=256) as ring:
        listener = listen(lab, family, host)
        clients = [connect(lab, family, host) for _ in range(4)]
        for client in clients:
            client.sendall(b"held")
        frames = ring.take(4)
        listener.close()
        ring.answer(frames, ACCEPT)
        with Responder(ring):
            for client in clients:
                with contextlib.suppress(ConnectionError):
                    same("nothing is sent back but a reset", client.recv(100), b"")
                client.close()


def test_ack_is_not_held():
    with protected() as lab, conserved():
        for family, host in HOSTS:
            handshake_ends(lab, family, host)
            listener_goes(lab, family, host)
