"""Measure MobileNetV1's blocks one by one: a standard 3x3 convolution beside depthwise + pointwise.

Both sides have bias and ReLU6, as after folding batch norm, and run on the same map.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dsconv import cost, functional, models
from dsconv.bench.check import check, layers_of
from dsconv.bench.recorder import Recorder
from dsconv.bench.results import Comparison, Packing, Timed
from dsconv.bench.timing import Function
from dsconv.kernels.packed_weight import PackedWeight
from dsconv.layers import Conv2D, DepthwiseConv2D


class Block(NamedTuple):
    """Describe the shapes of one block, for one image."""

    name: str
    input: tuple[int, int, int]  # H, W, Cin
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]  # pixels
    standard: int  # mult-adds
    separable: int  # mult-adds, depthwise and pointwise together


def blocks(options: Mapping[str, Any]) -> list[Block]:
    """Return the blocks of `models.mobilenet_v1(**options)` and its standard counterpart."""
    standard = models.get("mobilenet_v1_standard", **options)
    separable = models.get("mobilenet_v1", **options).cost().by_layer()
    found = []
    for name, node in standard.nodes.items():
        block, _, part = name.partition("/")
        if part != "conv" or not isinstance(node.layer, Conv2D):
            continue
        layer, shapes = node.layer, standard.input_shapes(name)
        height, width, channels = shapes[0]
        window = layer.window(shapes)
        parts = (separable[f"{block}/{name}"].mult_adds for name in ("depthwise", "pointwise"))
        found.append(
            Block(block.removeprefix("block"), (height, width, channels), layer.filters,
                  window.kernel, window.stride, window.pad, layer.mult_adds(shapes), sum(parts))
        )  # fmt: skip
    return found


def measure(recorder: Recorder, options: Mapping[str, Any]) -> None:
    """Measure all blocks of MobileNetV1, and the time of packing their weights."""
    results = recorder.results
    packing = {kind: Packing(kind) for kind in ("conv2d", "depthwise", "pointwise")}
    results.packing += packing.values()
    for block in blocks(options):
        label = f"block {block.name}"
        recorder.progress(label)
        standard, separable = _functions(block, results.batch, results.threads, packing)
        height, width, channels = block.input
        comparison = Comparison(
            block.name,
            f"{height}x{width}x{channels} -> {block.filters} /{block.stride[0]}",
            cost.separable_ratio(block.filters, block.kernel),
            Timed(block.standard * results.batch),
            Timed(block.separable * results.batch),
        )
        results.blocks.append(comparison)
        recorder.record(label, [(comparison.standard, standard), (comparison.separable, separable)])


def _functions(
    block: Block, batch: int, threads: int, packing: Mapping[str, Packing]
) -> tuple[Function, Function]:
    """Return the two sides as functions, on packed random weights, after a check of both."""
    random = np.random.default_rng(0)

    def normal(*shape: int) -> NDArray[np.float32]:
        return random.standard_normal(shape, dtype=np.float32)

    def packed(kind: str, weight: NDArray[np.float32]) -> PackedWeight:
        start = perf_counter()
        result = functional.pack(weight, kind)
        packing[kind].seconds += perf_counter() - start
        packing[kind].layers += 1
        packing[kind].weights += weight.size
        return result

    channels = block.input[2]
    x = normal(batch, *block.input)
    weights = (
        normal(*block.kernel, channels, block.filters),
        normal(*block.kernel, channels, 1),
        normal(channels, block.filters),
    )
    full, depthwise, pointwise = map(packed, packing, weights)
    bias, middle_bias = (np.zeros(n, np.float32) for n in (block.filters, channels))
    window: dict[str, Any] = {"stride": block.stride, "padding": block.padding}
    options = window | {"activation": "relu6", "threads": threads}
    out = functional.conv2d(x, full, bias, **options)  # both sides write here
    standard, separable = (
        lambda: functional.conv2d(x, full, bias, out=out, **options),
        lambda: functional.separable_conv2d(x, depthwise, pointwise, middle_bias, bias, out=out,
                                            depthwise_activation="relu6", **options),
    )  # fmt: skip

    window |= {"kernel": block.kernel, "clip": (0.0, 6.0)}
    first, middle = Conv2D(block.filters, **window), DepthwiseConv2D(**window)
    last = Conv2D(block.filters, clip=(0.0, 6.0))
    for what, run, steps in (
        ("standard", standard, [(first, weights[0])]),
        ("separable", separable, [(middle, weights[1]), (last, weights[2][None, None])]),
    ):
        out.fill(np.nan)
        check(f"block {block.name}, {what}", run(), layers_of(x, *steps), batch)
    return standard, separable
