"""Sample the FMA peak and the load average beside the measurements of a run."""

from __future__ import annotations

import os

from dsconv.bench import machine
from dsconv.kernels import dispatch
from dsconv.kernels.peak import Peak
from dsconv.text.trust import Conditions


class Watch:
    """Sample the machine between measurements, and keep the extremes in `conditions`."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        conditions.processors = os.cpu_count() or 0
        self._peak = Peak(dispatch.kernels)
        self._last = self._peak.gflops
        conditions.add(self._last, machine.load() or 0.0)

    def sample(self) -> float:
        """Sample once more; return the peak beside what ran since the last sample.

        Returns
        -------
        float
            GFLOP/s of one thread: the larger of the last two samples, because an interruption can
            lower a sample and nothing can raise it.
        """
        before, self._last = self._last, self._peak.sample()
        self.conditions.add(self._last, machine.load() or 0.0)
        return max(before, self._last)
