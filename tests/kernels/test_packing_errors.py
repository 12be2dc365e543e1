"""Packed weights: what cannot be packed, and where a packed weight does not fit."""

from __future__ import annotations

import re

import numpy as np
import pytest
from arguments import GOOD, call, ones, refused
from calls import KINDS

import dsconv
from dsconv.kernels import dispatch

GOOD_WEIGHTS = {
    "conv2d": ones(3, 3, 4, 6),
    "depthwise": ones(3, 3, 4, 2),
    "pointwise": ones(4, 6),
    "dense": ones(4, 6),
}
EVERY = [(operation, name, kind) for operation in KINDS for name, kind in KINDS[operation].items()]


@pytest.mark.parametrize("kind", ["conv", "", None, 1, "Dense", ("dense",)])
def test_unknown_kinds(kind):
    text = f"^kind must be one of conv2d, depthwise, pointwise, dense, got {re.escape(repr(kind))}"
    with pytest.raises(ValueError, match=text):
        dsconv.pack(ones(4, 6), kind)


@pytest.mark.parametrize("kind", GOOD_WEIGHTS)
def test_what_cannot_be_packed(kind):
    weight = GOOD_WEIGHTS[kind]
    for wrong in (weight[0], weight[np.newaxis], ones()):
        text = rf"^weight must be \(.*\) for kind '{kind}', got shape {re.escape(str(wrong.shape))}"
        with pytest.raises(ValueError, match=text):
            dsconv.pack(wrong, kind)
    with pytest.raises(ValueError, match="^weight must not be empty, got shape"):
        dsconv.pack(weight[:0], kind)
    for wrong in (weight.astype(float), weight.astype(">f4"), weight.tolist(), None):
        with pytest.raises(TypeError, match="^weight must be"):
            dsconv.pack(wrong, kind)
    with pytest.raises(TypeError, match="^weight is packed already: PackedWeight"):
        dsconv.pack(dsconv.pack(weight, kind), kind)


@pytest.mark.parametrize("kind", GOOD_WEIGHTS)
def test_groups_of_packed_weights(kind):
    weight = GOOD_WEIGHTS[kind]
    for groups in (0, -1):
        with pytest.raises(ValueError, match=f"^groups must be at least 1, got {groups}"):
            dsconv.pack(weight, kind, groups=groups)
    for groups in (1.0, True, None, "1"):
        with pytest.raises(TypeError, match="^groups must be an integer, got"):
            dsconv.pack(weight, kind, groups=groups)
    message = "^groups must divide the output channels 6, got 4"
    if kind != "conv2d":
        message = f"^groups must be 1 for kind '{kind}'"
    with pytest.raises(ValueError, match=message):
        dsconv.pack(weight, kind, groups=4)


@pytest.mark.parametrize("operation, name, kind", EVERY)
def test_weights_of_another_kind(operation, name, kind):
    for other, weight in GOOD_WEIGHTS.items():
        if other != kind:
            message = f"^{name} must be packed for '{kind}', got PackedWeight.kind='{other}'"
            refused(ValueError, message, operation, **{name: dsconv.pack(weight, other)})


@pytest.mark.parametrize("operation, name, kind", EVERY)
@pytest.mark.skipif(len(dispatch.available()) < 2, reason="one instruction set alone")
def test_weights_of_another_instruction_set(operation, name, kind):
    here, there = dispatch.available()[:2]
    with dispatch.use(here):
        packed = dsconv.pack(GOOD[operation][name], kind)
    with dispatch.use(there):
        message = f"^{name} is packed for '{here}', the kernels are '{there}'"
        refused(ValueError, message, operation, **{name: packed})


def test_weights_of_other_groups():
    x, weight = ones(5, 5, 4), ones(3, 3, 2, 6)
    packed = dsconv.pack(weight, "conv2d", groups=2)
    assert dsconv.conv2d(x, packed, groups=2).shape == (5, 5, 6)
    for groups in (1, 3):
        with pytest.raises(ValueError, match=f"^weight is packed for groups=2, got {groups=}"):
            dsconv.conv2d(x, packed, groups=groups)
    refused(ValueError, "^weight is packed for groups=1, got groups=2", "conv2d",
            weight=dsconv.pack(GOOD["conv2d"]["weight"], "conv2d"), groups=2)  # fmt: skip


@pytest.mark.parametrize("operation, name, kind", EVERY)
def test_shapes_of_packed_weights_are_checked_like_those_of_arrays(operation, name, kind):
    shape = list(GOOD[operation][name].shape)
    shape[0 if len(shape) == 2 else 2] += 1
    packed = dsconv.pack(ones(*shape), kind)
    with pytest.raises(ValueError) as from_array:
        call(operation, **{name: ones(*shape)})
    refused(ValueError, f"^{re.escape(str(from_array.value))}$", operation, **{name: packed})


def test_packed_weights_are_not_taken_for_a_bias():
    packed = dsconv.pack(ones(4, 6), "dense")
    refused(
        TypeError,
        "^bias must be a NumPy array of float32, got a PackedWeight",
        "dense",
        bias=packed,
    )
    refused(TypeError, "^x must be a NumPy array of float32, got a PackedWeight", "dense", x=packed)


def test_packed_weights_say_what_they_are():
    packed = dsconv.pack(ones(3, 3, 2, 6), "conv2d", groups=2)
    assert (packed.kind, packed.shape, packed.groups) == ("conv2d", (3, 3, 2, 6), 2)
    assert repr(packed).startswith("PackedWeight(kind='conv2d', shape=(3, 3, 2, 6)")
