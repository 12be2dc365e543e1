"""Time MobileNetV1's blocks and the whole network, standard beside separable.

This is `python -m dsconv.bench`; with --model NAME it times one network instead, step by step.
Results are compared with a reference before anything is timed. Ratios are those of two times that
were measured next to each other, per cents are those of the FMA peak beside the time, and sentences
below the tables say when the figures cannot be trusted.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dsconv import models
from dsconv.bench import blocks, machine, networks, single
from dsconv.bench.check import WrongResultError
from dsconv.bench.recorder import Progress, Recorder
from dsconv.bench.report import render
from dsconv.bench.results import Results
from dsconv.kernels.threads import threads_or_default
from dsconv.models.topologies.blocks import checked_alpha
from dsconv.text.terminal import ProgressLine

INTERRUPTED = 130  # exit status of a program that Ctrl-C ended


def main(arguments: Sequence[str] | None = None, progress: Progress | None = None) -> int:
    """Run the benchmark and print its tables.

    Parameters
    ----------
    arguments
        Command-line arguments; None stands for those of the process.
    progress
        Called with a short text whenever the work moves on. None writes a `ProgressLine`.

    Returns
    -------
    int
        Exit status: 0, or 130 after Ctrl-C, or 1 if the memory did not suffice, a result was wrong
        or the JSON file could not be written. Everything that was measured is printed in every
        case.
    """
    parser = _parser()
    wanted = parser.parse_args(arguments)
    results = _plan(parser, wanted)
    status, failure = 0, ""
    try:
        with ProgressLine() as line:
            recorder = Recorder(results, progress or line.write)
            if wanted.model:
                single.measure(recorder, results.options)
            else:
                blocks.measure(recorder, results.options)
                if not wanted.blocks_only:
                    networks.measure(recorder, results.options)
    except KeyboardInterrupt:
        results.interrupted, status = True, INTERRUPTED
    except MemoryError as error:
        results.interrupted, failure = True, f"argument --batch: {error}"
    except WrongResultError as error:
        results.interrupted, failure = True, str(error)
    print(render(results))
    if wanted.json:
        try:
            wanted.json.write_text(results.to_json() + "\n", encoding="utf-8")
        except OSError as error:
            failure = f"argument --json: {error}"
    if failure:
        print(f"{parser.prog}: error: {failure}", file=sys.stderr)
    return 1 if failure else status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dsconv.bench",
        description="Time MobileNetV1's thirteen blocks and the whole network: standard 3x3 "
        "convolutions beside depthwise + pointwise, with mult-adds, GFLOP/s and per cent of the "
        "FMA peak beside each time. Every result is checked first, and sentences below the tables "
        "say when the figures cannot be trusted.",
    )
    add = parser.add_argument
    add("--alpha", type=_alpha, metavar="A", help="width multiplier (default: the network's)")
    add("--resolution", type=_positive, metavar="R", help="side of the picture in pixels")
    add("--threads", type=_positive, metavar="T", default=threads_or_default(None),
        help="threads of every call (default: %(default)s)")  # fmt: skip
    add("--batch", type=_positive, metavar="N", default=1, help="pictures in every call")
    add("--repeats", type=_positive, metavar="K",
        help="rounds of every measurement (default: 30; with --model 10)")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write all times to this file as well")
    add("--model", choices=models.names(), metavar="NAME",
        help=f"one network, step by step, instead: {', '.join(models.names())}")  # fmt: skip
    add("--blocks-only", action="store_true", help="leave out the whole networks")
    return parser


def _plan(parser: argparse.ArgumentParser, wanted: argparse.Namespace) -> Results:
    """Return results without times for the arguments; end with an error if they do not fit."""
    network = wanted.model or "mobilenet_v1"
    if wanted.model and wanted.blocks_only:
        parser.error("argument --blocks-only: not allowed with argument --model")
    threads = threads_or_default(wanted.threads)
    if threads != wanted.threads:
        parser.error(f"argument --threads: at most {threads} here, got {wanted.threads}")
    signature = inspect.signature(getattr(models, network))
    options: dict[str, Any] = {}
    for name in ("alpha", "resolution"):
        value = getattr(wanted, name)
        if name in signature.parameters:
            options[name] = signature.parameters[name].default if value is None else value
        elif value is not None:
            parser.error(f"argument --{name}: the network {network} has none")
    try:
        models.get(network, **options)
    except ValueError as error:
        parser.error(
            f"arguments {' '.join(f'--{name} {value}' for name, value in options.items())}: {error}"
        )
    if wanted.json:
        try:
            wanted.json.open("a").close()  # creates the file, or leaves what it holds
        except OSError as error:
            parser.error(f"argument --json: cannot write {str(wanted.json)!r}: {error.strerror}")
    repeats = wanted.repeats or (10 if wanted.model else 30)
    return Results(network, options, wanted.batch, threads, repeats, machine=machine.facts())


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if number < 1:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 1 to 999,999,999, got {text!r}"
        )
    return number


def _alpha(text: str) -> float:
    try:
        return checked_alpha(float(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}") from None


if __name__ == "__main__":
    sys.exit(main())
