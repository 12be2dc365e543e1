"""Compare dsconv with other engines on the same networks: `python -m benchmarks.peers`.

Every engine runs in a process of its own. First its logits are compared with a reference in double
precision; an engine that is too far off is reported and not timed. Then all take turns, with
samples of the FMA peak between them. The ratios of dsconv to each other engine are those of two
turns of one round, and sentences below the tables say when the figures cannot be trusted.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.peers import cold, plot
from benchmarks.peers.engines import NAMES, engine, installed, version_of
from benchmarks.peers.networks import NETWORKS
from benchmarks.peers.report import render
from benchmarks.peers.results import OURS, Comparison, Results, read_runs, write_runs
from benchmarks.peers.rounds import Files, measure
from dsconv.bench import machine
from dsconv.bench.__main__ import INTERRUPTED
from dsconv.bench.watch import Watch
from dsconv.text.terminal import ProgressLine


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its tables.

    Parameters
    ----------
    arguments
        Command-line arguments; None stands for those of the process.

    Returns
    -------
    int
        Exit status: 0; 130 after Ctrl-C; 1 if dsconv itself failed on a network, or a file could
        not be written. Everything that was measured is printed in every case.
    """
    parser = _parser()
    wanted = parser.parse_args(arguments)
    runs = _earlier_runs(parser, wanted)
    if wanted.show:
        print("\n\n\n".join(map(render, runs)))
        return _write(runs, wanted)
    here = [name for name in wanted.engines if installed(name)]
    if not here:
        parser.error(f"argument --engines: none of {', '.join(wanted.engines)} is installed")
    results = Results(
        machine.facts(),
        {name: f"{version_of(name)}: {engine(name).SETTINGS}" for name in here},
        [name for name in wanted.engines if name not in here],
        wanted.rounds,
    )
    status = 0
    with tempfile.TemporaryDirectory(prefix="dsconv-peers-") as folder:
        try:
            with ProgressLine() as line:
                _measure(results, wanted, Path(folder), line)
        except KeyboardInterrupt:
            results.interrupted, status = True, INTERRUPTED
    results.warn()
    print(render(results))
    failed = [t for c in results.comparisons for t in c.timings if t.engine == OURS and t.failure]
    return _write([*runs, results], wanted) or status or bool(failed)


def _measure(
    results: Results, wanted: argparse.Namespace, folder: Path, line: ProgressLine
) -> None:
    watch = Watch(results.conditions)
    files: dict[str, Files] = {}

    def files_of(name: str) -> Files:
        if name not in files:
            line.write(f"{NETWORKS[name].title}: the reference")
            files[name] = Files(name, NETWORKS[name], folder)
        return files[name]

    for name in wanted.networks:
        for threads in wanted.threads:
            network = NETWORKS[name]
            mult_adds = files_of(name).mult_adds
            comparison = Comparison(name, network.title, network.batch, threads, mult_adds)
            results.comparisons.append(comparison)
            measure(comparison, files_of(name), list(results.engines), wanted.rounds, watch,
                    line.write)  # fmt: skip
    if wanted.cold:
        cold.measure(results, files_of("v1"), line.write)
        watch.sample()  # for the load


def _write(runs: Sequence[Results], wanted: argparse.Namespace) -> int:
    """Write the files that were asked for; return 1 if one of them could not be written."""
    status = 0
    for path, write in (
        (wanted.json, lambda path: write_runs(runs, path)),
        (wanted.plot, lambda path: plot.save(runs[0 if wanted.show else -1], path)),
    ):
        if path:
            try:
                write(path)
            except (OSError, ValueError) as error:
                print(f"python -m benchmarks.peers: error: {path}: {error}", file=sys.stderr)
                status = 1
    return status


def _earlier_runs(parser: argparse.ArgumentParser, wanted: argparse.Namespace) -> list[Results]:
    """Return the runs in the given file; end with an error if a file is of no use."""
    for option in ("json", "plot"):
        path = getattr(wanted, option)
        if path:
            try:
                path.open("a").close()  # creates the file, or leaves what it holds
            except OSError as error:
                parser.error(f"argument --{option}: cannot write {str(path)!r}: {error.strerror}")
    if wanted.plot and find_spec("matplotlib") is None:
        parser.error("argument --plot: needs matplotlib: pip install 'dsconv[plot]'")
    path = wanted.show or wanted.json
    try:
        runs = read_runs(path) if path else []
    except (OSError, ValueError) as error:
        parser.error(f"argument --{'show' if wanted.show else 'json'}: {error}")
    if wanted.show and not runs:
        parser.error(f"argument --show: there are no runs in {str(path)!r}")
    return runs


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description="Compare dsconv with other engines on the same networks and weights, "
        "interleaved, one process for each engine, the others stopped. Every engine is checked "
        "first, and sentences below the tables say when the figures cannot be trusted.",
    )
    add = parser.add_argument
    add("--engines", type=_names(NAMES), metavar="A,B", default=list(NAMES),
        help=f"of {', '.join(NAMES)} (default: all that are installed)")  # fmt: skip
    add("--networks", type=_names(NETWORKS), metavar="A,B", default=list(NETWORKS),
        help=f"of {', '.join(NETWORKS)} (default: all)")  # fmt: skip
    add("--threads", type=_threads, metavar="N,M", default=_threads("1,2", most=True),
        help="numbers of threads, each a run of its own (default: 1,2)")  # fmt: skip
    add("--rounds", type=_positive, metavar="K", default=20,
        help="turns of every engine (default: %(default)s)")  # fmt: skip
    either = parser.add_mutually_exclusive_group().add_argument
    either("--json", type=Path, metavar="FILE",
        help="add this run to the runs in FILE: times, peaks and warnings")  # fmt: skip
    either("--show", type=Path, metavar="FILE",
        help="measure nothing: print the runs in FILE, and plot the first of them")  # fmt: skip
    add("--plot", type=Path, metavar="FILE", help="write a picture (needs matplotlib)")
    add("--cold", action=argparse.BooleanOptionalAction, default=True,
        help="process start to first result, import time, memory, installed size")  # fmt: skip
    return parser


def _names(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return a parser of comma-separated names."""

    def parse(text: str) -> list[str]:
        names = list(dict.fromkeys(text.split(",")))
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"unknown name {name!r}, known are {', '.join(known)}"
                )
        return names

    return parse


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text!r}")
    return number


def _threads(text: str, most: bool = False) -> list[int]:
    """Parse numbers up to that of the CPUs, with commas between; `most` leaves out larger ones."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    numbers = [_positive(part) for part in dict.fromkeys(text.split(","))]
    if most:
        return [number for number in numbers if number <= cpus]
    if max(numbers) > cpus:
        raise argparse.ArgumentTypeError(f"at most {cpus} here, got {text!r}")
    return numbers


if __name__ == "__main__":
    sys.exit(main())
