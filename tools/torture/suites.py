"""Run tests of the project on a build, one instruction set at a time, and count them."""

from __future__ import annotations

import re
import time

from tools.torture.builds import Builder
from tools.torture.jobs import ROOT, Result, run_python

KERNELS = ["tests/kernels", "tests/functional", "tests/compiler", "tests/images"]
SHORT = [
    "tests/kernels/test_gemm_tiles.py",
    "tests/kernels/test_depthwise_tiles.py",
    "tests/kernels/test_winograd.py",
    "tests/kernels/test_step_checks.py",
    "tests/kernels/test_records.py",
    "tests/functional/test_invariances.py",
]
THREADS = ["tests/kernels", "tests/functional/test_invariances.py"]
# They compile kernels of their own, or show times, which slow builds spoil.
NOT_HERE = [
    "tests/kernels/test_builds.py",
    "tests/kernels/test_registers.py",
    "tests/compiler/test_profile.py",
]
# They limit the address space, of which sanitizers take terabytes.
NOT_SANITIZED = [
    "tests/functional/test_out_errors.py::test_huge_numbers",
    "tests/kernels/test_team.py::test_a_thread_that_the_system_refuses_is_done_without",
]
# The programs of the first write over what they read, so their threads race. The others start many
# processes and count their threads; test_team_in_c.py has a thread sanitizer of its own.
NOT_WITH_THREADS = [
    "tests/kernels/test_step_checks.py::test_any_step_is_refused_or_stays_within_its_arrays",
    "tests/kernels/test_team.py",
    "tests/kernels/test_threads.py",
    "tests/kernels/test_team_in_c.py",
]
LIMIT = 3600.0  # seconds after which a suite hangs


def suite(builder: Builder, build: str, tests: list[str]) -> Result:
    """Run the tests on all instruction sets that the build has, and stop at the first failure."""
    folder, environment = builder.get(build)
    start = time.monotonic()
    without = [*NOT_HERE, *NOT_SANITIZED, *(NOT_WITH_THREADS if tests is THREADS else ())]
    left_out = [f"--deselect={name}" for name in without]
    options = ["-q", "-x", "-p", "no:cacheprovider", "-c", "pyproject.toml", "--rootdir", "."]
    command = [
        "-c",
        f"import os, sys; os.chdir({str(ROOT)!r}); import pytest; sys.exit(pytest.main())",
    ]
    status, output = run_python(
        [*command, *options, *left_out, *tests], environment, LIMIT, first=folder
    )
    taken = time.monotonic() - start
    passed = re.search(r"(\d+) passed", output)
    fault = f"status {status}\n{output[-6000:]}" if status or not passed else ""
    return Result("tests", build, int(passed[1]) if passed else 0, taken, fault)


PLANTED = """
import numpy as np
from dsconv.kernels import dispatch
k = dispatch.kernels
assert "-fsanitize" in k.flags, k.flags
x, b, bias = (np.ones(n, np.float32) for n in (8, 8 * k.block, k.block))
c = np.ones(k.block - 1, np.float32)  # one float too short
k.gemm_tile(1, 2, x, 8, [0], 8, b, bias, None, c, k.block, k.block, 0.0, 1.0)
"""


def planted(builder: Builder, build: str) -> Result:
    """Check that the sanitizer sees a tile that writes one float behind its array."""
    folder, environment = builder.get(build)
    start = time.monotonic()
    status, output = run_python(["-c", PLANTED], environment, 120, first=folder)
    seen = status != 0 and "heap-buffer-overflow" in output
    fault = "" if seen else f"the planted fault was not found: status {status}\n{output[-3000:]}"
    return Result("planted fault", build, 1, time.monotonic() - start, fault)
