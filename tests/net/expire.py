#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Has a timer of another process expire now: the one timerfd with this interval.

The process need not know: its descriptor is taken by pidfd_getfd(2), and what
timerfd_settime(2) sets holds for both. The interval stays. Fails with one line
where the process has no such timer, or several.
"""
import ctypes
import os
import re
import sys

PIDFD_GETFD = 438  # the same number on every architecture
libc = ctypes.CDLL(None, use_errno=True)


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class Setting(ctypes.Structure):
    _fields_ = [("interval", Timespec), ("value", Timespec)]


def checked(result, what):
    if result < 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def timers(pid, seconds):
    folder = f"/proc/{pid}/fdinfo"
    for number in os.listdir(folder):
        with open(f"{folder}/{number}", encoding="ascii") as file:
            found = re.search(r"^it_interval: \((\d+), (\d+)\)", file.read(), re.MULTILINE)
        if found and found.groups() == (str(seconds), "0"):
            yield int(number)


def main():
    pid, seconds = int(sys.argv[1]), int(sys.argv[2])
    found = list(timers(pid, seconds))
    if len(found) != 1:
        sys.exit(f"process {pid} has {len(found)} timers with an interval of {seconds} s")
    process = os.pidfd_open(pid)
    timer = checked(libc.syscall(PIDFD_GETFD, process, found[0], 0), "pidfd_getfd")
    setting = Setting(Timespec(seconds, 0), Timespec(0, 1))
    checked(libc.timerfd_settime(timer, 0, ctypes.byref(setting), None), "timerfd_settime")


if __name__ == "__main__":
    main()
