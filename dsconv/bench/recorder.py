"""Fill results round by round, with a sample of the FMA peak in every round."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dsconv.bench.results import Results, Timed
from dsconv.bench.timing import Function, rounds
from dsconv.kernels import dispatch
from dsconv.kernels.peak import Peak

Progress = Callable[[str], object]


class Recorder:
    """Measure into results, which hold every finished round if the run is interrupted.

    Parameters
    ----------
    results
        Has batch, threads and repeats; gets the peak.
    progress
        Called with a short text before every round.
    """

    def __init__(self, results: Results, progress: Progress) -> None:
        self.results = results
        self.progress = progress
        self._peak = Peak(dispatch.kernels)
        self.sample_peak()

    def record(self, label: str, sides: Sequence[tuple[Timed, Function]]) -> None:
        """Measure the functions in turn (see `timing.rounds`), each into the `Timed` beside it."""
        repeats = self.results.repeats
        self.progress(label)
        timed, functions = zip(*sides, strict=True)
        for number, times in enumerate(rounds(functions, repeats), start=1):
            for one, seconds in zip(timed, times, strict=True):
                one.seconds.append(seconds)
            self.sample_peak()
            self.progress(f"{label}, round {number} of {repeats}")

    def sample_peak(self) -> None:
        """Measure the peak once more."""
        self._peak.sample()
        self.results.peak = self._peak.gflops
        self.results.peak_samples = self._peak.samples
