#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""As much FTP as conntrack's helper wants to see: passive mode, without files.

Both connections stay open, and a line on the data connection comes back.
"""
import argparse
import re
import socket
import threading
import time


def attend(control):
    stream = control.makefile("rb")
    # The helper reads replies only behind a line whose end it saw.
    control.sendall(b"220 ready\r\n")
    address = control.getsockname()[0]
    while line := stream.readline():
        if line.strip() != b"PASV":
            control.sendall(b"502 no\r\n")
            continue
        listener = socket.create_server((address, args.data_port))
        words = address.split(".") + [str(args.data_port >> 8), str(args.data_port & 0xFF)]
        control.sendall(f"227 Entering Passive Mode ({','.join(words)})\r\n".encode())
        data, _ = listener.accept()
        listener.close()
        while line := data.recv(64):
            data.sendall(line)


def serve():
    with socket.create_server(("", 21)) as listener:
        while True:
            control, _ = listener.accept()
            threading.Thread(target=attend, args=(control,), daemon=True).start()


def session():
    control = socket.create_connection((args.host, 21), source_address=(args.source, 0))
    stream = control.makefile("rb")
    stream.readline()
    control.sendall(b"PASV\r\n")
    numbers = [int(n) for n in re.findall(rb"\d+", stream.readline())[1:]]
    data = socket.create_connection((args.host, numbers[4] << 8 | numbers[5]), source_address=(args.source, 0))
    while True:
        data.sendall(b"line\n")
        if not data.recv(64):
            return
        with open(args.progress, "a") as progress:
            progress.write("line\n")
        time.sleep(0.05)


parser = argparse.ArgumentParser()
commands = parser.add_subparsers(required=True)
command = commands.add_parser("serve")
command.add_argument("--data-port", type=int, default=2121)
command.set_defaults(run=serve)
command = commands.add_parser("session")
command.add_argument("host")
command.add_argument("--source")
command.add_argument("--progress")
command.set_defaults(run=session)
args = parser.parse_args()
args.run()
