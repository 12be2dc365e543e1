"""Convolutions and dense layers against the naive reference, within tolerances that are derived.

Small shapes go through dsconv.reference; larger ones through patches times a matrix in NumPy, which
is itself held against the reference.
"""

from __future__ import annotations

from typing import Any

import calls
import numpy as np
import pytest
from calls import Call, same_bits
from hypothesis import given
from hypothesis import strategies as st
from patches import convolve
from tolerance import assert_close, assert_within, expected, gamma

import dsconv

SMALL, LARGE = 3000, 100_000  # multiply-adds of a call
DEFAULTS = {"stride": 1, "padding": "same", "dilation": 1, "activation": None}


@pytest.mark.parametrize("operation", calls.WITH_WEIGHTS)
@given(st.data())
def test_small_shapes(isa, operation, data):
    call = data.draw(calls.WITH_WEIGHTS[operation](isa, SMALL))
    assert_within(call(), call)


@pytest.mark.parametrize("operation", calls.WITH_WEIGHTS)
@given(st.data())
def test_larger_shapes(isa, operation, data):
    call = data.draw(calls.WITH_WEIGHTS[operation](isa, LARGE))
    assert_within(call(), call, convolve)


@pytest.mark.parametrize("operation", [o for o in calls.WITH_WEIGHTS if o != "separable_conv2d"])
@given(st.data())
def test_patches_agree_with_the_reference(isa, operation, data):
    call = data.draw(calls.WITH_WEIGHTS[operation](isa, SMALL))
    y, allowed = expected(call)
    ratio = gamma(2, 2.0**-53) / gamma(1)  # both sums are in float64
    assert np.abs(convolve(call) - y).max() <= (allowed * ratio).max()


def _conv2d(size: Any, kernel: Any, filters: int, groups: int = 1, **options: Any) -> Call:
    rng = np.random.default_rng(0)
    arrays = {
        "x": calls.array(rng, *size),
        "weight": calls.array(rng, *kernel, size[-1] // groups, filters),
        "bias": calls.array(rng, filters),
    }
    return Call("conv2d", arrays, {**DEFAULTS, "groups": groups, **options})


def _depthwise(size: Any, kernel: Any, multiplier: int = 1, **options: Any) -> Call:
    rng = np.random.default_rng(0)
    arrays = {
        "x": calls.array(rng, *size),
        "weight": calls.array(rng, *kernel, size[-1], multiplier),
        "bias": calls.array(rng, size[-1] * multiplier),
    }
    return Call("depthwise_conv2d", arrays, {**DEFAULTS, **options})


REAL = {
    "first layer of MobileNet": _conv2d((64, 64, 3), (3, 3), 32, stride=2, activation="relu6"),
    "first layer, symmetric": _conv2d((64, 64, 3), (3, 3), 32, stride=2, padding=1),
    "first layer of ResNet": _conv2d((57, 57, 3), (7, 7), 64, stride=2, padding=3),
    "first layer of AlexNet": _conv2d((59, 59, 3), (11, 11), 96, stride=4, padding="valid"),
    "groups of AlexNet": _conv2d((13, 13, 64), (5, 5), 96, groups=2, padding=2),
    "groups of ShuffleNet": _conv2d((7, 7, 240), (1, 1), 60, groups=3),
    "Inception 1x7": _conv2d((17, 17, 64), (1, 7), 48),
    "Inception 7x1": _conv2d((17, 17, 64), (7, 1), 48),
    "standard block": _conv2d((2, 14, 14, 128), (3, 3), 128),
    "atrous pooling, rate 6": _conv2d((33, 33, 16), (3, 3), 64, dilation=6),
    "atrous pooling, rate 18": _conv2d((33, 33, 16), (3, 3), 64, dilation=18),
    "last pointwise": _conv2d((7, 7, 512), (1, 1), 512, activation="relu6"),
    "depthwise, stride 1": _depthwise((2, 56, 56, 64), (3, 3), padding=1, activation="relu6"),
    "depthwise, stride 2": _depthwise((2, 56, 56, 64), (3, 3), stride=2),
    "depthwise, rate 2": _depthwise((33, 33, 96), (3, 3), dilation=2),
    "depthwise 5x5": _depthwise((14, 14, 120), (5, 5), stride=2),
    "depthwise, multiplier 8": _depthwise((15, 15, 33), (3, 3), multiplier=8),
}


@pytest.mark.parametrize("call", REAL.values(), ids=REAL)
def test_shapes_of_real_layers(isa, call):
    y = call(threads=1)
    assert_within(y, call, convolve)
    assert same_bits(call(threads=2), y)  # large enough for several strips
    assert same_bits(call(threads=5), y)


STRANGE = [
    {"size": (1, 1), "kernel": (3, 3)},
    {"size": (1, 1), "kernel": (8, 8)},
    {"size": (1, 1), "kernel": (1, 1), "padding": 9},
    {"size": (1, 1), "kernel": (1, 1), "padding": ((0, 40), (0, 0)), "stride": (41, 1)},
    {"size": (2, 3), "kernel": (3, 3), "padding": 17},
    {"size": (2, 3), "kernel": (3, 3), "padding": ((30, 0), (0, 30)), "stride": 2},
    {"size": (2, 3), "kernel": (3, 3), "dilation": 30},
    {"size": (61, 61), "kernel": (3, 3), "dilation": 30, "padding": "valid"},
    {"size": (9, 9), "kernel": (9, 9), "padding": "valid"},
    {"size": (5, 40), "kernel": (2, 2), "stride": 7},
    {"size": (5, 40), "kernel": (1, 1), "stride": (100, 3)},
    {"size": (1, 100), "kernel": (1, 9), "padding": ((0, 0), (8, 0))},
    {"size": (100, 1), "kernel": (9, 1), "padding": ((8, 0), (0, 0))},
    {"size": (6, 6), "kernel": (2, 4), "stride": (1, 3), "dilation": (5, 1), "padding": (5, 2)},
    {"size": (4, 4), "kernel": (3, 3), "padding": ((0, 0), (0, 7)), "stride": (1, 5)},
]


@pytest.mark.parametrize("channels", [1, 2, 37])
@pytest.mark.parametrize("shape", STRANGE, ids=str)
def test_strange_shapes(isa, shape, channels):
    options = dict(shape)
    size, kernel = (*options.pop("size"), channels), options.pop("kernel")
    for call in (
        _conv2d(size, kernel, 5, **options),
        _conv2d(size, kernel, 2 * channels, groups=channels, **options),
        _depthwise(size, kernel, 1, **options),
        _depthwise(size, kernel, 3, **options),
    ):
        assert_within(call(), call, convolve)


def test_the_tolerance_sees_a_relative_error_of_2_to_the_minus_16(isa):
    call = REAL["depthwise, rate 2"]
    y, allowed = expected(call, convolve)
    wrong = call(weight=call.arrays["weight"] * np.float32(1 + 2.0**-16))
    with pytest.raises(AssertionError, match="elements are off"):
        assert_close(wrong, y, allowed)


@pytest.mark.parametrize("shape", [(1, 1_500_000, 1), (1_500_000, 1, 1)], ids=str)
def test_long_flat_maps(shape):
    """Check that windows are allowed which are large because the map is."""
    y = dsconv.conv2d(np.ones(shape, np.float32), np.ones((3, 3, 1, 1), np.float32))
    assert y.shape == shape
    assert y.ravel()[[0, -1]].tolist() == [2, 2]
    assert (y.ravel()[1:-1] == 3).all()
