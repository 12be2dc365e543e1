"""Hold what was measured as plain data, keep it in JSON files, do the report's arithmetic."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeVar

from dsconv.text.trust import Conditions, Interval, interval, percents_of_peak

T = TypeVar("T")

OURS = "dsconv"  # the engine that all others are peers of


class Times(NamedTuple):
    """Sum up the seconds of some rounds."""

    minimum: float
    median: float
    rounds: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times:
        """Return the minimum, the median and the number of the given times."""
        return cls(min(seconds), median(seconds), len(seconds))


class Turn(NamedTuple):
    """Hold one turn of an engine: seconds per call, and the FMA peak of all threads beside it."""

    minimum: float
    median: float
    peak: float


@dataclass
class Timing:
    """Hold the result of one engine on one network.

    Attributes
    ----------
    engine : str
    error : float or None
        Largest difference from the reference divided by the largest logit.
    failure : str
        Why it was not timed, or not to the end; else empty.
    times : Times or None
        Seconds per call: the minimum of all calls, and the median of the rounds' medians.
    turns : list of Turn
        One for each round; older files have none.
    """

    engine: str
    error: float | None = None
    failure: str = ""
    times: Times | None = None
    turns: list[Turn] = field(default_factory=list)

    def add(self, turn: Turn) -> None:
        """Add a turn; `times` sums up all of them."""
        self.turns.append(turn)
        minima, medians, _ = zip(*self.turns, strict=True)
        self.times = Times(min(minima), median(medians), len(minima))


@dataclass
class Comparison:
    """Hold the results of all engines on one network with one number of threads.

    Attributes
    ----------
    network, title : str
    batch, threads : int
    mult_adds : int
        Of one call, for the whole batch.
    peak : float
        GFLOP/s of one thread, the best sample between the turns.
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
        """Return the engines that agreed with the reference and finished at least one round."""
        return [timing for timing in self.timings if timing.times]

    def percents(self, timing: Timing) -> tuple[float, float]:
        """Return per cent of the FMA peak of all threads, by minimum and by median.

        A time is compared with the peak beside it, or with that of the run in older files.
        """
        assert timing.times
        low, middle, _ = timing.times
        turns = timing.turns or [Turn(low, middle, self.peak * self.threads)]
        minima, medians, peaks = zip(*turns, strict=True)
        return (
            percents_of_peak(self.mult_adds, minima, peaks)[1],
            percents_of_peak(self.mult_adds, medians, peaks)[0],
        )

    def pairs(self, timing: Timing) -> Interval | None:
        """Return dsconv's time over an engine's in the same round: the median, with an interval.

        There is none for dsconv itself, nor without rounds of both, as in older files.
        """
        ours = next((t for t in self.timed if t.engine == OURS), None)
        if ours is None or ours is timing or not (ours.turns and timing.turns):
            return None
        # An engine that fails has no more turns, so the n-th turn is that of the n-th round.
        pairs = zip(ours.turns, timing.turns, strict=False)
        return interval(own.median / other.median for own, other in pairs)

    def ratio(self, timing: Timing, statistic: str) -> float | None:
        """Return an engine's `minimum` or `median` over the least of the peers, if there is any."""
        peers = [getattr(t.times, statistic) for t in self.timed if not t.engine.startswith(OURS)]
        return float(getattr(timing.times, statistic) / min(peers)) if peers else None


@dataclass
class Cold:
    """Hold the result of starting one engine from nothing.

    Attributes
    ----------
    start : Times or None
        Seconds from process start to the first result of MobileNetV1.
    imports : Times or None
        Seconds from process start to the end of the engine's import.
    memory : int or None
        Least peak of resident bytes of the processes that load MobileNetV1 and run ten images.
    size : int
        Installed bytes of the engine's own distribution.
    size_with_needs : int
        Installed bytes of the distribution and of all that it depends on.
    failure : str
        Why something is missing; else empty.
    """

    engine: str
    start: Times | None = None
    imports: Times | None = None
    memory: int | None = None
    size: int = 0
    size_with_needs: int = 0
    failure: str = ""


@dataclass
class Results:
    """Hold one run of the benchmark.

    Attributes
    ----------
    machine : dict
        See `dsconv.bench.machine.facts`.
    engines : dict
        Version and settings by engine; those that are not installed are in `missing`.
    rounds : int
        Number of rounds that were asked for.
    conditions : Conditions
        Load and FMA peak of the machine during the run.
    warnings : list of str
        A sentence for each reason to distrust the run; see `warn`.
    empty, without : Times or None
        Seconds of a Python that does nothing, and of the program of the cold starts without an
        engine.
    """

    machine: dict[str, str]
    engines: dict[str, str]
    missing: list[str]
    rounds: int
    comparisons: list[Comparison] = field(default_factory=list)
    cold: list[Cold] = field(default_factory=list)
    empty: Times | None = None
    without: Times | None = None
    interrupted: bool = False
    conditions: Conditions = field(default_factory=Conditions)
    warnings: list[str] = field(default_factory=list)

    def warn(self) -> None:
        """Fill the warnings from all that was measured."""
        self.warnings = self.conditions.warnings(
            percent
            for comparison in self.comparisons
            for timing in comparison.timed
            for percent in comparison.percents(timing)
        )


def write_runs(runs: Sequence[Results], path: Path) -> None:
    """Write runs as JSON with nine digits of each figure, a line for each engine."""
    exact = json.dumps([asdict(run) for run in runs])
    data = json.loads(exact, parse_float=lambda digits: float(f"{float(digits):.9g}"))
    innermost = r"\[[^][{}]*\]|\{[^{}]*\}"
    text = re.sub(innermost, lambda part: re.sub(r"\n *", " ", part[0]), json.dumps(data, indent=1))
    path.write_text(text + "\n", encoding="utf-8")


def read_runs(path: Path) -> list[Results]:
    """Return the runs in a file of `write_runs`; an empty or missing file has none.

    Raises
    ------
    ValueError
        If the file has other contents.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        return [_run(entry) for entry in json.loads(text or "[]")]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} has other contents than runs of this benchmark: {error!r}"
        ) from None


def _run(entry: dict[str, Any]) -> Results:
    def made(kind: Callable[..., T], entry: dict[str, Any], *times: str) -> T:
        return kind(**entry | {name: entry[name] and Times(*entry[name]) for name in times})

    run = made(Results, entry, "empty", "without")
    run.comparisons = [Comparison(**row) for row in entry["comparisons"]]
    for comparison, row in zip(run.comparisons, entry["comparisons"], strict=True):
        comparison.timings = [made(Timing, timing, "times") for timing in row["timings"]]
        for timing in comparison.timings:
            timing.turns = [Turn(*turn) for turn in timing.turns]
    run.conditions = Conditions(**entry.get("conditions", {}))
    run.cold = [made(Cold, row, "start", "imports") for row in entry["cold"]]
    return run
