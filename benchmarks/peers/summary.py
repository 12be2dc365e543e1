"""Print one Markdown table for each machine: `python -m benchmarks.peers.summary FILE ...`.

The files are those that `python -m benchmarks.peers --json FILE` wrote. A row is a network on a number
of threads, from the run with the most rounds: dsconv beside the best other engine, by minima, and the
ratio of both by minima and by rounds, with an interval (dsconv/text/trust.py); older files have the
ratio of the medians there. docs/performance.md has these tables.

Engines that run plain 3 x 3 convolutions by Winograd's algorithm multiply less. They stand in a column
of their own there, and do not count as the best.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.peers.results import OURS, Comparison, Results, Timing, read_runs
from dsconv.text.tables import markdown_table

WINOGRAD = ("ncnn", f"{OURS}_winograd")
PLAIN = ("v1-standard", "resnet50")  # networks of plain 3 x 3 convolutions
COLUMNS = (
    "network", "threads", "dsconv, ms", "% of peak", "best other, ms", "ratio", "by rounds",
    "with Winograd, ms",
)  # fmt: skip


def main() -> None:
    """Print the tables of the given files."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers.summary", description=__doc__.splitlines()[0]
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path)
    runs = [run for file in parser.parse_args().files for run in read_runs(file)]
    print("\n\n".join(tables(runs)))


def tables(runs: list[Results]) -> list[str]:
    """Return a heading and a table for each machine, with the comparisons of all its runs."""
    machines: dict[str, list[Results]] = {}
    for run in runs:
        machine = run.machine["machine"].split(", load")[0]
        machines.setdefault(f"{machine}, {run.machine['kernels']}", []).append(run)
    return [f"**{machine}**\n\n{_table(found)}" for machine, found in machines.items()]


def _table(runs: list[Results]) -> str:
    longest: dict[tuple[str, int], Comparison] = {}
    for comparison in (comparison for run in runs for comparison in run.comparisons):
        key = comparison.network, comparison.threads
        if key not in longest or _rounds(comparison) > _rounds(longest[key]):
            longest[key] = comparison
    rows = [row for row in map(_row, longest.values()) if row]
    for run in runs:
        rows += _cold_row(run)
    return markdown_table(COLUMNS, rows, right=range(1, len(COLUMNS)))


def _rounds(comparison: Comparison) -> int:
    return max((timing.times.rounds for timing in comparison.timed), default=0)


def _row(comparison: Comparison) -> list[str]:
    """Return the row of a comparison, none if dsconv or the other engines were not timed."""
    plain = comparison.network in PLAIN
    ours = [timing for timing in comparison.timed if timing.engine == OURS]
    others = [t for t in comparison.timed if not t.engine.startswith(OURS)]
    beside = [t for t in comparison.timed if plain and t.engine in WINOGRAD]
    peers = [timing for timing in others if timing not in beside]
    if not ours or not peers:
        return []
    times = ours[0].times
    least, least_median = (
        min(peers, key=lambda t: getattr(t.times, statistic)) for statistic in ("minimum", "median")
    )
    return [
        comparison.title + (", per image" if comparison.batch > 1 else ""),
        str(comparison.threads),
        _milliseconds(ours[0], comparison),
        f"{comparison.percents(ours[0])[0]:.1f}",
        f"{least.engine} {_milliseconds(least, comparison)}",
        f"{times.minimum / least.times.minimum:.3f}",
        _by_rounds(comparison, ours[0], least_median),
        ", ".join(f"{t.engine} {_milliseconds(t, comparison)}" for t in beside),
    ]


def _by_rounds(comparison: Comparison, ours: Timing, other: Timing) -> str:
    """Return the median of the rounds' ratios with its interval, in older files that of medians."""
    if found := comparison.pairs(other):
        return f"{found.median:.3f} ({found.low:.3f} to {found.high:.3f})"
    return f"{ours.times.median / other.times.median:.3f}"


def _milliseconds(timing: Timing, comparison: Comparison) -> str:
    return f"{1e3 * timing.times.minimum / comparison.batch:.3f}"


def _cold_row(run: Results) -> list[list[str]]:
    """Return the row of the cold starts, none if they were not measured."""
    starts = {row.engine: row.start for row in run.cold if row.start}
    peers = {engine: start for engine, start in starts.items() if not engine.startswith(OURS)}
    if OURS not in starts or not peers:
        return []
    ours, least = starts[OURS], min(peers, key=lambda engine: peers[engine].minimum)
    best = peers[least].minimum
    return [[
        "start to first V1 result", "1", f"{1e3 * ours.minimum:.1f}", "",
        f"{least} {1e3 * best:.1f}", f"{ours.minimum / best:.3f}",
        f"{ours.median / min(start.median for start in peers.values()):.3f}", "",
    ]]  # fmt: skip


if __name__ == "__main__":
    main()
