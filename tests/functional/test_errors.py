"""Bad arguments: an error that names the argument, what came, and what is allowed.

Every operation is called with good arguments first, then with one of them spoilt.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from arguments import (
    ARRAYS,
    CLAMPS,
    GOOD,
    SLIDING,
    STRIDED,
    THREADED,
    VECTORS,
    WEIGHTS,
    call,
    each,
    ones,
    refused,
)

import dsconv


@each(list(GOOD))
def test_good_arguments_are_good(operation):
    assert np.isfinite(call(operation)).all()


@pytest.mark.parametrize("dtype", ["f8", "f2", "i4", "u1", "?", "c8", "O", ">f4", "V4", "S4"])
@each(ARRAYS)
def test_dtypes(operation, name, dtype):
    array = np.zeros(GOOD[operation][name].shape, dtype)
    if array.dtype == np.float32 and array.dtype.isnative:  # ">f4" where that is the native order
        array = array.astype("<f4")
    message = rf"^{name} must be .*, got .*; convert with {name}\.astype\(numpy\.float32\)"
    refused(TypeError, message, operation, **{name: array})


@pytest.mark.parametrize("value", [[1.0, 2.0], 1.5, "text", ones, {}], ids=repr)
@each(ARRAYS)
def test_things_that_are_no_arrays(operation, name, value):
    refused(
        TypeError, f"^{name} must be a NumPy array of float32, got a", operation, **{name: value}
    )


def test_ragged_lists():
    with pytest.raises((TypeError, ValueError), match="^x must be"):
        dsconv.dense([[1], [1, 2]], ones(4, 6))


@each({o: [n for n in names if "bias" not in n] for o, names in ARRAYS.items()})
def test_none_where_an_array_is_needed(operation, name):
    refused(TypeError, f"^{name} must be", operation, **{name: None})


@each({operation: ["x"] for operation in [*STRIDED, "global_average_pool"]})
@pytest.mark.parametrize("shape", [(), (4,), (6, 4), (1, 2, 5, 6, 4)], ids=str)
def test_ranks_of_maps(operation, name, shape):
    message = rf"^x must be \(N, H, W, C\) or \(H, W, C\), got shape {re.escape(str(shape))}"
    refused(ValueError, message, operation, x=ones(*shape))


@pytest.mark.parametrize("shape", [(), (1, 2, 4)], ids=str)
def test_ranks_of_dense_and_others(shape):
    refused(ValueError, r"^x must be \(N, Cin\) or \(Cin,\), got shape", "dense", x=ones(*shape))
    refused(ValueError, r"^x must be \(\.\.\., C\)", "batch_norm", x=ones())
    refused(ValueError, "^axis must be within the 0 axes of x, got -1", "softmax", x=ones())


@each(WEIGHTS)
def test_ranks_of_weights(operation, name):
    good = GOOD[operation][name]
    for weight in (good[0], good[np.newaxis], good.ravel(), ones()):
        message = rf"^{name} must be \(.*\).*, got shape {re.escape(str(weight.shape))}"
        refused(ValueError, message, operation, **{name: weight})


@each(WEIGHTS)
def test_empty_weights(operation, name):
    shape = GOOD[operation][name].shape
    for axis in range(len(shape)):
        empty = np.empty([0 if i == axis else n for i, n in enumerate(shape)], np.float32)
        refused(ValueError, f"^{name} must not be empty, got shape", operation, **{name: empty})


@each(WEIGHTS)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_input_channels_that_differ(operation, name, channels):
    good = GOOD[operation][name]
    axis = 0 if good.ndim == 2 else 2
    weight = ones(*(channels if i == axis else n for i, n in enumerate(good.shape)))
    message = (
        rf"^{name} must take the 8 channels .* got shape {re.escape(str(weight.shape))}"
        if name == "pointwise_weight"
        else rf"^x has 4 channels, {name} {re.escape(str(weight.shape))} .*takes {channels}\b"
    )
    refused(ValueError, message, operation, **{name: weight})


@each(VECTORS)
def test_lengths_of_vectors(operation, name):
    length = len(GOOD[operation][name])
    for vector in (ones(1), ones(length - 1), ones(length + 1), ones(1, length), ones(), ones(0)):
        message = rf"^{name} must have shape \({length},\), got {re.escape(str(vector.shape))}"
        refused(ValueError, message, operation, **{name: vector})


@each({o: ["x"] for o in [*STRIDED, "global_average_pool", "batch_norm"]})
def test_no_channels(operation, name):
    x = GOOD[operation]["x"][..., :0]
    refused(ValueError, "^x must .*at least one channel, got shape", operation, x=x)


def integers(operation: str, name: str, least: int = 1) -> None:
    """Check that `name` takes an int from `least` on, and refuses everything else."""
    for n in (least - 1, -3):
        refused(ValueError, f"^{name} must be at least {least}, got {n}", operation, **{name: n})
    for value in (True, False, 1.0, np.float32(1), np.bool_(True), math.nan, {}, ones(2)):
        message = f"^{name} must be an integer, got {re.escape(repr(value))}"
        refused(TypeError, message, operation, **{name: value})


@each({o: ["stride", "dilation"] for o in SLIDING} | {"pointwise_conv2d": ["stride"]})
def test_stride_and_dilation(operation, name):
    integers(operation, name)
    for value in ((1, 0), (0, 1), [1, -1]):
        refused(ValueError, f"^{name} must be at least 1, got", operation, **{name: value})
    for value in ((1, 2, 3), (1,), ()):
        message = (
            rf"^{name} must be an int or a pair \(rows, columns\), got {re.escape(repr(value))}"
        )
        refused(ValueError, message, operation, **{name: value})
    for value in (None, "1"):
        refused(TypeError, f"^{name} must be an integer, got", operation, **{name: value})
    refused(TypeError, f"^{name} must be an integer, got 1.5", operation, **{name: (1, 1.5)})
    for value in (np.int64(1), (np.int8(1), 1), [1, 1]):
        assert np.array_equal(call(operation, **{name: value}), call(operation))


@each(THREADED)
def test_threads(operation):
    integers(operation, "threads")


@each({"conv2d": ["groups"]})
def test_groups(operation, name):
    integers(operation, name)
    refused(ValueError, "^groups must divide the output channels 6, got 4", operation, groups=4)
    message = r"^x has 4 channels, weight \(3, 3, 4, 6\) with groups=2 takes 8"
    refused(ValueError, message, operation, groups=2)
    refused(ValueError, "^x has 4 channels, .* takes 12", operation, groups=3)


@each(SLIDING)
def test_padding(operation):
    integers(operation, "padding", least=0)
    for value in ((1, -1), ((0, 0), (0, -1))):
        refused(ValueError, "^padding must be at least 0, got -1", operation, padding=value)
    for value in ("SAME", "full", "", "same "):
        message = f'^padding must be "same", "valid" or numbers, got {re.escape(repr(value))}'
        refused(ValueError, message, operation, padding=value)
    for value in ((1, 2, 3), (), (1,), ((1, 1), (1,)), ((1, 1, 1), (1, 1)), ((1, 1),)):
        message = f'^padding must be "same", "valid", an int, .* got {re.escape(repr(value))}'
        refused(ValueError, message, operation, padding=value)
    for value in (None, (1, 1.0), ((1, 1), (1, True)), ("same", "same")):
        refused(TypeError, "^padding must be an integer, got", operation, padding=value)


@each(SLIDING)
def test_an_empty_output(operation):
    for axis, (height, width) in (("height", (2, 6)), ("width", (6, 2))):
        for batch in (0, 2):
            x = ones(batch, height, width, 4)
            message = (
                f"^the output {axis} would be empty: input {axis} 2 .* smaller than the kernel 3"
            )
            refused(ValueError, message, operation, x=x, padding="valid")
    refused(ValueError, "kernel 3 at dilation 3", operation, dilation=3, padding="valid")


@each([*STRIDED, "global_average_pool"])
def test_an_empty_map(operation):
    for shape in ((0, 6, 4), (5, 0, 4), (2, 0, 0, 4)):
        refused(ValueError, "^x must have at least one pixel .*, got", operation, x=ones(*shape))


@each(CLAMPS)
def test_activations(operation, name):
    for value in ("gelu", "ReLU", "", 6, (1,), (1, 2, 3), (None, 1), ("a", "b"), ones, (1j, 2)):
        message = (
            rf'^{name} must be None, "relu", "relu6" or \(low, high\), got {re.escape(repr(value))}'
        )
        refused(ValueError, message, operation, **{name: value})
    for value in ((1, 0), (math.inf, -math.inf), (math.nan, 1), (0, math.nan), (math.nan,) * 2):
        low, high = (re.escape(str(float(bound))) for bound in value)
        message = rf"^{name} must be low <= high, neither NaN, got \({low}, {high}\)"
        refused(ValueError, message, operation, **{name: value})


def test_epsilon_and_variance_of_batch_norm():
    for value in (-0.1, math.nan, -math.inf):
        message = f"^epsilon must be .*at least 0, got {value}"
        refused(ValueError, message, "batch_norm", epsilon=value)
    with pytest.raises(TypeError, match="epsilon"):  # no default: files differ in it
        dsconv.batch_norm(*[ones(4)] * 5)
    for variance in (0, -1):
        message = r"^variance \+ epsilon must be positive, got"
        refused(ValueError, message, "batch_norm", epsilon=0, variance=ones(4) * variance)


@pytest.mark.parametrize("value", [None, "a", (1, 2), 1j], ids=repr)
def test_an_epsilon_that_is_no_number(value):
    refused(TypeError, "^epsilon must be a number, got", "batch_norm", epsilon=value)


def test_an_axis_that_x_does_not_have():
    for axis in (2, -3, 10**30):
        message = f"^axis must be within the 2 axes of x, got {axis}"
        refused(ValueError, message, "softmax", axis=axis)


@pytest.mark.parametrize("axis", [1.0, None, True, "1", (0, 1)], ids=repr)
def test_an_axis_that_is_no_integer(axis):
    refused(TypeError, "^axis must be an integer, got", "softmax", axis=axis)


def test_add():
    for shape in ((3, 2), (3,), (2, 3, 1), (1, 3), ()):
        message = rf"^a and b must have one shape, got \(2, 3\) and {re.escape(str(shape))}"
        refused(ValueError, message, "add", b=ones(*shape))


@each([operation for operation in GOOD if operation != "softmax"])
def test_no_images_give_no_results(operation):
    names = ("a", "b") if operation == "add" else ("x",)
    empty = call(operation, **{name: GOOD[operation][name][:0] for name in names})
    assert empty.dtype == np.float32 and empty.shape == (0, *call(operation).shape[1:])
