"""Measure the FMA peak of the machine, in the same run as what is compared with it."""

from __future__ import annotations

from time import perf_counter
from types import ModuleType

_LEAST = 0.5e-3  # seconds of one burst: short enough to fall between two interrupts
_BURSTS = 4  # in a sample, so that a few milliseconds find a burst without interrupts


class Peak:
    """Measure the rate at which one thread runs independent multiply-adds in registers.

    The clock of a processor changes with its load, so the peak is sampled between the measurements.
    An interrupt can lower the rate of a burst and nothing can raise it, so the best burst counts.

    Parameters
    ----------
    kernels
        The kernel module whose vectors are used, e.g. `dsconv.kernels.dispatch.kernels`.

    Attributes
    ----------
    gflops : float
        GFLOP/s of one thread, the best sample so far.
    samples : int
        Samples taken so far.
    """

    def __init__(self, kernels: ModuleType) -> None:
        self._kernels = kernels
        self.gflops = 0.0
        self.samples = 0
        self._rounds = 1000  # of the loop in one burst: a few microseconds
        while self._burst()[0] < _LEAST:
            self._rounds *= 2
        self.sample()

    def sample(self) -> float:
        """Measure once more and return the GFLOP/s of this moment."""
        now = max(self._burst()[1] for _ in range(_BURSTS))
        self.gflops = max(self.gflops, now)
        self.samples += 1
        return now

    def _burst(self) -> tuple[float, float]:
        """Return the seconds and the GFLOP/s of one run of the loop."""
        start = perf_counter()
        operations = self._kernels.fma_chains(self._rounds)
        elapsed = perf_counter() - start
        return elapsed, operations / elapsed / 1e9
