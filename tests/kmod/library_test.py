# SPDX-License-Identifier: GPL-2.0-or-later
"""libsynward against this module: its own tests, which are of C++ (tests/unit/module_*_test.cpp)."""

import os
import subprocess

from harness import true


def test_library():
    program = os.path.join(os.environ.get("SYNWARD_BUILD", ""), "tests/unit/synward_module_test")
    true(f"{program} is there: build the target synward_module_test", os.path.exists(program))
    done = subprocess.run([program, "--gtest_brief=1"], text=True, capture_output=True, check=False)
    true(f"its tests pass:\n{done.stdout}{done.stderr}", done.returncode == 0)
    true(f"none is skipped:\n{done.stdout}", "SKIPPED" not in done.stdout)
