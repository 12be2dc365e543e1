"""Compare single layers of real networks with the FMA peak: `python benchmarks/kernels.py`.

The shapes are those of shapes.txt. Weights are packed outside of the timed part. Every layer is
compared with a reference first. Then all layers and the peak take turns in every round, and a per
cent is that of the peak of the same round. DSCONV_ISA chooses the kernels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import dsconv
from dsconv.bench import machine
from dsconv.bench.check import check, layers_of
from dsconv.bench.results import Timed
from dsconv.bench.timing import rounds
from dsconv.bench.watch import Watch
from dsconv.layers import Conv2D, DepthwiseConv2D
from dsconv.text.peak import percent_of_peak, with_footnote
from dsconv.text.tables import text_table
from dsconv.text.trust import Conditions, as_text

SHAPES = Path(__file__).with_name("shapes.txt")


def layer(
    kind: str, height: int, width: int, cin: int, cout: int, stride: int, threads: int
) -> tuple[int, Callable[[], object]]:
    """Return the mult-adds of a layer, and a function that runs it once and was checked."""
    rng = np.random.default_rng(0)
    x = rng.random((1, height, width, cin), np.float32)
    rows, columns = -(-height // stride), -(-width // stride)
    out = np.full((1, rows, columns, cout), np.nan, np.float32)
    depthwise, pointwise, standard = (
        rng.random(shape, np.float32)
        for shape in ((3, 3, cin, 1), (1, 1, cin, cout), (3, 3, cin, cout))
    )
    packed = {
        "depthwise": dsconv.pack(depthwise, "depthwise"),
        "pointwise": dsconv.pack(pointwise[0, 0], "pointwise"),
        "standard": dsconv.pack(standard, "conv2d"),
    }
    window, common = {"stride": stride}, {"stride": stride, "threads": threads, "out": out}
    first = (DepthwiseConv2D(3, **window), depthwise)
    terms, run, steps = {
        "pointwise": (
            cin * cout,
            lambda: dsconv.pointwise_conv2d(x, packed["pointwise"], **common),
            [(Conv2D(cout, **window), pointwise)],
        ),
        "standard": (
            9 * cin * cout,
            lambda: dsconv.conv2d(x, packed["standard"], **common),
            [(Conv2D(cout, 3, **window), standard)],
        ),
        "depthwise": (
            9 * cin,
            lambda: dsconv.depthwise_conv2d(x, packed["depthwise"], **common),
            [first],
        ),
        "separable": (
            9 * cin + cin * cout,
            lambda: dsconv.separable_conv2d(x, packed["depthwise"], packed["pointwise"], **common),
            [first, (Conv2D(cout), pointwise)],
        ),
    }[kind]
    check(f"{kind} {height}x{width} {cin} -> {cout}", run(), layers_of(x, *steps), batch=1)
    return rows * columns * terms, run


def main() -> None:
    parser = argparse.ArgumentParser(description="Single layers against the FMA peak.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=40)
    options = parser.parse_args()
    lines = [line.split("#")[0].split() for line in SHAPES.read_text().splitlines()]
    shapes = [(kind, *map(int, numbers)) for kind, *numbers in filter(None, lines)]
    layers = [layer(*shape, options.threads) for shape in shapes]
    times = [Timed(count) for count, _ in layers]
    facts, taken = machine.facts(), rounds([run for _, run in layers], options.repeats)
    watch = Watch(Conditions())
    for one in taken:
        peak = watch.sample() * options.threads
        for each, seconds in zip(times, one, strict=True):
            each.add(seconds, peak)
    for name, fact in facts.items():
        print(f"{name:9} {fact}")
    print(f"threads   {options.threads}\nFMA peak  {watch.conditions.peak()}\n")
    rows = []
    for (kind, height, width, cin, cout, stride), each in zip(shapes, times, strict=True):
        speed = each.speed
        cells = [f"{kind} {height}x{width} {cin} -> {cout} /{stride}", f"{1e6 * speed.minimum:.1f}"]
        for seconds, percent in zip(
            (speed.minimum, speed.median), speed.percents[::-1], strict=True
        ):
            cells += [f"{2e-9 * each.mult_adds / seconds:.1f}", percent_of_peak(percent)]
        rows.append(cells)
    header = ("layer", "best us", "GFLOP/s", "%peak", "median", "%peak")
    print(with_footnote(text_table(header, rows, right=range(1, 6))))
    warnings = watch.conditions.warnings(p for each in times for p in each.speed.percents)
    if warnings:
        print("\n" + as_text(warnings))


if __name__ == "__main__":
    main()
