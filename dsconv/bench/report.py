"""Turn results into text: a header, tables of at most 120 columns, and a line for each column."""

from __future__ import annotations

from collections.abc import Sequence

from dsconv.bench.results import Comparison, Packing, Results, Speed, Step, ratio
from dsconv.text.peak import marked, percent_of_peak, with_footnote
from dsconv.text.tables import text_table
from dsconv.text.trust import Interval, as_text


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
    if results.warnings:
        parts.append(as_text(results.warnings))
    if results.interrupted:
        parts.append("Interrupted: this is what was measured until then.")
    return "\n\n".join(parts)


def _header(results: Results) -> str:
    options = results.options | {
        name: getattr(results, name) for name in ("batch", "threads", "repeats")
    }
    network = ", ".join([results.network, *(f"{name} {value}" for name, value in options.items())])
    lines = {"network": network} | results.machine
    if results.conditions.samples:
        lines["FMA peak"] = results.conditions.peak()
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


# Blocks and whole networks, standard beside separable

_SIDE = ("ms", "min", "GFLOP/s", "%peak")
_COLUMNS = ("#", "map -> N /stride", "std.", "sep.", "pred.", "ratio", "interval", *_SIDE, *_SIDE)
_TITLES = (("", 2), ("mult-adds, M", 2), ("sep. / std.", 3), ("standard 3x3", 4),
           ("depthwise + pointwise", 4))  # fmt: skip

_COMPARISON_NOTES = """\
std., sep.   standard 3x3 convolution; depthwise + pointwise in one pass; N is the number of filters
mult-adds    of one call with the whole batch; each is two operations in GFLOP/s
pred.        1/N + 1/K^2 with K = 3; for the sum and the network the ratio of their mult-adds
ratio        of the times of a round, which are measured next to each other: median of the rounds
interval     covers the true median ratio with 95 %; below six rounds it is the whole range
ms, min      milliseconds per call, median and minimum; the two sides run in turn, A B A B ...
GFLOP/s      2 * mult-adds / median time
%peak        of the FMA peak of all threads beside each time: median of the rounds
A block runs alone, a function call at a time, its weights in the caches; a network is one call."""


def _comparisons(results: Results) -> str:
    def row(
        name: str, shape: str, predicted: float, times: Interval, standard: Speed, separable: Speed
    ) -> list[str]:
        counts = (_millions(side.mult_adds) for side in (standard, separable))
        ratios = [f"{predicted:.3f}", f"{times.median:.3f}", f"{times.low:.3f}-{times.high:.3f}"]
        return [name, shape, *counts, *ratios, *_speed(standard), *_speed(separable)]

    def rows(items: Sequence[Comparison]) -> list[list[str]]:
        return [
            row(item.name, item.shape, item.predicted, item.ratio, item.standard.speed,
                item.separable.speed)
            for item in items
        ]  # fmt: skip

    blocks, networks = (
        [item for item in items if item.measured] for items in (results.blocks, results.networks)
    )
    ends = rows(networks)
    if blocks:
        standard = _sum([item.standard.speed for item in blocks])
        separable = _sum([item.separable.speed for item in blocks])
        predicted = separable.mult_adds / standard.mult_adds
        title = f"sum of {len(blocks)} blocks"
        ends.insert(0, row("", title, predicted, ratio(blocks), standard, separable))
    numbers = range(2, len(_COLUMNS))
    return text_table(_COLUMNS, rows(blocks), ends, right=numbers, titles=_TITLES)


# One network, step by step

_STEP_NOTES = """\
mult-adds     of one call with the whole batch; each is two operations in GFLOP/s
ms, min       milliseconds, median and minimum
GFLOP/s       2 * mult-adds / median time
%peak         of the FMA peak of all threads beside each time: median of the rounds
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
        return [name, kind, _millions(speed.mult_adds), *_speed(speed), share]

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


def _speed(speed: Speed) -> list[str]:
    """Return cells under `_SIDE`; what has no mult-adds has no rate."""
    median, minimum = map(_milliseconds, (speed.median, speed.minimum))
    if not speed.mult_adds:
        return [median, minimum, "", ""]
    percent, quickest = speed.percents
    return [median, marked(minimum, quickest), f"{speed.gflops:.1f}", percent_of_peak(percent)]


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.{3 if seconds < 0.1 else 2}f}"


def _millions(count: int) -> str:
    return f"{count / 1e6:.{1 if count >= 1e5 else 3}f}" if count else ""


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f}" if whole else ""
