"""Results as text: a header, tables for a terminal of 120 columns, a line for every column."""

from __future__ import annotations

from collections.abc import Sequence

from dsconv._rendering import text_table
from dsconv.bench.results import Comparison, Results, Step, Timed


def render(results: Results) -> str:
    """Everything that was measured; parts that hold nothing are left out."""
    parts = [_header(results)]
    compared = [c for c in results.comparisons if c.standard.seconds and c.separable.seconds]
    if compared:
        parts.append(_comparisons(compared, results))
    if results.whole and results.whole.seconds:
        parts += [_steps(results, results.whole), _by_kind(results)]
    if any(packing.layers for packing in results.packing):
        parts.append(_packing(results))
    if results.interrupted:
        parts.append("Interrupted: the tables hold what was measured until then.")
    return "\n\n".join(parts)


def _header(results: Results) -> str:
    options = [f"{name} {value}" for name, value in results.options.items()]
    options += [f"{name} {getattr(results, name)}" for name in ("batch", "threads", "repeats")]
    lines = {"network": ", ".join([results.network, *options])} | results.machine
    if results.peak:
        lines["FMA peak"] = (
            f"{results.peak:.1f} GFLOP/s on one thread, the best of {results.peak_samples} samples "
            f"between the measurements; x {results.threads} = "
            f"{results.peak * results.threads:.1f} GFLOP/s"
        )
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


_GROUPS = (  # of the table of comparisons: title, columns
    ("", ("#", "input -> filters /stride")),
    ("mult-adds, M", ("std.", "sep.")),
    ("separable / standard", ("predicted", "median", "min")),
    ("standard 3x3", ("ms", "min", "GFLOP/s", "%peak")),
    ("depthwise + pointwise", ("ms", "min", "GFLOP/s", "%peak")),
)

_COMPARISON_NOTES = """\
predicted    1/N + 1/9 for a block of N filters; for sums and networks the ratio of the mult-adds
median, min  ratios of the measured times, of the medians and of the minima
ms, min      milliseconds per call, median and minimum; both sides in turn (A B A B ...)
GFLOP/s      2 * mult-adds / median time; mult-adds are those of the whole batch
%peak        GFLOP/s in per cent of the FMA peak of all threads
A block is measured alone, again and again, so its weights stay in the caches more than in a network."""


def _comparisons(compared: Sequence[Comparison], results: Results) -> str:
    blocks = [comparison for comparison in compared if comparison.name]
    rows = [_comparison_row(comparison, results) for comparison in blocks]
    if len(blocks) > 1:
        rows.append(_comparison_row(_sum(blocks), results))
    rows += [_comparison_row(comparison, results) for comparison in compared if not comparison.name]
    return f"{_grouped_table(rows)}\n\n{_COMPARISON_NOTES}"


def _comparison_row(comparison: Comparison, results: Results) -> list[str]:
    standard, separable = comparison.standard, comparison.separable
    ratios = (comparison.predicted, comparison.ratio_of_medians, comparison.ratio_of_minima)
    return [
        comparison.name,
        comparison.shape,
        _millions(standard),
        _millions(separable),
        *(f"{ratio:.3f}" for ratio in ratios),
        *_speed(standard, results),
        *_speed(separable, results),
    ]


def _sum(blocks: Sequence[Comparison]) -> Comparison:
    """All blocks as one: the sums of their mult-adds, of their medians and of their minima."""
