"""The threads of a call: late, missing, many, forked, interrupted, and asleep when nobody calls."""

from __future__ import annotations

import os
import threading

import numpy as np
import processes
import pytest

import dsconv

SETUP = """
import os, resource, signal, threading, time
import numpy as np
import dsconv

def threads():
    return len(os.listdir("/proc/self/task"))

x, weight = np.ones((1, 56, 56, 32), np.float32), np.ones((3, 3, 32, 32), np.float32)
expected = dsconv.conv2d(x, weight, threads=1)
alone = threads()
"""

linux = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="this system has no /proc")


def lines(code: str) -> list[str]:
    done = processes.run(SETUP + code, OPENBLAS_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


REFUSED = """
if os.getuid() == 0:  # the system lets the superuser start as many processes as it likes
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
"""
LIMITS = {
    "processes": "resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))",
    "memory": """
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20),) * 2)
""",
    "stack": "resource.setrlimit(resource.RLIMIT_STACK, (resource.RLIM_INFINITY,) * 2)",
}


@linux
@pytest.mark.parametrize("limit", LIMITS)
def test_a_thread_that_the_system_refuses_is_done_without(limit):
    code = """
for _ in range(3):
    print((dsconv.conv2d(x, weight, threads=8) == expected).all())
print(threads() - alone)
"""
    *same, more = lines(LIMITS[limit] + REFUSED + code)
    assert same == ["True"] * 3
    assert more == "0" if limit == "processes" else 0 <= int(more) <= 7


@linux
def test_all_callers_share_one_pool():
    code = """
same, together = [], threading.Barrier(60)
def call():
    together.wait()
    for _ in range(3):
        same.append((dsconv.conv2d(x, weight, threads=8) == expected).all())
    together.wait()
callers = [threading.Thread(target=call) for _ in range(60)]
[caller.start() for caller in callers]
[caller.join() for caller in callers]
for _ in range(200):  # the system may show threads a moment longer
    if threads() - alone <= 7:
        break
    time.sleep(0.02)
print(threads() - alone, len(same), all(same))
"""
    (line,) = lines(code)
    workers = max(8, os.cpu_count() or 1) - 1
    assert line.split()[1:] == ["180", "True"] and int(line.split()[0]) <= workers


@linux
def test_a_forked_child_has_all_threads():
    code = """
dsconv.conv2d(x, weight, threads=4)
before = threads()
if os.fork() == 0:
    signal.alarm(20)
    same = (dsconv.conv2d(x, weight, threads=4) == expected).all()
    print(threads() - 1, same, flush=True)
    os._exit(0)
os.wait()
print(before - alone, threads() == before)
"""
    assert lines(code) == ["3 True", "3 True"]


LONG = """
x, weight = np.zeros((1, 1500, 1500, 32), np.float32), np.zeros((3, 3, 32, 64), np.float32)
out = np.full((1, 1500, 1500, 64), np.nan, np.float32)

def unfinished():
    return bool(np.isnan(out[0, -1, -1, -1]))

def at_once(handler):
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
"""


@linux
@pytest.mark.parametrize("threads", [1, 2])
def test_an_exception_of_a_signal_handler_ends_the_call(threads):
    code = f"""
def handler(*_):
    raise KeyboardInterrupt
at_once(handler)
try:
    dsconv.conv2d(x, weight, threads={threads}, out=out)
except KeyboardInterrupt:
    print(unfinished())
print((dsconv.conv2d(x[:, :8, :8], weight, threads={threads}) == 0).all())
"""
    assert lines(LONG + code) == ["True", "True"]


@linux
@pytest.mark.parametrize("threads", [1, 2])
def test_signal_handlers_run_within_a_call(threads):
    code = f"""
at_once(lambda *_: print(unfinished(), (np.float32([2.0**-126]) * np.float32(0.5)).any()))
dsconv.conv2d(x, weight, threads={threads}, out=out)
print((out == 0).all())
"""
    assert lines(LONG + code) == ["True True", "True"]  # a handler has the caller's denormals


FORK = """
def tell(*words):  # with one write, because parent and child share the pipe
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def handler(*_):
    global child
    child = os.fork()
at_once(handler)
try:
    dsconv.conv2d(x, weight, threads=THREADS, out=out)
    tell((out == 0).all())
except RuntimeError as error:
    tell(error, (dsconv.conv2d(x[:, :8], weight, threads=2) == 0).all())
if child == 0:
    os._exit(0)
os.wait()
"""


@linux
def test_a_fork_within_a_call_of_one_thread():
    assert lines(LONG + FORK.replace("THREADS", "1")) == ["True", "True"]


@linux
def test_a_fork_within_a_call_of_two_threads():
    """The child lacks the thread that may have taken work, so its call must end with an error."""
    output = sorted(lines(LONG + FORK.replace("THREADS", "2")))
    assert output == ["True", "a signal handler forked the process during a call True"]


@linux
def test_idle_threads_sleep():
    code = """
def states():
    return {open(f"/proc/self/task/{task}/stat").read().rpartition(")")[2].split()[0]
            for task in os.listdir("/proc/self/task") if int(task) != os.getpid()}
dsconv.conv2d(x, weight, threads=4)
for _ in range(200):
    if states() == {"S"}:
        break
    time.sleep(0.02)
print(states())
"""
    assert lines(code) == ["{'S'}"]


@linux
def test_signals_go_to_the_threads_of_python():
    """A signal that a worker took would not end a `time.sleep` of the main thread."""
    code = """
dsconv.conv2d(x, weight, threads=4)
blocked = []
for task in os.listdir("/proc/self/task"):
    status = open(f"/proc/self/task/{task}/status").read()
    blocked.append(int(status.partition("SigBlk:")[2].split()[0], 16))
mask = 1 << (signal.SIGINT - 1) | 1 << (signal.SIGALRM - 1)
print(sum(each & mask == mask for each in blocked))
"""
    assert int(lines(code)[0]) >= 3


def test_calls_of_other_threads_are_not_interrupted(isa):
    """Only the main thread looks for signals again and again; a long call elsewhere ends as usual."""
    x, weight = np.zeros((1, 600, 600, 32), np.float32), np.zeros((3, 3, 32, 32), np.float32)
    results: list[np.ndarray] = []
    caller = threading.Thread(target=lambda: results.append(dsconv.conv2d(x, weight, threads=2)))
    caller.start()
    caller.join()
    assert (results[0] == 0).all()


@linux
@pytest.mark.parametrize("op", ["average_pool", "max_pool"])
def test_windows_as_large_as_the_map_do_not_hold_signals_up(op):
    code = f"""
from dsconv.kernels import dispatch
kernels, n = dispatch.kernels, 600
fields = dict(h=n, w=n, oh=n, ow=n, kh=n, kw=n, top=300, left=300, bottom=299, right=299)
step = kernels.Step({op!r}, fields, (1, 0), (2, 0))
program = kernels.Program([step], (n * n,), (n * n,))
x, out = np.ones(n * n, np.float32), np.full((1, n, n, 1), np.nan, np.float32)
def handler(*_):
    raise KeyboardInterrupt
at_once(handler)
try:
    program.run((x, out), 1, 1)
except KeyboardInterrupt:
    print(unfinished())
"""
    assert lines(LONG + code) == ["True"]


def test_a_row_with_much_work_is_cut_into_panels(isa):
    """A row of 70,000 pixels is several strips; each column has the bits of a narrow map."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 70_000, 64), np.float32)
    weight = rng.standard_normal((1, 3, 64, 64), np.float32)
    narrow = dsconv.conv2d(x[:, :33], weight, threads=1)[:, :32]
    for threads in (1, 2):
        assert (dsconv.conv2d(x, weight, threads=threads)[:, :32] == narrow).all()
