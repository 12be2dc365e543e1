"""Measure the FMA peak of the machine, in the same run as what is compared with it."""

from __future__ import annotations

from time import perf_counter
from types import ModuleType

_LEAST = 0.5e-3  # seconds of one sample: short enough to fall between two interrupts


class Peak:
    """Keep the best rate at which one thread ran independent multiply-adds in registers.

    The clock of a processor changes with its load, so the peak is sampled between the measurements
    and the best sample counts.

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
        self._rounds = 1000  # of the loop in one sample: a few microseconds
        while self.sample() < _LEAST:
            self._rounds *= 2
        self.gflops, self.samples = 0.0, 0  # the first ones were too short
        self.sample()

    def sample(self) -> float:
        """Measure once more and return the seconds that it took."""
        start = perf_counter()
        operations = self._kernels.fma_chains(self._rounds)
        elapsed = perf_counter() - start
        self.gflops = max(self.gflops, operations / elapsed / 1e9)
        self.samples += 1
        return elapsed
