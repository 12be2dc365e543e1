"""Compare every layer of a network with its roofline: `python -m benchmarks.roofline mobilenet_v1`.

A layer cannot be faster than its multiply-adds at the FMA peak, nor than its bytes (input, weights
and output once, in float32) at the speed of memory; the slower of both is what is attainable, and
says what limits the layer (Williams, Waterman and Patterson, CACM 2009). The network is compared
with a reference first. Times are those within whole runs, layer after layer, the best of all
repeats, each with the peak beside it; the speed of memory is measured after them. A layer that is
limited by memory passes 100 % if a cache holds its bytes.
`--markdown` prints the tables of docs/performance.md.
"""

from __future__ import annotations

import argparse
import math
from time import perf_counter
from typing import NamedTuple

import numpy as np

from dsconv import models
from dsconv.bench import machine
from dsconv.bench.check import check, graph_of
from dsconv.bench.networks import pictures
from dsconv.bench.watch import Watch
from dsconv.compiler.passes import optimise
from dsconv.graph import Graph
from dsconv.text.peak import marked, percent_of_peak, with_footnote
from dsconv.text.tables import markdown_table, text_table
from dsconv.text.trust import Conditions, as_text

# Share of the attainable speed that each kind of layer has to reach. Short rows of k, borders and
# the depthwise stage cost the first layers; the last ones read weights that no cache holds.
BUDGETS = {
    "stem": 0.72,
    "maps of 112 and 56 pixels": 0.80,
    "maps of 28 and 14 pixels": 0.90,
    "maps of 7 pixels": 0.90,
    "pooling, fully connected": 0.70,
}
_PROBE = 64 << 20  # bytes, more than the caches hold


class Layer(NamedTuple):
    """Hold one layer of the optimised graph: its cost, its best seconds, the peak beside them."""

    name: str
    kind: str
    group: str
    mult_adds: int
    bytes: int
    seconds: float
    peak: float  # GFLOP/s of all threads

    @property
    def at_peak(self) -> float:
        """Return the seconds of the mult-adds at the FMA peak."""
        return 2e-9 * self.mult_adds / self.peak

    def attainable(self, memory: float) -> float:
        """Return the least seconds at the FMA peak and at GB/s `memory`."""
        return max(self.at_peak, 1e-9 * self.bytes / memory)


def measure(graph: Graph, threads: int, repeats: int, watch: Watch) -> list[Layer]:
    """Check the network, then return the layers."""
    fused = optimise(graph)
    weights = graph.init_weights(0)
    model = graph.compile(weights, threads)
    x = pictures(graph, 1)
    check(graph.name, model(x), graph_of(graph, weights, x), batch=1)
    model.profile(x, 1)  # warms up
    watch.sample()
    runs = []
    for _ in range(repeats):
        steps = model.profile(x, 1).steps
        runs.append((steps, watch.sample() * threads))
    layers = []
    for number, step in enumerate(runs[0][0]):
        shapes = [*fused.input_shapes(step.name), *map(fused.shape, fused.tensors(step.name))]
        floats = step.parameters + sum(map(math.prod, shapes))
        group = _group(step.kind, number, shapes[0][0])
        best = min((steps[number].times[0], peak) for steps, peak in runs)
        layers.append(Layer(step.name, step.kind, group, step.mult_adds, 4 * floats, *best))
    return layers


def _group(kind: str, number: int, height: int) -> str:
    """Return the line of the budget that a layer belongs to, by the height of its input."""
    stem, large, middle, small, rest = BUDGETS
    if not number:
        return stem
    if "conv" not in kind or height < 7:
        return rest
    return large if height > 28 else middle if height > 7 else small


def _memory_speed() -> float:
    """Return the GB/s at which one thread reads an array that no cache holds."""
    array = np.ones(_PROBE // 4, np.float32)
    best = math.inf
    for _ in range(8):
        start = perf_counter()
        array.max()
        best = min(best, perf_counter() - start)
    return _PROBE / best / 1e9


def layer_rows(layers: list[Layer], memory: float) -> list[list[str]]:
    rows = []
    for each in layers:
        least = each.attainable(memory)
        rate, possible = (2e-9 * each.mult_adds / s for s in (each.seconds, least))
        limit = "FMA" if least > 1e-9 * each.bytes / memory else "memory"
        size, share = 1e-6 * each.bytes, 100 * least / each.seconds
        rows.append(
            [each.name, f"{each.mult_adds / 1e6:.1f}", f"{size:.2f}",
             f"{2 * each.mult_adds / each.bytes:.0f}", f"{1e6 * each.seconds:.0f}",
             f"{possible:.1f}", marked(f"{rate:.1f}", 100 * each.at_peak / each.seconds), f"{share:.0f}", limit,
             each.kind]
        )  # fmt: skip
    return rows


def budget_rows(layers: list[Layer], memory: float) -> list[list[str]]:
    rows = []
    for group, share in BUDGETS.items():
        members = [each for each in layers if each.group == group]
        least = sum(each.attainable(memory) for each in members)
        taken = sum(each.seconds for each in members)
        verdict = (
            "kept" if taken <= least / share else f"over by {1e3 * (taken - least / share):.2f}"
        )
        times = (f"{1e3 * seconds:.2f}" for seconds in (least, least / share, taken))
        rows.append([group, *times, f"{100 * least / max(taken, 1e-12):.0f}", verdict])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Layers against their roofline.")
    parser.add_argument("network", choices=models.names())
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    graph = models.get(options.network)
    facts, watch = machine.facts(), Watch(Conditions())
    layers, memory = measure(graph, options.threads, options.repeats, watch), _memory_speed()
    table = markdown_table if options.markdown else text_table
    for name, fact in facts.items():
        print(f"{name:9} {fact}")
    print(f"FMA peak  {watch.conditions.peak()}")
    print(f"memory    {memory:.1f} GB/s\nthreads   {options.threads}\n")
    header = ("layer", "M mult-adds", "MB", "FLOP/B", "us", "attainable GFLOP/s", "reached", "%")
    rows = layer_rows(layers, memory)
    print(with_footnote(table((*header, "limit", "kind"), rows, right=range(1, 8))))
    total = sum(each.seconds for each in layers)
    share = 100 * sum(each.at_peak for each in layers) / total
    summary = f"sum of the best: {1e3 * total:.2f} ms, {percent_of_peak(share)} % of the FMA peak"
    print("\n" + with_footnote(summary) + "\n")
    header = ("budget", "attainable ms", "budget ms", "reached ms", "% of attainable", "")
    print(table(header, budget_rows(layers, memory), right=range(1, 5)))
    warnings = watch.conditions.warnings(100 * each.at_peak / each.seconds for each in layers)
    if warnings:
        print("\n" + as_text(warnings))


if __name__ == "__main__":
    main()
