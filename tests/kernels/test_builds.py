"""Builds that no processor at hand would choose give the same bits as those that it does.

simd_plain.h is for compilers without a vector extension, the tiles of aarch64 for Arm. Both are
compiled here with the flags of a module of this machine, whose number of lanes they share, and run
the same steps. Not resize: it adds two products, and a compiler may fuse either of them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dsconv import _cpu
from dsconv.kernels.dispatch import kernel_module, kernels
from dsconv.kernels.packing import Widths, weights_of

ROOT = Path(__file__).parents[2]
MODES = kernels.MODES
SAME = {"kh": 3, "kw": 3, "top": 1, "bottom": 1, "left": 1, "right": 1}
MAP = {"h": 9, "w": 11, "oh": 9, "ow": 11}
STEPS: list[tuple[str, dict[str, Any]]] = [
    ("pointwise", MAP | {"c": 37, "oc": 75}),
    ("pointwise", {"c": 70, "oc": 300}),  # a dense layer
    ("standard", MAP | SAME | {"c": 8, "oc": 36, "groups": 2}),
    ("standard", MAP | SAME | {"c": 3, "oc": 20, "sh": 2, "sw": 2, "oh": 5, "ow": 6}),
    ("winograd", MAP | SAME | {"c": 19, "oc": 37, "tile": 4}),
    ("depthwise", MAP | SAME | {"c": 37, "oc": 37}),
    ("depthwise", MAP | SAME | {"c": 9, "oc": 27, "multiplier": 3, "sw": 2, "ow": 6}),
    ("separable", MAP | SAME | {"c": 37, "oc": 41, "mid_low": 0.0, "mid_high": 6.0}),
    ("inverted_residual", MAP | SAME | {"c": 7, "oc": 21, "hidden": 43, "in_low": 0.0}),
    ("scale", MAP | {"c": 21, "oc": 21, "low": 0.0}),
    ("l2", MAP | {"c": 21, "oc": 21}),
    ("local_response", MAP | {"c": 21, "oc": 21, "mode": 5, "alpha": 0.1, "beta": 0.75, "gamma": 1.0}),
    ("average_pool", {"h": 9, "w": 11, "oh": 4, "ow": 5, "c": 21, "oc": 21} | {"kh": 3, "kw": 3, "sh": 2, "sw": 2}),
    ("max_pool", {"h": 9, "w": 11, "oh": 4, "ow": 5, "c": 21, "oc": 21} | {"kh": 3, "kw": 3, "sh": 2, "sw": 2}),
    ("global_average", {"h": 9, "w": 11, "c": 37, "oc": 37}),
    *(("activation", MAP | {"c": 21, "oc": 21, "alpha": 0.1, "mode": m}) for m in MODES.values()),
    ("softmax", MAP | {"c": 1, "oc": 1}),
    ("softmax", MAP | {"c": 21, "oc": 21}),
]  # fmt: skip


def run(kernels: ModuleType, op: str, geometry: dict[str, Any], n: int, threads: int) -> bytes:
    """Run one step on seeded numbers and weights, and return the bits of its output."""
    random = np.random.default_rng(3)
    shape = kernels.GEOMETRY | geometry
    weights = {}
    for name, packing in weights_of(op, shape).items():
        size = packing.floats(Widths.of(kernels))
        weights[name] = random.standard_normal(size).astype(np.float32) / 8
    step = kernels.Step(op, geometry, (1, 0), (2, 0), None, weights)
    x = (
        random.standard_normal((2, shape["h"], shape["w"], shape["c"]))
        .astype(np.float32)[:n]
        .copy()
    )
    y = np.empty((n, shape["oh"], shape["ow"], shape["oc"]), np.float32)
    kernels.Program([step], (x[0].size,), (y[0].size,)).run((x, y), n, threads)
    assert np.isfinite(y).all()
    return y[:1].tobytes()


def same_bits(ours: ModuleType, theirs: ModuleType) -> None:
    assert Widths.of(ours) == Widths.of(theirs) and ours.has_fma == theirs.has_fma
    for op, geometry in STEPS:
        expected = run(theirs, op, geometry, 1, 1)
        for n in (1, 2):
            for threads in (1, 3):
                assert run(ours, op, geometry, n, threads) == expected, (op, n, threads)


Build = Callable[..., ModuleType]


@pytest.mark.parametrize("isa", ["baseline", "avx2"])
def test_plain_structs(build_kernels: Build, isa: str) -> None:
    if isa not in _cpu.supported():
        pytest.skip(f"this processor has no {isa}")
    shipped = kernel_module(isa)
    same_bits(build_kernels(shipped.flags, "-DDSCONV_PLAIN_VEC", "-ffp-contract=off"), shipped)


def test_tiles_of_aarch64(build_kernels: Build) -> None:
    shipped = kernel_module("baseline")
    built = build_kernels(shipped.flags, "-DDSCONV_TILES_AARCH64")
    assert built.gemm_heights == (12, 12)
    same_bits(built, shipped)


@pytest.mark.parametrize("tallest", [12, 13])
def test_a_tile_taller_than_what_is_written_out_does_not_compile(
    compile_kernels: Callable[..., Path], tmp_path: Path, tallest: int
) -> None:
    text = (ROOT / "src" / "simd.h").read_text()
    assert "GEMM_ROWS_1 = 12" in text
    changed = text.replace("GEMM_ROWS_1 = 12", f"GEMM_ROWS_1 = {tallest}")
    (tmp_path / "simd.h").write_text(changed)
    arguments = ("-DDSCONV_TILES_AARCH64", "-iquote", str(tmp_path))
    if tallest == 12:
        compile_kernels("-fsyntax-only", *arguments)
    else:
        with pytest.raises(subprocess.CalledProcessError):
            compile_kernels("-fsyntax-only", *arguments)
