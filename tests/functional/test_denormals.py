"""Numbers below the normal range count as zero, in operands and in results, on every thread."""

from __future__ import annotations

import calls
import numpy as np
import pytest
from calls import array, same_bits
from hypothesis import given
from hypothesis import strategies as st
from tolerance import NORMAL, assert_within, flushed

import dsconv
from dsconv.kernels import dispatch

BUDGET = 20_000  # multiply-adds of a call


def small(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Return x with about half of its numbers below the normal range."""
    return np.where(rng.random(x.shape) < 0.5, x * np.float32(2.0**-131), x).astype(np.float32)


@pytest.mark.parametrize("operation", calls.WITH_WEIGHTS)
@given(st.data())
def test_operands(isa, operation, data):
    call = data.draw(calls.WITH_WEIGHTS[operation](isa, BUDGET))
    rng = np.random.default_rng(0)
    arrays = {name: a if a is None else small(rng, a) for name, a in call.arrays.items()}
    zeros = {name: a if a is None else flushed(a) for name, a in arrays.items()}
    for threads in (1, 3):
        assert same_bits(call(**arrays, threads=threads), call(**zeros, threads=1))


@pytest.mark.parametrize("operation", calls.WITH_WEIGHTS)
@given(st.data())
def test_results(isa, operation, data):
    call = data.draw(calls.WITH_WEIGHTS[operation](isa, 3000))
    scale = np.float32(2.0**-63)
    arrays = {name: a if a is None else a * scale for name, a in call.arrays.items()}
    if arrays.get("bias") is not None:
        arrays["bias"] = arrays["bias"] * scale
    call = call._replace(arrays=arrays, options=call.options | {"activation": None})
    y = call()
    assert_within(y, call)
    assert not ((y != 0) & (np.abs(y) < NORMAL)).any()


def test_every_instruction_set_with_fma_flushes_the_same():
    rng = np.random.default_rng(1)
    x = array(rng, 2, 9, 9, 33) * np.float32(2.0**-63)
    weight, depthwise = array(rng, 3, 3, 33, 20), array(rng, 3, 3, 33, 1)
    results = {}
    for name in dispatch.available():
        with dispatch.use(name) as kernels:
            y = dsconv.conv2d(x, weight * np.float32(2.0**-62))
            z = dsconv.depthwise_conv2d(x, depthwise * np.float32(2.0**-62))
            results.setdefault(kernels.has_fma, []).append(y.tobytes() + z.tobytes())
    for bits in results.values():
        assert len(set(bits)) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_the_caller_keeps_its_own_mode(threads):
    tiny, half = np.float32([2.0**-126]), np.float32(0.5)
    weight = np.ones((8, 8), np.float32)
    for _ in range(3):
        dsconv.dense(np.ones((4, 8), np.float32), weight, threads=threads)
        with pytest.raises(ValueError, match="x has"):
            dsconv.dense(np.ones((4, 9), np.float32), weight, threads=threads)
        assert (tiny * half > 0).all()
