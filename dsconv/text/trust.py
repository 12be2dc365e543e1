"""Say in plain sentences when the figures of a benchmark cannot be trusted; no clock runs here.

Ratios are taken between two times of one round, which were measured next to each other, and a per
cent of the FMA peak is taken against the peak beside the time. So a change of the clock between
two rounds changes neither.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from math import comb
from statistics import median
from typing import NamedTuple

from dsconv.text.peak import marked
from dsconv.text.tables import WIDTH

DRIFT = 0.05  # of the lowest peak: what it may move within a run


class Interval(NamedTuple):
    """Hold a median and the limits of an interval around it."""

    median: float
    low: float
    high: float


def interval(values: Iterable[float]) -> Interval:
    """Return the median and an interval that covers the true median with 95 % or more.

    The limits are the k-th smallest and the k-th largest value. The number of values below the true
    median is binomial with probability 1/2, and k is the largest number for which the true median
    lies outside of the limits with a probability of at most 5 %. Fewer than six values have no such
    k; their interval is the whole range.
    """
    ordered = sorted(values)
    count = len(ordered)
    tails = accumulate(comb(count, below) for below in range(count))  # of 2**count outcomes
    fitting = takewhile(lambda tail: 40 * tail <= 2**count, tails)
    cut = max(sum(1 for _ in fitting), 1) - 1  # values beyond each limit
    return Interval(median(ordered), ordered[cut], ordered[-1 - cut])


def percents_of_peak(
    mult_adds: int, seconds: Sequence[float], peaks: Sequence[float]
) -> tuple[float, float]:
    """Return per cent of the FMA peak: by the median of the rounds, and by the shortest time.

    Parameters
    ----------
    mult_adds
        Of one call, each of them two operations.
    seconds, peaks
        Time of a call in each round, and GFLOP/s of the peak beside it.
    """
    possible = [time * peak for time, peak in zip(seconds, peaks, strict=True)]  # G operations
    shortest = possible[seconds.index(min(seconds))]
    return 2e-7 * mult_adds / median(possible), 2e-7 * mult_adds / shortest


@dataclass
class Conditions:
    """Hold what the machine did during a run.

    Attributes
    ----------
    processors : int
        Number of processors, or 0 if it is unknown.
    load : float
        Highest load average before and during the run.
    lowest, highest : float
        GFLOP/s of one thread: the lowest and the highest sample of the FMA peak.
    samples : int
        Number of samples of the peak.
    """

    processors: int = 0
    load: float = 0.0
    lowest: float = 0.0
    highest: float = 0.0
    samples: int = 0

    def add(self, peak: float, load: float) -> None:
        """Add a sample of the peak and of the load average."""
        self.load = max(self.load, load)
        self.lowest = min(self.lowest, peak) if self.samples else peak
        self.highest = max(self.highest, peak)
        self.samples += 1

    def peak(self) -> str:
        """Return the range of the peak as text."""
        return (
            f"{self.lowest:.1f} to {self.highest:.1f} GFLOP/s a thread, "
            f"{self.samples} samples beside the measurements"
        )

    def warnings(self, percents: Iterable[float]) -> list[str]:
        """Return a sentence for each reason to distrust a run.

        Parameters
        ----------
        percents
            All figures of the run in per cent of the FMA peak.
        """
        sentences = []
        if self.processors and self.load > self.processors:
            plural = "s" if self.processors > 1 else ""
            sentences.append(
                f"The load average rose to {self.load:.1f} on {self.processors} processor{plural}, "
                "so other programs may have lengthened these times."
            )
        if self.highest > (1 + DRIFT) * self.lowest:
            sentences.append(
                f"The FMA peak moved from {self.lowest:.1f} to {self.highest:.1f} GFLOP/s during "
                "the run, so these times are not comparable with each other."
            )
        most = max(percents, default=0.0)
        if marked("", most):
            sentences.append(
                f"A figure is {most:.1f} % of the FMA peak: without Winograd's algorithm its time or "
                "the peak must be wrong."
            )
        return sentences


def as_text(warnings: Iterable[str]) -> str:
    """Return the warnings as lines that are not too long."""
    return "\n".join(textwrap.fill(each, WIDTH) for each in warnings)
