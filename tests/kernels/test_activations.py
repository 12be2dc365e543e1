"""The exponential of a vec against float64, within the bound that its file states."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import tolerance

from dsconv.kernels import dispatch

INF, NORMAL = np.float32(np.inf), tolerance.NORMAL
SPECIAL = np.float32(
    [0, -0.0, INF, -INF, np.nan, 1e-45, -1e-45, 1e-39, -1e-39, NORMAL, -NORMAL, 3.4e38, -3.4e38]
    + [1, -1, 3, -3, np.nextafter(np.float32(3), INF), np.nextafter(np.float32(-3), -INF), 6, 100]
)


def with_fma() -> list[ModuleType]:
    modules = [dispatch.kernel_module(name) for name in dispatch.available()]
    return [kernels for kernels in modules if kernels.has_fma]


def bits(y: np.ndarray) -> np.ndarray:
    """Return the bits of flushed numbers, with those of one NaN for all."""
    y = tolerance.flushed(y).astype(np.float32)
    return np.where(np.isnan(y), np.float32(np.nan), y).view(np.uint32)


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
