"""Each output is one chain of fused multiply-adds: bias, kernel rows, kernel columns, channels.

The chain is done again in float64 on integers so small that every product and every sum before its
rounding to float32 is exact, and so large that nearly every step of the chain rounds. The bits must
agree: another order, a second accumulator, or a product rounded on its own would show. A build
without FMA rounds each product first.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import calls
import numpy as np
import pytest
from calls import Call
from hypothesis import given
from hypothesis import strategies as st
from patches import convolve

import dsconv
from dsconv.graph import Graph

DIGITS = 2**20  # products below 2^40, and sums of up to 2^12 of them below 2^53: exact in float64


def integers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-DIGITS, DIGITS, shape).astype(np.float32)


def chain(p: np.ndarray, weight: np.ndarray, bias: np.ndarray, fused: bool) -> np.ndarray:
    """Sum in float32, tap by tap: (G, P, T), (G, T, F), (G, 1, F) -> (G, P, F)."""
    total = np.broadcast_to(bias, (*p.shape[:2], weight.shape[2])).astype(np.float32)
    for t in range(p.shape[2]):
        product = p[:, :, t, None].astype(np.float64) * weight[:, t, None, :]
        if not fused:
            product = product.astype(np.float32)
        total = (total + product).astype(np.float32)
    return total


def with_integers(call: Call) -> Call:
    rng = np.random.default_rng(0)
    arrays = {k: a if a is None else integers(rng, *a.shape) for k, a in call.arrays.items()}
    return Call(call.operation, arrays, call.options)


def same_bits_as_the_chain(call: Call, fused: bool) -> bool:
    return np.array_equal(call(), convolve(call, lambda *taps: chain(*taps, fused=fused)))


@pytest.mark.parametrize("operation", [o for o in calls.WITH_WEIGHTS if o != "separable_conv2d"])
@given(st.data())
def test_each_output_is_one_chain(isa, operation, data):
    call = with_integers(data.draw(calls.WITH_WEIGHTS[operation](isa, 30_000)))
    assert same_bits_as_the_chain(call, isa.has_fma)


def test_the_chain_shows_whether_products_are_rounded_and_in_which_order(isa):
    rng = np.random.default_rng(0)
    arrays = {"x": integers(rng, 3, 40), "weight": integers(rng, 40, 5), "bias": None}
    call = Call("dense", arrays, {"activation": None})
    assert same_bits_as_the_chain(call, isa.has_fma)
    assert not same_bits_as_the_chain(call, not isa.has_fma)
    backwards = call(x=arrays["x"][:, ::-1], weight=arrays["weight"][::-1])
    assert not np.array_equal(call(), backwards)


def fused_and_rounded_twice(a: np.float32, b: np.float32, c: np.float32) -> tuple[Any, Any]:
    """Compute a * b + c with one rounding, from exact fractions, and with two."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    return np.float32(float(exact)), a * b + c


def test_multiply_adds_are_fused_where_the_build_says_so(isa):
    # (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24, and the last term is lost if the product is rounded
    a = np.float32(1 + 2.0**-12)
    c = np.float32(-(1 + 2.0**-11))
    fused, rounded = fused_and_rounded_twice(a, a, c)
    assert (fused, rounded) == (2.0**-24, 0)
    channels = isa.block + 3
    x = np.full((2, 3, channels), a)
    bias = np.full(channels, c)
    ones = np.ones(channels, np.float32)
    results = {
        "conv2d": dsconv.conv2d(x[:, :, :1], np.full((1, 1, 1, channels), a), bias),
        "conv2d, padded": dsconv.conv2d(x[:, :, :1], np.full((2, 2, 1, channels), a), bias)[1:, 2:],
        "grouped": dsconv.conv2d(
            np.tile(x[:, :, :1], 2), np.full((1, 1, 1, 2 * channels), a), np.tile(bias, 2), groups=2
        ),
        "depthwise": dsconv.depthwise_conv2d(x, np.full((1, 1, channels, 1), a), bias),
        "pointwise": dsconv.pointwise_conv2d(x[:, :, :1], np.full((1, channels), a), bias),
        "dense": dsconv.dense(x[0, :, :1], np.full((1, channels), a), bias),
        "separable": dsconv.separable_conv2d(
            x, np.full((1, 1, channels, 1), a), np.eye(channels, dtype=np.float32), bias
        ),
        "separable, second half": dsconv.separable_conv2d(
            x[:, :, :1], np.ones((1, 1, 1, 1), np.float32), np.full((1, channels), a), None, bias
        ),
        "batch_norm": dsconv.batch_norm(x, x[0, 0], bias, 0 * ones, ones, epsilon=0),
    }
    for name, y in results.items():
        assert (y == (fused if isa.has_fma else rounded)).all(), name


@pytest.mark.parametrize("channels", [1, 3, 4, 7, 8, 15, 16, 23, 33, 69])
@pytest.mark.parametrize("kind", ["l2", "local response"])
def test_sums_of_squares_are_one_chain(isa, kind, channels):
    """Check for one chain: compilers like to cut it into vectors, whose lanes would show."""
    x = integers(np.random.default_rng(channels), 4, 5, channels)
    graph = Graph()
    size = 5
    if kind == "l2":
        graph.output(graph.l2_normalize(graph.input(x.shape), epsilon=0.0, name="norm"))
        weights = {"norm/scale": np.ones(channels, np.float32)}
        windows = [range(channels)] * channels
    else:
        layer = {"size": size, "alpha": 1.0, "beta": 1.0, "bias": 1e-30}
        graph.output(graph.local_response_norm(graph.input(x.shape), **layer, name="norm"))
        weights = {}
        windows = [
            range(max(0, c - size // 2), min(channels, c + size // 2 + 1)) for c in range(channels)
        ]
    totals = np.zeros(x.shape, np.float32)
    for c, window in enumerate(windows):
        for d in window:
            product = x[..., d].astype(np.float64) ** 2
            if not isa.has_fma:
                product = product.astype(np.float32)
            totals[..., c] = (totals[..., c] + product).astype(np.float32)
    expected = x / (np.sqrt(totals) if kind == "l2" else totals)
    assert np.array_equal(graph.compile(weights)(x), expected)
