"""Fill results round by round, each time with the FMA peak beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dsconv.bench.results import Results, Timed
from dsconv.bench.timing import Function, rounds
from dsconv.bench.watch import Watch

Progress = Callable[[str], object]


class Recorder:
    """Measure into results, which hold every finished round if the run is interrupted.

    Parameters
    ----------
    results
        Has batch, threads and repeats; gets the conditions of the run.
    progress
        Called with a short text before every round.
    """

    def __init__(self, results: Results, progress: Progress) -> None:
        self.results = results
        self.progress = progress
        self._watch = Watch(results.conditions)

    def record(self, label: str, sides: Sequence[tuple[Timed, Function]]) -> None:
        """Measure the functions in turn (see `timing.rounds`), each into the `Timed` beside it."""
        repeats = self.results.repeats
        self.progress(label)
        timed, functions = zip(*sides, strict=True)
        taken = rounds(functions, repeats)
        self.peak()
        for number, times in enumerate(taken, start=1):
            peak = self.peak()
            for one, seconds in zip(timed, times, strict=True):
                one.add(seconds, peak)
            self.progress(f"{label}, round {number} of {repeats}")

    def peak(self) -> float:
        """Return the GFLOP/s of all threads beside what ran since the last call."""
        return self._watch.sample() * self.results.threads
