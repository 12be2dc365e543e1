"""Turn results into text: a header, tables of at most 120 columns, and a line for each column."""

from __future__ import annotations

from collections.abc import Sequence

from dsconv.bench.results import Comparison, Packing, Results, Speed, Step
from dsconv.text.peak import marked, percent_of_peak, with_footnote
from dsconv.text.tables import text_table


def render(results: Results) -> str:
    """Return everything that was measured as text, without the parts that hold nothing."""
    parts = [_header(results)]
    if any(item.measured for item in results.blocks + results.networks):
        parts.append(with_footnote(f"{_comparisons(results)}\n\n{_COMPARISON_NOTES}"))
    if results.whole and results.whole.seconds:
        parts += [
            with_footnote(_steps(results, results.whole.speed)),
            _by_kind(results.steps, "kind of step"),
            _by_kind(results.layers, "kind of layer"),
            _STEP_NOTES,
        ]
    if any(item.layers for item in results.packing + results.compiling):
        parts.append(_packing(results))
    if results.interrupted:
        parts.append("Interrupted: this is what was measured until then.")
    return "\n\n".join(parts)


def _header(results: Results) -> str:
    options = results.options | {
        name: getattr(results, name) for name in ("batch", "threads", "repeats")
    }
    network = ", ".join([results.network, *(f"{name} {value}" for name, value in options.items())])
    lines = {"network": network} | results.machine
    if results.peak:
        lines["FMA peak"] = (
            f"{results.peak:.1f} GFLOP/s a thread (the best of {results.peak_samples} samples "
            f"between the measurements) x {results.threads} = "
            f"{results.peak * results.threads:.1f} GFLOP/s"
        )
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


# Blocks and whole networks, standard beside separable

_SIDE = ("ms", "min", "GFLOP/s", "%peak")
_COLUMNS = ("#", "map -> N /stride", "std.", "sep.", "pred.", "median", "min", *_SIDE, *_SIDE)
_TITLES = (("", 2), ("mult-adds, M", 2), ("sep. / std.", 3), ("standard 3x3", 4),
           ("depthwise + pointwise", 4))  # fmt: skip

_COMPARISON_NOTES = """\
std., sep.   standard 3x3 convolution; depthwise + pointwise in one pass; N is the number of filters
mult-adds    of one call with the whole batch; each is two operations in GFLOP/s
pred.        1/N + 1/K^2 with K = 3; for the sum and the network the ratio of their mult-adds
median, min  ratio of the measured times: of the medians, and of the minima
ms, min      milliseconds per call, median and minimum; the two sides run in turn, A B A B ...
GFLOP/s      2 * mult-adds / median time
%peak        GFLOP/s in per cent of the FMA peak of all threads
A block runs alone, a function call at a time, its weights in the caches; a network is one call."""


def _comparisons(results: Results) -> str:
    def row(
        name: str, shape: str, predicted: float, standard: Speed, separable: Speed
    ) -> list[str]:
        counts = (_millions(side.mult_adds) for side in (standard, separable))
        medians, minima = separable.median / standard.median, separable.minimum / standard.minimum
        ratios = (f"{ratio:.3f}" for ratio in (predicted, medians, minima))
        speeds = _speed(standard, results) + _speed(separable, results)
        return [name, shape, *counts, *ratios, *speeds]

    def rows(items: Sequence[Comparison]) -> list[list[str]]:
        return [
            row(item.name, item.shape, item.predicted, item.standard.speed, item.separable.speed)
            for item in items
        ]

    blocks, networks = (
        [item for item in items if item.measured] for items in (results.blocks, results.networks)
    )
    ends = rows(networks)
    if blocks:
        standard = _sum([item.standard.speed for item in blocks])
        separable = _sum([item.separable.speed for item in blocks])
        ratio = separable.mult_adds / standard.mult_adds
        ends.insert(0, row("", f"sum of {len(blocks)} blocks", ratio, standard, separable))
    numbers = range(2, len(_COLUMNS))
    return text_table(_COLUMNS, rows(blocks), ends, right=numbers, titles=_TITLES)


