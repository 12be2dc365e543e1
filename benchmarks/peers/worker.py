"""Serve one engine in a process of its own: `python -m benchmarks.peers.worker ENGINE`.

It reads commands from standard input, each a line of JSON, and answers each with a line:
{"value": ...} or {"error": "..."}. What engines print goes to standard error.

    {"do": "write", "graph": file, "batch": N, "stem": path}   -> the file that was written
    {"do": "load", "path": file, "threads": n, "x": file}      -> file with the logits
    {"do": "turn", "warm": seconds, "timed": seconds}          -> [minimum, median]
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, TextIO

import numpy as np

from benchmarks.peers.engines import engine

LEAST_CALLS = 2  # of a turn's timed part, however long they take


class Session:
    """Hold an engine with at most one network."""

    def __init__(self, name: str) -> None:
        self._engine = engine(name)
        self._run: Callable[[], np.ndarray] | None = None

    def write(self, graph: str, batch: int, stem: str) -> str:
        """Write a network, of which `graph` is the JSON file, in the engine's own format."""
        from benchmarks.peers.networks import SEED
        from dsconv.graph import Graph

        network = Graph.from_json(Path(graph).read_text(encoding="utf-8"))
        weights = network.init_weights(SEED)
        return str(self._engine.write(network, weights, batch, Path(stem)))

    def load(self, path: str, threads: int, x: str) -> str:
        """Load a network and run it once."""
        self._run = self._engine.load(Path(path), threads, np.load(x))
        logits = f"{path}.logits.npy"
        np.save(logits, self._run())
        return logits

    def turn(self, warm: float, timed: float) -> tuple[float, float]:
        """Run for `warm` seconds and at least once, then time single calls for `timed` seconds."""
        assert self._run is not None, "load first"
        repeat(self._run, warm, 1)
        times = repeat(self._run, timed, LEAST_CALLS)
        return min(times), median(times)


def repeat(run: Callable[[], Any], seconds: float, least: int) -> list[float]:
    """Return the seconds of each call, of at least `least` calls and for `seconds` in total."""
    times: list[float] = []
    end = perf_counter() + seconds
    while len(times) < least or perf_counter() < end:
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return times


def serve(session: Session, commands: TextIO, replies: TextIO) -> None:
    """Answer commands until there are no more."""
    for line in commands:
        try:
            arguments = json.loads(line)
            reply = {"value": getattr(session, arguments.pop("do"))(**arguments)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    gc.disable()  # no pause of ours falls into a measurement
    serve(Session(sys.argv[1]), sys.stdin, replies)


if __name__ == "__main__":
    main()
