"""Results as text: a header, a table for each network and number of threads, then cold starts."""

from __future__ import annotations

from statistics import median

from benchmarks.peers.results import Cold, Comparison, Results, Timing
from dsconv.text.tables import text_table

NOTES = """\
error        largest difference from the float64 reference, in units of the largest logit
min, median  milliseconds per call; the median is that of the rounds' medians
ratio        time over that of the best other engine, by minimum and by median: below 1 is faster
GFLOP/s      2 * mult-adds / minimum
%peak        of the FMA peak of all threads, by minimum and by median; more than 100 means fewer
             multiplications than the mult-adds count (Winograd's algorithm for 3x3 convolutions)"""

COLD_NOTES = """\
first result  milliseconds from process start to the first output of MobileNetV1, one thread
own share     its minimum less that of the same program without an engine
import        the same to the end of the engine's import, less a Python that does nothing (minima)
memory        MiB resident at most in a process that loads MobileNetV1 and runs ten images
installed     MB of the engine's own files, and with all that it depends on; no .pyc files"""


def render(results: Results) -> str:
    """Everything that was measured."""
    parts = [_header(results)]
    measured = [comparison for comparison in results.comparisons if comparison.timings]
    parts += [_comparison(comparison) for comparison in measured]
    if measured:
        parts.append(NOTES)
    if results.cold:
        parts += [_cold(results), COLD_NOTES]
    if results.interrupted:
        parts.append("Interrupted: this is what was measured until then.")
    return "\n\n".join(parts)


def _header(results: Results) -> str:
    lines = results.machine | results.engines
    if results.missing:
        lines["missing"] = f"{', '.join(results.missing)}: not installed, not compared"
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def _comparison(comparison: Comparison) -> str:
    """The quickest engine first; those that failed as lines below the table."""
    per_image = comparison.batch > 1
    title = (
        f"{comparison.title}: threads {comparison.threads}, {comparison.mult_adds / 1e6:.1f} M "
        f"mult-adds, FMA peak {comparison.peak:.1f} x {comparison.threads} GFLOP/s"
    )
    names = ["engine", "error", "min", "median", "ratio", "ratio", "GFLOP/s", "%peak", "%peak"]
    if per_image:
        names.insert(4, "min/image")
    timings = sorted(comparison.timed, key=lambda timing: timing.minimum)
    rows = [_row(comparison, timing, per_image) for timing in timings]
    lines = [title]
    if rows:
        lines.append(text_table(names, rows, right=range(1, len(names))))
    lines += [f"{t.engine}: {t.failure}" for t in comparison.timings if t.failure]
    return "\n".join(lines)


def _row(comparison: Comparison, timing: Timing, per_image: bool) -> list[str]:
    ratios = [comparison.ratio(timing, statistic) for statistic in ("minimum", "median")]
    row = [
        timing.engine,
        f"{timing.error:.1e}",
        f"{1e3 * timing.minimum:.3f}",
        f"{1e3 * timing.median:.3f}",
        *("" if ratio is None else f"{ratio:.3f}" for ratio in ratios),
        f"{2e-9 * comparison.mult_adds / timing.minimum:.1f}",
        *(f"{comparison.percent_of_peak(t):.1f}" for t in (timing.minimum, timing.median)),
    ]
    if per_image:
        row.insert(4, f"{1e3 * timing.minimum / comparison.batch:.3f}")
    return row


def _cold(results: Results) -> str:
    names = (
        "engine", "first result, min", "median", "own share", "import", "memory", "installed",
        "with needs",
    )  # fmt: skip
    empty, without = min(results.empty, default=0.0), min(results.without, default=0.0)
    ends = []
    if results.empty and results.without:
        ends = [
            ["Python alone", f"{1e3 * empty:.1f}", f"{1e3 * median(results.empty):.1f}"],
            ["without an engine: numpy, pathlib", f"{1e3 * without:.1f}",
             f"{1e3 * median(results.without):.1f}"],
        ]  # fmt: skip
    rows = [_cold_row(row, empty, without) for row in sorted(results.cold, key=_start)]
    wide = [[*row, *[""] * (len(names) - len(row))] for row in ends]
    lines = [text_table(names, rows, wide, right=range(1, len(names)))]
    lines += [f"{row.engine}: {row.failure}" for row in results.cold if row.failure]
    return "\n".join(lines)


def _start(row: Cold) -> float:
    return min(row.start, default=float("inf"))


def _cold_row(row: Cold, empty: float, without: float) -> list[str]:
    return [
        row.engine,
        *((f"{1e3 * min(row.start):.1f}", f"{1e3 * median(row.start):.1f}",
           f"{1e3 * (min(row.start) - without):.1f}") if row.start else ("", "", "")),
        f"{1e3 * (min(row.imports) - empty):.1f}" if row.imports else "",
        f"{min(row.memory) / 2**20:.1f}" if row.memory else "",
        f"{row.size / 1e6:.1f}",
        f"{row.size_with_needs / 1e6:.1f}",
    ]  # fmt: skip
