"""Results as text: a header, then tables for a terminal of 120 columns with a line per column."""

from __future__ import annotations

from collections.abc import Sequence

from dsconv._rendering import text_table
from dsconv.bench.results import Comparison, Results, Speed


def render(results: Results) -> str:
    """Everything that was measured; parts that hold nothing are left out."""
    parts = [_header(results)]
    if any(item.measured for item in results.blocks + results.networks):
        parts += [_comparisons(results), _COMPARISON_NOTES]
    if results.whole and results.whole.seconds:
        parts += [_steps(results, results.whole.speed), _by_kind(results), _STEP_NOTES]
    if any(packing.layers for packing in results.packing):
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
_GROUPS = (  # title, columns
    ("", ("#", "map -> N /stride")),
    ("mult-adds, M", ("std.", "sep.")),
    ("sep. / std.", ("pred.", "median", "min")),
    ("standard 3x3", _SIDE),
    ("depthwise + pointwise", _SIDE),
)
_TEXTS = 2  # columns to the left, the others to the right

_COMPARISON_NOTES = """\
std., sep.   standard 3x3 convolution; depthwise + pointwise in one pass; N is the number of filters
mult-adds    of one call with the whole batch; each is two operations in GFLOP/s
pred.        1/N + 1/K^2 with K = 3; for the sum and the network the ratio of their mult-adds
median, min  ratio of the measured times: of the medians, and of the minima
ms, min      milliseconds per call, median and minimum; the two sides run in turn, A B A B ...
GFLOP/s      2 * mult-adds / median time
%peak        GFLOP/s in per cent of the FMA peak of all threads
A block runs alone, again and again: its weights stay in the caches, as they do not in a network."""


def _comparisons(results: Results) -> str:
    blocks, networks = (
        [item for item in items if item.measured] for items in (results.blocks, results.networks)
    )
    parts = [[_comparison_row(item, results) for item in blocks], []]
    if blocks:
        sides = [
            Speed(*map(sum, zip(*speeds, strict=True)))
            for speeds in zip(*((b.standard.speed, b.separable.speed) for b in blocks), strict=True)
        ]
        what = f"sum of {len(blocks)} blocks"
        ratio = sides[1].mult_adds / sides[0].mult_adds
        parts[1].append(_row("", what, ratio, sides[0], sides[1], results))
    parts[1] += [_comparison_row(item, results) for item in networks]
    return _grouped_table([part for part in parts if part])


def _comparison_row(item: Comparison, results: Results) -> list[str]:
    standard, separable = item.standard.speed, item.separable.speed
    return _row(item.name, item.shape, item.predicted, standard, separable, results)


def _row(
    name: str, shape: str, predicted: float, standard: Speed, separable: Speed, results: Results
) -> list[str]:
    medians = separable.median / standard.median
    minima = separable.minimum / standard.minimum
    return [
        name,
        shape,
        *(_millions(side.mult_adds) for side in (standard, separable)),
        *(f"{ratio:.3f}" for ratio in (predicted, medians, minima)),
        *_speed(standard, results),
        *_speed(separable, results),
    ]


def _grouped_table(parts: Sequence[Sequence[Sequence[str]]]) -> str:
    """Columns in the groups of `_GROUPS`, with a rule above each part of the rows."""
    columns = [column for _, group in _GROUPS for column in group]
    rows = [columns, *(row for part in parts for row in part)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    groups: list[tuple[str, slice]] = []
    for title, group in _GROUPS:
        start = groups[-1][1].stop if groups else 0
        groups.append((title, slice(start, start + len(group))))

    def line(cells: Sequence[str]) -> str:
        texts = [
            cell.ljust(width) if i < _TEXTS else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(" ".join(texts[at]) for _, at in groups).rstrip()

    titles = [title.center(sum(widths[at]) + len(widths[at]) - 1) for title, at in groups]
    rule = "-" * len(line(columns))
    lines = ["  ".join(titles).rstrip(), line(columns)]
    for part in parts:
        lines += [rule, *map(line, part)]
    return "\n".join(lines)


# One network, step by step

_STEP_NOTES = """\
mult-adds    of one call with the whole batch; each is two operations in GFLOP/s
ms, min      milliseconds, median and minimum
GFLOP/s      2 * mult-adds / median time
%peak        GFLOP/s in per cent of the FMA peak of all threads
%time        of the sum of the steps' medians; a step that fuses several layers has one time"""


def _steps(results: Results, whole: Speed) -> str:
    """A row for each step, their sum, and the whole call."""
    speeds = [step.speed for step in results.steps]
    total = sum(speed.median for speed in speeds)
    rows = [
        [
            step.name,
            step.kind,
            _millions(speed.mult_adds),
            *_speed(speed, results),
            _percent(speed.median, total),
        ]
        for step, speed in zip(results.steps, speeds, strict=True)
    ]
    ends = {"sum of the steps": Speed(*map(sum, zip(*speeds, strict=True))), "whole call": whole}
    for name, speed in ends.items():
        cells = [_millions(speed.mult_adds), *_speed(speed, results)]
        rows.append([name, "", *cells, _percent(speed.median, total)])
    header = ("step", "kind", "mult-adds, M", *_SIDE, "%time")
    return text_table(header, rows, right=range(2, len(header)))


def _by_kind(results: Results) -> str:
    """The steps by kind with their time; then the layers by kind as they are counted, unfused."""
    kinds: dict[str, list[float]] = {}
    for step in results.steps:
        values = (1, step.mult_adds, step.parameters, step.speed.median)
        kinds[step.kind] = [a + b for a, b in zip(kinds.get(step.kind, [0] * 4), values, strict=True)]
    sums = [sum(column) for column in zip(*kinds.values(), strict=True)]
    rows = [
        [kind, f"{values[0]:.0f}", *map(_percent, values[1:], sums[1:])]
        for kind, values in sorted(kinds.items(), key=lambda item: -item[1][3])
    ]
    header = ("kind of step", "steps", "% mult-adds", "% parameters", "% time")
    measured = text_table(header, rows, right=range(1, 5))
    totals = [sum(column) for column in zip(*results.by_kind.values(), strict=True)]
    rows = [[kind, *map(_percent, values, totals)] for kind, values in results.by_kind.items()]
    counted = text_table(
        ("kind of layer (before fusion)", "% mult-adds", "% parameters"), rows, right=(1, 2)
    )
    return f"{measured}\n\n{counted}"


# Parts of all tables


def _packing(results: Results) -> str:
    rows = [
        [item.what, str(item.layers), _millions(item.weights), f"{1e3 * item.seconds:.1f}"]
        for item in results.packing
        if item.layers
    ]
    header = ("packing, once, outside of the times above", "layers", "weights, M", "ms")
    return text_table(header, rows, right=(1, 2, 3))


def _speed(speed: Speed, results: Results) -> list[str]:
    """Cells under `_SIDE`; no rate for what has no mult-adds."""
    times = [f"{1e3 * seconds:.3f}" for seconds in (speed.median, speed.minimum)]
    if not speed.mult_adds:
        return [*times, "", ""]
    return [*times, f"{speed.gflops:.1f}", f"{results.percent_of_peak(speed):.1f}"]


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f}" if count else ""


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f}" if whole else ""
