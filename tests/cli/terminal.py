#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command on a terminal of its own (a pty) and looks at what it does to it.

Waits until a text has appeared so many times, then presses keys or sends a signal. Fails
with one line unless the command ends with status 0 and leaves the terminal as it was:
its modes, its own screen and the cursor.
"""
import argparse
import os
import pty
import re
import select
import signal
import sys
import termios
import time

SLOW = 6 if os.environ.get("SYNWARD_GUEST") else 1


def read_until(master, seen, enough):
    """Reads what the command writes until `enough(text)`; False at its end or too late."""
    deadline = time.monotonic() + 20 * SLOW
    while not enough(seen[0]):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([master], [], [], left)[0]:
            return False
        try:
            seen[0] += os.read(master, 65536).decode(errors="replace")
        except OSError:  # the command has ended
            return False
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--awaits", required=True, help="regular expression")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--keys", default="")
    parser.add_argument("--signal")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    os.environ["TERM"] = "xterm"
    os.environ["NO_COLOR"] = "1"
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    child = os.fork()
    if child == 0:
        os.close(master)
        os.login_tty(slave)
        os.execvp(options.command[0], options.command)
    seen = [""]
    wanted = re.compile(options.awaits)
    problem = None
    if not read_until(master, seen, lambda text: len(wanted.findall(text)) >= options.times):
        problem = f"it did not show '{options.awaits}' {options.times} times: {seen[0][-500:]!r}"
    elif termios.tcgetattr(slave)[3] & termios.ECHO:
        problem = "keys are echoed on its screen"
    os.write(master, options.keys.encode())
    if problem:
        os.kill(child, signal.SIGKILL)
    elif options.signal:
        os.kill(child, getattr(signal, "SIG" + options.signal))
    # Its last words are those that give the terminal back.
    restored = read_until(master, seen, lambda text: text.endswith("\033[?25h\033[?1049l"))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not problem and status:
        problem = f"status {status}"
    if not problem and not restored:
        problem = f"it left the terminal in another state: {seen[0][-60:]!r}"
    if not problem and "\033[?1049h" not in seen[0]:
        problem = "it did not use a screen of its own"
    if not problem and termios.tcgetattr(slave) != before:
        problem = "the modes of the terminal are others than before"
    if problem:
        print(problem)
        sys.exit(1)


if __name__ == "__main__":
    main()