# One network, step by step

_STEP_NOTES = """\
mult-adds     of one call with the whole batch; each is two operations in GFLOP/s
ms, min       milliseconds, median and minimum
GFLOP/s       2 * mult-adds / median time
%peak         GFLOP/s in per cent of the FMA peak of all threads
%time         of the sum of the steps' medians
whole call    model(x) without the clock between its steps, in turn with the runs that have it
kind of step  as the network runs: a step that fuses several layers has one time
kind of layer the same run with every convolution as a step of its own, as tables of costs count"""


def _steps(results: Results, whole: Speed) -> str:
    """Return a row for each step, their sum, and the whole call."""
    speeds = [step.speed for step in results.steps]
    total = _sum(speeds)

    def row(name: str, kind: str, speed: Speed) -> list[str]:
        share = _percent(speed.median, total.median)
        return [name, kind, _millions(speed.mult_adds), *_speed(speed, results), share]

    rows = [
        row(step.name, step.kind, speed) for step, speed in zip(results.steps, speeds, strict=True)
    ]
    ends = [row("sum of the steps", "", total), row("whole call", "", whole)]
    header = ("step", "kind", "mult-adds, M", *_SIDE, "%time")
    return text_table(header, rows, ends, right=range(2, len(header)))


def _by_kind(steps: Sequence[Step], what: str) -> str:
    """Return a row for each kind of step, most mult-adds first (MobileNetV1, table 2)."""
    kinds: dict[str, list[Step]] = {}
    for step in steps:
        kinds.setdefault(step.kind, []).append(step)
    values = {
        kind: (
            sum(step.mult_adds for step in same),
            sum(step.parameters for step in same),
            sum(step.speed.median for step in same),
        )
        for kind, same in kinds.items()
    }
    totals = [sum(column) for column in zip(*values.values(), strict=True)]
    rows = [
        [kind, str(len(kinds[kind])), *map(_percent, values[kind], totals),
         f"{1e3 * values[kind][2]:.3f}"]
        for kind in sorted(kinds, key=lambda kind: values[kind], reverse=True)
    ]  # fmt: skip
    header = (what, "number", "% mult-adds", "% parameters", "% time", "ms")
    return text_table(header, rows, right=range(1, len(header)))


# Parts of all tables


def _packing(results: Results) -> str:
    """Return rows for the kinds of layers in the blocks, for their total, for whole networks."""

    def row(item: Packing) -> list[str]:
        return [item.what, str(item.layers), _millions(item.weights), f"{1e3 * item.seconds:.1f}"]

    kinds = [item for item in results.packing if item.layers]
    total = Packing(
        "all kinds",
        sum(item.layers for item in kinds),
        sum(item.weights for item in kinds),
        sum(item.seconds for item in kinds),
    )
    return text_table(
        ("packing of weights, once, outside of the times above", "layers", "weights, M", "ms"),
        [row(item) for item in kinds],
        [row(total)] if kinds else [],
        [row(item) for item in results.compiling],
        right=(1, 2, 3),
    )


def _sum(speeds: Sequence[Speed]) -> Speed:
    """Return the sums of the mult-adds, of the medians and of the minima."""
    return Speed(*map(sum, zip(*speeds, strict=True)))


def _speed(speed: Speed, results: Results) -> list[str]:
    """Return cells under `_SIDE`; what has no mult-adds has no rate."""
    median, minimum = (f"{1e3 * seconds:.3f}" for seconds in (speed.median, speed.minimum))
    if not speed.mult_adds:
        return [median, minimum, "", ""]
    percent, most = (
        results.percent_of_peak(speed.mult_adds, seconds)
        for seconds in (speed.median, speed.minimum)
    )
    return [median, marked(minimum, most), f"{speed.gflops:.1f}", percent_of_peak(percent)]


def _millions(count: int) -> str:
    return f"{count / 1e6:.{1 if count >= 1e5 else 3}f}" if count else ""


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f}" if whole else ""
