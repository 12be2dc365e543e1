"""The machine's FMA peak, measured in the same run as everything that is compared with it."""

from __future__ import annotations

from time import perf_counter
from types import ModuleType

from dsconv.bench.timing import calls_for

_ROUNDS = 1000  # of the loop in one call: a few microseconds
_LEAST = 0.5e-3  # seconds of one sample: short enough to fall between two interrupts


class Peak:
    """The best rate at which one thread has run independent multiply-adds in registers.

    The clock of a processor changes with its load, so the peak is sampled between the measurements
    and the best sample counts.

    Parameters
    ----------
    kernels
        The kernel module whose vectors are used, e.g. `dsconv._dispatch.kernels`.

    Attributes
    ----------
    gflops : float
        GFLOP/s of one thread, the best sample so far.
    samples : int
        Samples taken so far.
    """

    def __init__(self, kernels: ModuleType) -> None:
        self._kernels = kernels
        self._rounds = _ROUNDS * calls_for(lambda: kernels.fma_chains(_ROUNDS), _LEAST)
        self.gflops = 0.0
        self.samples = 0
        self.sample()

    def sample(self) -> None:
        """Measure once more."""
        start = perf_counter()
        operations = self._kernels.fma_chains(self._rounds)
        self.gflops = max(self.gflops, operations / (perf_counter() - start) / 1e9)
        self.samples += 1
