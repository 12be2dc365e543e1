"""Run one network on all engines: write, load, check, then time in rounds.

In every round each engine has one turn, in a new random order, while all others are stopped. The
FMA peak is sampled between the turns. A turn warms up first: caches and thread pools were cold.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.peers.networks import Network, Reference, pictures
from benchmarks.peers.process import Worker, WorkerError
from benchmarks.peers.results import Comparison, Timing, Turn
from dsconv.bench.check import failure
from dsconv.bench.watch import Watch

WARM, TIMED = 0.03, 0.08  # seconds of a turn

Progress = Callable[[str], object]


class Files:
    """Write a network to a folder, once for each engine, and compute its reference.

    Parameters
    ----------
    name, network
        An entry of `networks.NETWORKS`.
    folder
        An existing folder for its files.
    """

    def __init__(self, name: str, network: Network, folder: Path) -> None:
        self.name, self.network = name, network
        graph = network.build()
        self.mult_adds = graph.cost().mult_adds * network.batch
        self.folder = folder / name
        self.folder.mkdir()
        self._graph = self.folder / "graph.json"
        self._graph.write_text(graph.to_json(), encoding="utf-8")
        self.x = self.folder / "x.npy"
        x = pictures(graph, network.batch)
        np.save(self.x, x)
        self.reference = Reference(graph, x)
        self._written: dict[str, str] = {}

    def of(self, engine: str) -> str:
        """Return the engine's file of the network; WorkerError if it cannot be written."""
        if engine not in self._written:
            folder = self.folder / engine
            folder.mkdir(exist_ok=True)
            with Worker(engine) as worker:
                self._written[engine] = worker.call(
                    "write",
                    graph=str(self._graph),
                    batch=self.network.batch,
                    stem=str(folder / "network"),
                )
        return self._written[engine]


def measure(
    comparison: Comparison,
    files: Files,
    engines: Sequence[str],
    rounds: int,
    watch: Watch,
    progress: Progress,
) -> None:
    """Fill a comparison; it keeps everything that was measured before an interruption."""
    label = f"{comparison.title}, threads {comparison.threads}"
    with ExitStack() as stack:
        running: list[tuple[Timing, Worker]] = []
        for engine in engines:
            progress(f"{label}: {engine} loads")
            timing = Timing(engine)
            comparison.timings.append(timing)
            worker = stack.enter_context(Worker(engine, comparison.threads))
            if agrees(timing, worker, files, comparison.threads):
                running.append((timing, worker))
        order = random.Random(0)
        watch.sample()
        for number in range(1, rounds + 1):
            progress(f"{label}: round {number} of {rounds}")
            order.shuffle(running)
            for timing, worker in list(running):
                try:
                    minimum, median = worker.call("turn", warm=WARM, timed=TIMED)
                except WorkerError as error:
                    timing.failure = str(error)
                    running.remove((timing, worker))
                else:
                    peak = watch.sample()
                    timing.add(Turn(minimum, median, peak * comparison.threads))
                    comparison.peak = max(comparison.peak, peak)


def agrees(timing: Timing, worker: Worker, files: Files, threads: int) -> bool:
    """Load the network, and compare its first result with the reference."""
    try:
        path = files.of(timing.engine)
        logits = worker.call("load", path=path, threads=threads, x=str(files.x))
    except WorkerError as error:
        timing.failure = str(error)
        return False
    timing.error = files.reference.error(np.load(logits))
    timing.failure = failure(timing.error)
    return not timing.failure
