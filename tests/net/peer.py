#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers and clients of the network tests: ordinary sockets of the kernel.

The server takes one line per connection or request:
    echo        answers each further line with itself
    id          answers with the server's process id
    get BYTES   sends that many bytes, then their SHA-256 in hex
    put BYTES   reads that many bytes, answers their SHA-256 in hex
"""
import argparse
import errno
import hashlib
import json
import os
import signal
import socket
import sys
import threading
import time

IPPROTO_MPTCP = 262
TCP_FASTOPEN = 23
TCP_FASTOPEN_CONNECT = 30
SLOW = int(os.environ.get("PEER_SLOW", "1"))


def open_socket(host, mptcp=False):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP if mptcp else socket.IPPROTO_TCP)


def block_of(size):
    # Not random: both ends can make it; not constant: a shifted stream would show.
    return bytes((i * 131 + (i >> 8)) & 0xFF for i in range(size))


BLOCK = block_of(65536)


def send_bytes(sock, count):
    digest = hashlib.sha256()
    while count:
        part = BLOCK[: min(count, len(BLOCK))]
        sock.sendall(part)
        digest.update(part)
        count -= len(part)
    return digest.hexdigest()


def receive_bytes(stream, count):
    digest = hashlib.sha256()
    while count:
        part = stream.read(min(count, 65536))
        if not part:
            raise ConnectionError(f"the peer closed with {count} bytes to come")
        digest.update(part)
        count -= len(part)
    return digest.hexdigest()


def attend(sock, closes):
    try:
        stream = sock.makefile("rb")
        while line := stream.readline():
            words = line.decode().split()
            if words[0] == "echo":
                while line := stream.readline():
                    sock.sendall(line)
            elif words[0] == "id":
                sock.sendall(f"{os.getpid()}\n".encode())
            elif words[0] == "get":
                sock.sendall((send_bytes(sock, int(words[1])) + "\n").encode())
            elif words[0] == "put":
                sock.sendall((receive_bytes(stream, int(words[1])) + "\n").encode())
            else:
                break
            if closes:
                break
    except OSError as error:
        print(f"connection: {error}", file=sys.stderr, flush=True)
    finally:
        sock.close()


def serve(options):
    sock = open_socket(options.address, options.mptcp)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.reuseport:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if options.fastopen:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 128)
    if ":" in options.address:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if options.device:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, options.device.encode())
    sock.bind((options.address, options.port))
    sock.listen(options.backlog)
    while options.accept_when and not os.path.exists(options.accept_when):
        time.sleep(0.05)
    while True:
        connection, _ = sock.accept()
        threading.Thread(target=attend, args=(connection, options.close), daemon=True).start()


def dial(options):
    """A fixed local port may belong to our own last connection for a moment (LAST_ACK)."""
    deadline = time.monotonic() + 5 * SLOW
    while True:
        try:
            return dial_once(options)
        except OSError as error:
            busy = error.errno in (errno.EADDRNOTAVAIL, errno.EADDRINUSE)
            if not (options.bind_port and busy and time.monotonic() < deadline):
                raise
        time.sleep(0.02)


def dial_once(options):
    sock = open_socket(options.host, options.mptcp)
    sock.settimeout(options.timeout * SLOW)
    if options.bind_port or options.source:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((options.source or ("::" if ":" in options.host else "0.0.0.0"), options.bind_port))
    if options.fastopen:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    # with the scope of a link-local address
    sock.connect(socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0][4])
    return sock


def ask(sock, text):
    sock.sendall(text.encode() + b"\n")
    line = sock.makefile("rb").readline()
    if not line:
        raise ConnectionError("closed without an answer")
    return line.decode().strip()


def connect(options):
    """Connections one after the other (or, held, at the same time); prints JSON, fails if one failed."""
    result = {"ok": 0, "failed": 0, "errors": {}, "ids": {}, "slowest_ms": 0}
    held = []
    for _ in range(options.count):
        start = time.monotonic()
        try:
            sock = dial(options)
            if not options.silent:
                answer = ask(sock, "id")
                result["ids"][answer] = result["ids"].get(answer, 0) + 1
            result["ok"] += 1
            if options.hold:
                held.append(sock)
            else:
                if options.await_close:
                    sock.recv(1)
                sock.close()
        except OSError as error:
            result["failed"] += 1
            name = type(error).__name__
            result["errors"][name] = result["errors"].get(name, 0) + 1
        result["slowest_ms"] = max(result["slowest_ms"], round((time.monotonic() - start) * 1000))
    if options.then:
        while not os.path.exists(options.then):
            time.sleep(0.05)
        result["ok"] = 0
        for sock in held:
            try:
                answer = ask(sock, "id")
                result["ids"][answer] = result["ids"].get(answer, 0) + 1
                result["ok"] += 1
            except OSError as error:
                result["failed"] += 1
                name = type(error).__name__
                result["errors"][name] = result["errors"].get(name, 0) + 1
    print(json.dumps(result), flush=True)
    return 1 if result["failed"] else 0


def transfer(options):
    """Sends and receives so many bytes and compares what arrived."""
    sock = dial(options)
    sock.settimeout(60 * SLOW)
    stream = sock.makefile("rb")
    sock.sendall(f"put {options.bytes}\n".encode())
    sent = send_bytes(sock, options.bytes)
    if stream.readline().decode().strip() != sent:
        print("what the server received differs from what was sent")
        return 1
    sock.sendall(f"get {options.bytes}\n".encode())
    received = receive_bytes(stream, options.bytes)
    if stream.readline().decode().strip() != received:
        print("what was received differs from what the server sent")
        return 1
    print(f"{options.bytes} bytes both ways")
    return 0


def ping(options):
    """One connection for ever: a line, its echo, a mark in the progress file."""
    sock = dial(options)
    stream = sock.makefile("rb")
    sock.sendall(b"echo\n")
    number = 0
    with open(options.progress, "a", buffering=1) as progress:
        while True:
            number += 1
            sock.sendall(f"{number}\n".encode())
            if stream.readline().decode().strip() != str(number):
                print(f"the connection broke at echo {number}", flush=True)
                return 1
            progress.write(".\n")
            if options.pause:
                time.sleep(options.pause)


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)

    server = commands.add_parser("serve")
    server.add_argument("--address", default="::")
    server.add_argument("--port", type=int, required=True)
    server.add_argument("--device", help="bind to this network device")
    server.add_argument("--backlog", type=int, default=1024)
    server.add_argument("--mptcp", action="store_true")
    server.add_argument("--reuseport", action="store_true")
    server.add_argument("--fastopen", action="store_true")
    server.add_argument("--close", action="store_true", help="close after one request: TIME_WAIT stays here")
    server.add_argument("--accept-when", help="accept nothing until this file exists")
    server.set_defaults(run=serve)

    def client(name, run):
        one = commands.add_parser(name)
        one.add_argument("host")
        one.add_argument("port", type=int)
        one.add_argument("--mptcp", action="store_true")
        one.add_argument("--fastopen", action="store_true")
        one.add_argument("--bind-port", type=int, default=0)
        one.add_argument("--source", help="address to come from")
        one.add_argument("--timeout", type=float, default=5)
        one.set_defaults(run=run)
        return one

    one = client("connect", connect)
    one.add_argument("--count", type=int, default=1)
    one.add_argument("--hold", action="store_true", help="keep them all open")
    one.add_argument("--silent", action="store_true", help="send nothing")
    one.add_argument("--await-close", action="store_true", help="let the server close first")
    one.add_argument("--then", help="when this file exists, ask on all connections that were held")
    client("transfer", transfer).add_argument("--bytes", type=int, default=50_000_000)
    one = client("ping", ping)
    one.add_argument("--progress", required=True)
    one.add_argument("--pause", type=float, default=0.02, help="seconds between two lines")

    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        return options.run(options)
    except OSError as error:
        print(f"{options.command}: {type(error).__name__}: {error}", flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
