"""Where memory is short, files are written, read, or a MemoryError says so: the process lives on."""

from __future__ import annotations

import sys

import processes
import pytest

pytest.importorskip("onnx", reason="onnx is not installed")

CHILDREN = """
import collections, os, resource, sys, tempfile
import dsconv

os.chdir(tempfile.mkdtemp())
graph = dsconv.models.mobilenet_v1(alpha=1.0, resolution=32, classes=10)
model = graph.compile(threads=1)
dsconv.save(model, "file.onnx")
action = {"save": lambda: dsconv.save(model, "other.onnx"), "load": lambda: dsconv.load("file.onnx")}
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
ends = collections.Counter()
for extra in range(0, 160 << 20, 5 << 20):
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (used + extra, used + extra))
        try:
            action[sys.argv[1]]()
        except MemoryError:
            os._exit(3)
        except BaseException:
            os._exit(4)
        os._exit(0)
    ends[os.waitpid(child, 0)[1]] += 1
print(sorted(ends))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is counted as on Linux")
@pytest.mark.parametrize("action", ["save", "load"])
def test_the_process_lives_on(action: str) -> None:
    # The C library gives freed blocks back at once, so that the children do not live on them.
    done = processes.run(CHILDREN, action, MALLOC_MMAP_THRESHOLD_="65536")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"[0, {3 << 8}]\n"  # done, or a MemoryError
