"""What was measured, as plain data, and the arithmetic of the report."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, NamedTuple

OURS = "dsconv"  # the engine that all others are peers of


class Turn(NamedTuple):
    """One turn of an engine: seconds per call, and how many calls were timed."""

    minimum: float
    median: float
    calls: int


@dataclass
class Timing:
    """One engine on one network.

    Attributes
    ----------
    engine : str
    error : float or None
        Largest difference from the reference divided by the largest logit.
    failure : str
        Why it was not timed, or not to the end; else empty.
    turns : list of Turn
        One for each round.
    """

    engine: str
    error: float | None = None
    failure: str = ""
    turns: list[Turn] = field(default_factory=list)

    @property
    def minimum(self) -> float:
        """Seconds of the quickest call."""
        return min(turn.minimum for turn in self.turns)

    @property
    def median(self) -> float:
        """Seconds: the median of the rounds' medians."""
        return median(turn.median for turn in self.turns)


@dataclass
class Comparison:
    """All engines on one network with one number of threads.

    Attributes
    ----------
    network, title : str
    batch, threads : int
    mult_adds : int
        Of one call, for the whole batch.
    peak : float
        GFLOP/s of one thread, the best sample between the rounds.
    timings : list of Timing
    """

    network: str
    title: str
    batch: int
    threads: int
    mult_adds: int
    peak: float = 0.0
    timings: list[Timing] = field(default_factory=list)

    @property
    def timed(self) -> list[Timing]:
        """The engines that agreed with the reference and finished at least one round."""
        return [timing for timing in self.timings if timing.turns]

    def percent_of_peak(self, seconds: float) -> float:
        """2 * mult-adds / time in per cent of the FMA peak of all threads."""
        return 100 * 2e-9 * self.mult_adds / seconds / (self.peak * self.threads)

    def best_peer(self, statistic: str) -> float | None:
        """The least `minimum` or `median` of the other engines; None where there is none."""
        times = [getattr(t, statistic) for t in self.timed if not t.engine.startswith(OURS)]
        return min(times, default=None)

    def ratio(self, timing: Timing, statistic: str) -> float | None:
        """An engine's `minimum` or `median` over that of the best peer."""
        best = self.best_peer(statistic)
        return None if best is None else float(getattr(timing, statistic) / best)


@dataclass
class Cold:
    """One engine from nothing: seconds, bytes.

    Attributes
    ----------
    start : list of float
        Process start to the first result of MobileNetV1.
    imports : list of float
        Process start to the end of the engine's import.
    memory : list of int
        Peak resident bytes of processes that load MobileNetV1 and run ten images.
    size : int
        Installed bytes of the engine's own distribution.
    size_with_needs : int
        The same with everything that it depends on.
    failure : str
        Why something is missing; else empty.
    """

    engine: str
    start: list[float] = field(default_factory=list)
    imports: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    size: int = 0
    size_with_needs: int = 0
    failure: str = ""


@dataclass
class Results:
    """One run of the benchmark.

    Attributes
    ----------
    machine : dict
        See `dsconv.bench.machine.facts`.
    engines : dict
        Version and settings by engine; those that are not installed are in `missing`.
    rounds : int
        Asked for.
    empty, without : list of float
        Seconds of a Python that does nothing, and of the program of the cold starts without an
        engine.
    """

    machine: dict[str, str]
    engines: dict[str, str]
    missing: list[str]
    rounds: int
    comparisons: list[Comparison] = field(default_factory=list)
    cold: list[Cold] = field(default_factory=list)
    empty: list[float] = field(default_factory=list)
    without: list[float] = field(default_factory=list)
    interrupted: bool = False

    def to_json(self) -> str:
        """Everything, with every round, and the figures of the report."""
        data: dict[str, Any] = asdict(self)
        for comparison, entry in zip(self.comparisons, data["comparisons"], strict=True):
            for timing, row in zip(comparison.timings, entry["timings"], strict=True):
                if timing.turns:
                    row |= {
                        "minimum": timing.minimum,
                        "median": timing.median,
                        "ratio_of_minima": comparison.ratio(timing, "minimum"),
                        "ratio_of_medians": comparison.ratio(timing, "median"),
                        "percent_of_peak": comparison.percent_of_peak(timing.minimum),
                    }
        return json.dumps(data, indent=1)
