"""Several Python threads at once, forked children, and the GIL."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import calls
import numpy as np
import processes
import pytest
from calls import array, same_bits
from hypothesis import given
from hypothesis import strategies as st

import dsconv


@given(st.data())
def test_several_python_threads_at_once(isa, data):
    each = [data.draw(strategy(isa, 50_000)) for strategy in calls.WITH_WEIGHTS.values()]
    alone = [call(threads=1) for call in each]
    with ThreadPoolExecutor(4) as pool:
        results = [
            pool.submit(call, threads=threads)
            for _ in range(3)
            for threads in (1, 2, 3)
            for call in each
        ]
        for i, result in enumerate(results):
            assert same_bits(result.result(), alone[i % len(each)])


def test_several_python_threads_with_one_packed_weight(isa):
    x = array(np.random.default_rng(0), 4, 9, 9, 40)
    weight = array(np.random.default_rng(1), 3, 3, 40, 1)
    packed = dsconv.pack(weight, "depthwise")
    with ThreadPoolExecutor(4) as pool:
        for i, y in enumerate(pool.map(lambda x: dsconv.depthwise_conv2d(x, packed), [*x, *x])):
            assert same_bits(y, dsconv.depthwise_conv2d(x[i % 4], weight))


def test_kernels_run_without_the_gil(isa):
    """See `out` half written, which is impossible while the other thread holds the GIL."""
    x = array(np.random.default_rng(0), 128, 128, 32)
    weight = array(np.random.default_rng(1), 3, 3, 32, 32)
    out = np.empty((128, 128, 32), np.float32)
    first, last = out[0, 0], out[-1, -1]
    for _ in range(200):
        out[...] = np.nan
        other = threading.Thread(
            target=dsconv.conv2d, args=(x, weight), kwargs={"out": out, "threads": 1}
        )
        other.start()
        seen = False
        while other.is_alive() and not seen:
            seen = bool(np.isfinite(first[0])) and bool(np.isnan(last[0]))
        other.join()
        if seen:
            return
    pytest.fail("no call in 200 let this thread run before it was done")


CHILD = """
import os, signal, sys
import numpy as np
import dsconv

x = np.ones((1, 64, 64, 64), np.float32)  # large enough for passes over memory on two threads
weight, ones, zeros = np.ones((64, 64), np.float32), np.ones(64, np.float32), 0 * np.ones(64, np.float32)
calls = {
    "conv2d": lambda: dsconv.conv2d(x, weight[None, None], threads=2),
    "depthwise_conv2d": lambda: dsconv.depthwise_conv2d(x, ones.reshape(1, 1, 64, 1), threads=2),
    "separable_conv2d":
        lambda: dsconv.separable_conv2d(x, ones.reshape(1, 1, 64, 1), weight, threads=2),
    "dense": lambda: dsconv.dense(x.reshape(-1, 64), weight, threads=2),
    "add": lambda: dsconv.add(x, x),
    "batch_norm": lambda: dsconv.batch_norm(x, ones, zeros, zeros, ones, epsilon=0),
    "global_average_pool": lambda: dsconv.global_average_pool(x),
}
call = calls[sys.argv[1]]
dsconv.set_num_threads(2)
dsconv.conv2d(x, weight[None, None])  # starts a second thread
before = call()
child = os.fork()
if child == 0:
    signal.alarm(10)  # ends a child that hangs
    same = np.array_equal(call(), before)
    os._exit(0 if same else 3)
_, status = os.waitpid(child, 0)
print(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(
    "operation",
    "conv2d depthwise_conv2d separable_conv2d dense add batch_norm global_average_pool".split(),
)
def test_a_forked_child_does_not_hang(operation):
    done = processes.run(CHILD, operation)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n", f"the child ended with status {done.stdout.strip()} (14: it hung)"
