"""Turn results into text: a header, a table for each comparison, then the cold starts."""

from __future__ import annotations

from benchmarks.peers.results import Cold, Comparison, Results, Times, Timing
from dsconv.text.peak import percent_of_peak, with_footnote
from dsconv.text.tables import text_table
from dsconv.text.trust import as_text

NOTES = """\
error        largest difference from the float64 reference, in units of the largest logit
min, median  milliseconds per call; the median is that of the rounds' medians
ratio        time over that of the best other engine, by minimum and by median: below 1 is faster
GFLOP/s      2 * mult-adds / minimum
%peak        of the FMA peak of all threads, by minimum and by median"""

PEAK_NOTE = """
             in each turn, against the peak beside it; the median is that of the rounds"""

PAIR_NOTES = """
dsconv/it    median time of dsconv over that of the engine in the same round: median of the rounds
interval     covers the true median of dsconv/it with 95 %; below six rounds it is the whole range"""

COLD_NOTES = """\
first result  milliseconds from process start to the first output of MobileNetV1, one thread
own share     its minimum less that of the same program without an engine
import        the same to the end of the engine's import, less a Python that does nothing (minima)
memory        MiB resident at most in a process that loads MobileNetV1 and runs ten images
installed     MB of the engine's own files, and with all that it depends on; no .pyc files"""


def render(results: Results) -> str:
    """Return everything that was measured as text."""
    parts = [_header(results)]
    measured = [comparison for comparison in results.comparisons if comparison.timings]
    if measured:
        notes = NOTES
        if any(timing.turns for comparison in measured for timing in comparison.timings):
            notes += PEAK_NOTE
        if any(map(_pairs, measured)):
            notes += PAIR_NOTES
        parts.append(with_footnote("\n\n".join([*map(_comparison, measured), notes])))
    if results.cold:
        parts += [_cold(results), COLD_NOTES]
    if results.warnings:
        parts.append(as_text(results.warnings))
    if results.interrupted:
        parts.append("Interrupted: this is what was measured until then.")
    return "\n\n".join(parts)


def _header(results: Results) -> str:
    lines = results.machine | results.engines
    if results.missing:
        lines["missing"] = f"{', '.join(results.missing)}: not installed, not compared"
    if results.conditions.samples:
        lines["FMA peak"] = results.conditions.peak()
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def _comparison(comparison: Comparison) -> str:
    """Return a table, the quickest engine first, and a line for each engine that failed."""
    per_image = comparison.batch > 1
    title = (
        f"{comparison.title}: threads {comparison.threads}, {comparison.mult_adds / 1e6:.1f} M "
        f"mult-adds, FMA peak {comparison.peak:.1f} x {comparison.threads} GFLOP/s"
    )
    names = ["engine", "error", "min", "median", "ratio", "ratio", "GFLOP/s", "%peak", "%peak"]
    pairs = _pairs(comparison)
    if pairs:
        names += ["dsconv/it", "interval"]
    if per_image:
        names.insert(4, "min/image")
    timings = sorted(comparison.timed, key=lambda timing: timing.times.minimum)
    rows = [
        _row(comparison, timing, per_image) + (_pair(comparison, timing) if pairs else [])
        for timing in timings
    ]
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
        f"{1e3 * timing.times.minimum:.3f}",
        f"{1e3 * timing.times.median:.3f}",
        *("" if ratio is None else f"{ratio:.3f}" for ratio in ratios),
        f"{2e-9 * comparison.mult_adds / timing.times.minimum:.1f}",
        *map(percent_of_peak, comparison.percents(timing)),
    ]
    if per_image:
        row.insert(4, f"{1e3 * timing.times.minimum / comparison.batch:.3f}")
    return row


def _pairs(comparison: Comparison) -> bool:
    return any(map(comparison.pairs, comparison.timed))


def _pair(comparison: Comparison, timing: Timing) -> list[str]:
    pair = comparison.pairs(timing)
    return [f"{pair.median:.3f}", f"{pair.low:.3f}-{pair.high:.3f}"] if pair else ["", ""]


def _cold(results: Results) -> str:
    """Return a table, the quickest start first, and a line for each engine that failed."""
    names = (
        "engine", "first result, min", "median", "own share", "import", "memory", "installed",
        "with needs",
    )  # fmt: skip
    rows = [_cold_row(row, results) for row in sorted(results.cold, key=_start)]
    ends = [
        [name, *_milliseconds(times.minimum, times.median), *[""] * 5]
        for name, times in (
            ("Python alone", results.empty),
            ("without an engine: numpy, pathlib", results.without),
        )
        if times
    ]
    lines = [text_table(names, rows, ends, right=range(1, len(names)))]
    lines += [f"{row.engine}: {row.failure}" for row in results.cold if row.failure]
    return "\n".join(lines)


def _start(row: Cold) -> float:
    return row.start.minimum if row.start else float("inf")


def _cold_row(row: Cold, results: Results) -> list[str]:
    start, imports = row.start, row.imports
    nothing = Times(0.0, 0.0, 0)
    empty, without = (results.empty or nothing).minimum, (results.without or nothing).minimum
    return [
        row.engine,
        *(
            _milliseconds(start.minimum, start.median, start.minimum - without)
            if start
            else [""] * 3
        ),
        *(_milliseconds(imports.minimum - empty) if imports else [""]),
        f"{row.memory / 2**20:.1f}" if row.memory else "",
        f"{row.size / 1e6:.1f}",
        f"{row.size_with_needs / 1e6:.1f}",
    ]


def _milliseconds(*seconds: float) -> list[str]:
    return [f"{1e3 * each:.1f}" for each in seconds]
