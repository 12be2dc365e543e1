"""Compare single layers of real networks with the FMA peak: `python benchmarks/kernels.py`.

The shapes are those of shapes.txt. Weights are packed outside of the timed part. All layers and the
peak take turns in every round. DSCONV_ISA chooses the kernels.
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
from dsconv.text.peak import percent_of_peak, with_footnote
from dsconv.text.tables import text_table

SHAPES = Path(__file__).with_name("shapes.txt")


def layer(
    kind: str, height: int, width: int, cin: int, cout: int, stride: int, threads: int
) -> tuple[int, Callable[[], object]]:
    """Return the mult-adds of a layer, and a function that runs it once."""
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
    rows = []
    for (kind, height, width, cin, cout, stride), (count, _), each in zip(
        shapes, layers, times, strict=True
    ):
        cells = [f"{kind} {height}x{width} {cin} -> {cout} /{stride}", f"{1e6 * min(each):.1f}"]
        for rate in (2e-9 * count / seconds for seconds in (min(each), median(each))):
            cells += [f"{rate:.1f}", percent_of_peak(100 * rate / total)]
        rows.append(cells)
    header = ("layer", "best us", "GFLOP/s", "%peak", "median", "%peak")
    print("\n" + with_footnote(text_table(header, rows, right=range(1, 6))))


if __name__ == "__main__":
    main()
