"""Kernels read and write nothing outside of their arrays, whatever the shape."""

from __future__ import annotations

import sys

import processes
import pytest
from hypothesis import settings

from dsconv.kernels import dispatch


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect is called as on Linux")
def test_nothing_is_touched_outside_of_the_arrays(isa):
    done = processes.run("guarded_memory.py", dispatch.isa, str(5 * settings.default.max_examples))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "nothing else was touched\n"
