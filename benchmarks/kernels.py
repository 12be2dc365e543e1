"""Single layers of real networks against the FMA peak: `python benchmarks/kernels.py`.

Shapes come from shapes.txt. Weights are packed outside of the timed part. All layers and the peak
take turns in every round; the table has the best and the median of all rounds. DSCONV_ISA chooses
the kernels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

import dsconv
from dsconv.bench import machine
from dsconv.bench.timing import rounds
from dsconv.kernels import dispatch
from dsconv.kernels.peak import Peak

SHAPES = Path(__file__).with_name("shapes.txt")


def layer(
    kind: str, height: int, width: int, cin: int, cout: int, stride: int, threads: int
) -> tuple[int, Callable[[], object]]:
    """(mult-adds, a function that runs the layer once)."""
    rng = np.random.default_rng(0)
    x = rng.random((height, width, cin), np.float32)
    rows, columns = -(-height // stride), -(-width // stride)
    out = np.empty((rows, columns, cout), np.float32)
    depthwise = dsconv.pack(rng.random((3, 3, cin, 1), np.float32), "depthwise")
    pointwise = dsconv.pack(rng.random((cin, cout), np.float32), "pointwise")
    standard = dsconv.pack(rng.random((3, 3, cin, cout), np.float32), "conv2d")
    common = {"stride": stride, "threads": threads, "out": out}
    terms, run = {
        "pointwise": (cin * cout, lambda: dsconv.pointwise_conv2d(x, pointwise, **common)),
        "standard": (9 * cin * cout, lambda: dsconv.conv2d(x, standard, **common)),
        "depthwise": (9 * cin, lambda: dsconv.depthwise_conv2d(x, depthwise, **common)),
        "separable": (
            9 * cin + cin * cout,
            lambda: dsconv.separable_conv2d(x, depthwise, pointwise, **common),
        ),
    }[kind]
    return rows * columns * terms, run


def main() -> None:
    parser = argparse.ArgumentParser(description="Single layers against the FMA peak.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=40)
    options = parser.parse_args()
    lines = [line.split("#")[0].split() for line in SHAPES.read_text().splitlines()]
    shapes = [(kind, *map(int, numbers)) for kind, *numbers in filter(None, lines)]
    layers = [layer(*shape, options.threads) for shape in shapes]
    peak = Peak(dispatch.kernels)
    times: list[list[float]] = [[] for _ in layers]
    for seconds in rounds([run for _, run in layers], options.repeats):
        peak.sample()
        for each, once in zip(times, seconds, strict=True):
            each.append(once)
    total = peak.gflops * options.threads
    for name, fact in machine.facts().items():
        print(f"{name:9} {fact}")
    print(f"threads   {options.threads}, FMA peak {total:.1f} GFLOP/s")
    print(f"\n{'layer':34} {'best us':>9} {'GFLOP/s':>8} {'%peak':>6} {'median':>8} {'%peak':>6}")
    for (kind, height, width, cin, cout, stride), (count, _), each in zip(
        shapes, layers, times, strict=True
    ):
        name = f"{kind} {height}x{width} {cin} -> {cout} /{stride}"
        best, middle = (2e-9 * count / seconds for seconds in (min(each), median(each)))
        print(
            f"{name:34} {1e6 * min(each):9.1f} {best:8.1f} {100 * best / total:6.1f}"
            f" {middle:8.1f} {100 * middle / total:6.1f}"
        )


if __name__ == "__main__":
    main()
