"""Activations, softmax and the exponential that they use, on every instruction set.

All activations but the sigmoid must have the bits of the same formula in float32 of NumPy. What
uses the exponential is compared with float64, within bounds that follow from the one that
src/microkernels/exponential.pxi states:  |y - e^x| <= 2^-23 e^x + 2^-126.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tolerance

from dsconv.kernels import dispatch

INF, NORMAL = np.float32(np.inf), tolerance.NORMAL
SPECIAL = np.float32(
    [0, -0.0, INF, -INF, np.nan, 1e-45, -1e-45, 1e-39, -1e-39, NORMAL, -NORMAL, 3.4e38, -3.4e38]
    + [1, -1, 3, -3, np.nextafter(np.float32(3), INF), np.nextafter(np.float32(-3), -INF), 6, 100]
)


def numbers(seed: int, size: int) -> np.ndarray:
    """Return floats of a usual size, among which are special ones and some of any bits."""
    random = np.random.default_rng(seed)
    x = (5 * random.standard_normal(size)).astype(np.float32)
    bits = random.integers(0, 2**32, size, np.uint32).view(np.float32)
    x = np.where(random.random(size) < 0.2, bits, x)
    return np.where(random.random(size) < 0.2, random.choice(SPECIAL, size), x)


def run(
    kernels: ModuleType, op: str, x: np.ndarray, n: int = 1, threads: int = 1, **fields: Any
) -> np.ndarray:
    """Run one step of n images on all numbers of x; by default these are one row."""
    size = {"w": x.size // n} | fields
    outputs = {"o" + name: size[name] for name in ("h", "w", "c") if name in size}
    step = kernels.Step(op, size | outputs, (1, 0), (2, 0))
    y = np.full_like(x, 77)
    floats = (x.size // n,)
    kernels.Program([step], floats, floats).run((np.ascontiguousarray(x), y), n, threads)
    return y


def activate(kernels: ModuleType, mode: str, x: np.ndarray, **rest: Any) -> np.ndarray:
    return run(kernels, "activation", x, mode=kernels.MODES[mode], **rest)


def with_fma() -> list[ModuleType]:
    modules = [dispatch.kernel_module(name) for name in dispatch.available()]
    return [kernels for kernels in modules if kernels.has_fma]


def clip(x: np.ndarray) -> np.ndarray:
    low, high = np.float32(-1.5), np.float32(6)
    return np.where(x < low, low, np.where(x > high, high, x))


def leaky_relu(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0, np.float32(0.1) * x, x)


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    t = x + np.float32(3)
    t = np.where(t < 0, np.float32(0), np.where(t > 6, np.float32(6), t))
    return t / np.float32(6)


def hard_swish(x: np.ndarray) -> np.ndarray:
    return x * hard_sigmoid(x)


FORMULAS = (clip, leaky_relu, hard_sigmoid, hard_swish)
OPTIONS = {"low": -1.5, "high": 6.0, "alpha": float(np.float32(0.1))}


def bits(y: np.ndarray) -> np.ndarray:
    """Return the bits of flushed numbers, with those of one NaN for all."""
    y = tolerance.flushed(y).astype(np.float32)
    return np.where(np.isnan(y), np.float32(np.nan), y).view(np.uint32)


@pytest.mark.parametrize("formula", FORMULAS)
def test_bits_of_the_formula_in_float32(
    isa: ModuleType, formula: Callable[[np.ndarray], np.ndarray]
) -> None:
    x = numbers(1, 10_000)
    with np.errstate(all="ignore"):
        expected = formula(x)
    assert (bits(activate(isa, formula.__name__, x, **OPTIONS)) == bits(expected)).all()
    assert np.isnan(expected).sum() > 50 and (x.view(np.uint32) == 2**31).sum() > 50  # -0


@pytest.mark.parametrize("slope", [0.0, 2.5, -0.5])
def test_slopes_of_every_kind(isa: ModuleType, slope: float) -> None:
    x = numbers(2, 1000)
    x = tolerance.flushed(x)  # because a negative number that counts as zero is not below zero
    with np.errstate(all="ignore"):
        expected = np.where(x < 0, np.float32(slope) * x, x)
    assert (bits(activate(isa, "leaky_relu", x, alpha=slope)) == bits(expected)).all()


@pytest.mark.parametrize("mode", ["clip", "leaky_relu", "hard_sigmoid", "hard_swish", "sigmoid"])
def test_every_length_threads_and_batch_give_the_same_bits(isa: ModuleType, mode: str) -> None:
    x = numbers(3, 3 * isa.lanes)
    whole = bits(activate(isa, mode, x, **OPTIONS))
    for first in range(isa.lanes + 1):
        for end in range(first + 1, x.size + 1):
            assert (bits(activate(isa, mode, x[first:end], **OPTIONS)) == whole[first:end]).all()
    x = numbers(4, 6 * 1117)
    whole = bits(activate(isa, mode, x, **OPTIONS))
    for n, threads, c in ((1, 3, 1), (3, 2, 1), (6, 1, 1), (2, 3, 3)):
        fields = OPTIONS | {"w": x.size // n // c, "c": c}
        assert (bits(activate(isa, mode, x, n=n, threads=threads, **fields)) == whole).all()


def exponential(kernels: ModuleType, x: np.ndarray) -> np.ndarray:
    padded = np.zeros(-(-x.size // kernels.lanes) * kernels.lanes, np.float32)
    padded[: x.size] = x
    y = np.empty_like(padded)
    kernels.exponentials(padded, y)
    return y[: x.size]


def exponents() -> np.ndarray:
    """Return floats around every power of two that e^x has, and many between."""
    near = (np.log(2) * np.arange(-127, 129)).astype(np.float32).view(np.int32)
    near = (near[:, None] + np.arange(-40, 41, dtype=np.int32)).ravel().view(np.float32)
    random = np.random.default_rng(5)
    between = random.uniform(-88, 89, 200_000)
    small = random.uniform(-1, 1, 200_000) * 2.0 ** random.integers(-40, 1, 200_000)
    return np.concatenate([near, between, small, SPECIAL]).astype(np.float32)


def test_the_exponential_keeps_its_bound(isa: ModuleType) -> None:
    x = exponents()
    x = x[~np.isnan(x)]
    with np.errstate(over="ignore"):
        y, exact = exponential(isa, x), np.exp(x.astype(float))
    finite = exact <= np.finfo(np.float32).max
    assert (y[~finite] == np.inf).all() and (~finite).sum() > 40
    error = np.abs(y[finite] - exact[finite])
    assert (error <= 2.0**-23 * exact[finite] + NORMAL).all()
    assert ((y == 0) | (y >= NORMAL)).all() and (y == 0).sum() > 40


def test_ends_of_the_exponential(isa: ModuleType) -> None:
    y = exponential(isa, np.float32([0, -0.0, INF, -INF, 3.4e38, -3.4e38, 1e-45, np.nan]))
    assert y[:7].tolist() == [1, 1, np.inf, 0, np.inf, 0, 1] and np.isnan(y[7])


def test_the_exponential_has_the_same_bits_with_fma() -> None:
    x = exponents()
    results = [bits(exponential(kernels, x)) for kernels in with_fma()]
    for other in results[1:]:
        assert (other == results[0]).all()


def test_sigmoid(isa: ModuleType) -> None:
    """Compare with float64: e^-x adds 2 u, the sum and the quotient add one each, u = 2^-24."""
    x = np.concatenate([exponents(), -exponents()])
    y = activate(isa, "sigmoid", x)
    known = ~np.isnan(x)
    with np.errstate(over="ignore"):
        exact = 1 / (1 + np.exp(-x[known].astype(float)))
    tolerance.assert_close(y[known], exact, tolerance.rounding(4, exact))
    assert np.isnan(y[~known]).all() and (~known).any()
    assert activate(isa, "sigmoid", np.float32([INF, -INF, 3e38, -3e38, 0])).tolist() == [
        1,
        0,
        1,
        0,
        0.5,
    ]


def test_sigmoid_has_the_same_bits_with_fma() -> None:
    x = numbers(6, 10_000)
    results = [bits(activate(kernels, "sigmoid", x)) for kernels in with_fma()]
    for other in results[1:]:
        assert (other == results[0]).all()


def softmax(kernels: ModuleType, x: np.ndarray, **rest: int) -> np.ndarray:
    """Run it over the middle axis of x: (rows, size, channels)."""
    h, w, c = x.shape
    return run(kernels, "softmax", x, **({"h": h, "w": w, "c": c} | rest))


def test_softmax_of_every_number_of_channels(isa: ModuleType) -> None:
    random = np.random.default_rng(7)
    for size in (1, 2, 3, isa.lanes - 1, isa.lanes, isa.lanes + 1, 50):
        for channels in range(1, 2 * isa.lanes + 2):
            x = (8 * random.standard_normal((3, size, channels))).astype(np.float32)
            y = softmax(isa, x)
            tolerance.assert_close(y, *tolerance.softmax(x, 1))
            for c in range(channels):
                alone = np.ascontiguousarray(x[:, :, c : c + 1])
                assert (bits(softmax(isa, alone)) == bits(y[:, :, c : c + 1])).all()


def test_softmax_has_the_same_bits_with_fma_threads_and_batch() -> None:
    random = np.random.default_rng(8)
    for size, channels in ((1001, 1), (21, 1), (7, 5), (13, 40)):
        x = (3 * random.standard_normal((12, size, channels))).astype(np.float32)
        results = []
        for kernels in with_fma():
            for n, threads in ((1, 1), (1, 3), (4, 2)):
                y = softmax(kernels, x, n=n, threads=threads, h=12 // n)
                results.append(bits(y))
        for other in results[1:]:
            assert (other == results[0]).all()


@pytest.mark.parametrize("channels", [1, 3, 40])
def test_softmax_of_infinite_numbers_and_nan(isa: ModuleType, channels: int) -> None:
    """Give NaN on an axis with +inf or NaN, and -inf the probability zero."""
    values = [[0, -INF, 0], [3e38, -3e38, 3e38], [0, np.nan, 0], [INF, 0, 0], [-INF, -INF, -INF]]
    x = np.repeat(np.float32(values)[:, :, None], channels, axis=2)
    y = softmax(isa, x)
    assert (y[:2] == np.float32([0.5, 0, 0.5])[:, None]).all()
    assert np.isnan(y[2:]).all()
