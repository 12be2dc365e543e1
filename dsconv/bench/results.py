"""Hold results as plain data: filled while a benchmark runs, printed and written after it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from dsconv.text.trust import Conditions, Interval, interval, percents_of_peak


class Speed(NamedTuple):
    """Sum up the times of one thing, in seconds; sums of speeds are speeds.

    Attributes
    ----------
    mult_adds : int
        Of one call.
    median, minimum : float
        Of the seconds of a call.
    median_at_peak, minimum_at_peak : float
        Seconds that the mult-adds would take at the FMA peak beside the measurement.
    """

    mult_adds: int
    median: float
    minimum: float
    median_at_peak: float
    minimum_at_peak: float

    @property
    def gflops(self) -> float:
        """Return GFLOP/s = 2 * mult-adds / median time / 1e9."""
        return 2 * self.mult_adds / self.median / 1e9

    @property
    def percents(self) -> tuple[float, float]:
        """Return per cent of the peak beside each time, by the median and by the minimum."""
        return 100 * self.median_at_peak / self.median, 100 * self.minimum_at_peak / self.minimum


@dataclass
class Timed:
    """Collect seconds per call, one for every round, beside the mult-adds of the whole batch.

    `peaks` has the FMA peak beside each time, in GFLOP/s of all threads.
    """

    mult_adds: int
    seconds: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)

    def add(self, seconds: float, peak: float) -> None:
        """Add the time of a round and the peak beside it."""
        self.seconds.append(seconds)
        self.peaks.append(peak)

    @property
    def speed(self) -> Speed:
        percents = percents_of_peak(self.mult_adds, self.seconds, self.peaks)
        times = median(self.seconds), min(self.seconds)
        at_peak = (time * percent / 100 for time, percent in zip(times, percents, strict=True))
        return Speed(self.mult_adds, *times, *at_peak)


@dataclass(kw_only=True)
class Step(Timed):
    """Collect the times of one step of a compiled network."""

    name: str
    kind: str
    parameters: int


@dataclass
class Comparison:
    """Compare a standard convolution (or network) with its depthwise separable counterpart.

    `predicted` is the ratio separable / standard of their mult-adds.
    """

    name: str
    shape: str
    predicted: float
    standard: Timed
    separable: Timed

    @property
    def measured(self) -> bool:
        """Return whether both sides have at least one time."""
        return bool(self.standard.seconds and self.separable.seconds)

    @property
    def ratio(self) -> Interval:
        """Return the median ratio separable / standard of the rounds, with its interval."""
        return ratio([self])


def ratio(comparisons: Sequence[Comparison]) -> Interval:
    """Return the median over the rounds of: sum of separable times / sum of standard times.

    Each round measured the two sides of a comparison next to each other. Only rounds that all of
    the comparisons have are counted.
    """
    sides = ([c.separable.seconds for c in comparisons], [c.standard.seconds for c in comparisons])
    separable, standard = (map(sum, zip(*seconds, strict=False)) for seconds in sides)
    return interval(a / b for a, b in zip(separable, standard, strict=False))


@dataclass
class Packing:
    """Count the layers and weights that were packed once, and the seconds that it took."""

    what: str
    layers: int = 0
    weights: int = 0
    seconds: float = 0.0


@dataclass
class Results:
    """Hold one run of the benchmark.

    Attributes
    ----------
    network : str
        Name in `dsconv.models`.
    options : dict
        Its arguments, e.g. alpha and resolution.
    batch, threads, repeats : int
        Images in one call, threads that work on it, rounds asked for.
    machine : dict
        See `dsconv.bench.machine.facts`.
    conditions : Conditions
        Load and FMA peak of the machine during the run.
    blocks, networks : list of Comparison
        MobileNetV1's blocks, and the whole network.
    packing, compiling : list of Packing
        By kind of layer for the blocks; one for each whole network, folding batch norm included.
    steps, layers : list of Step
        Of one network alone, in their order: as it runs, and with no convolutions fused.
    whole : Timed or None
        Whole calls of that network.
    interrupted : bool
        True if the run was stopped before its end.
    """

    network: str
    options: dict[str, Any]
    batch: int
    threads: int
    repeats: int
    machine: dict[str, str]
    conditions: Conditions = field(default_factory=Conditions)
    blocks: list[Comparison] = field(default_factory=list)
    networks: list[Comparison] = field(default_factory=list)
    packing: list[Packing] = field(default_factory=list)
    compiling: list[Packing] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    layers: list[Step] = field(default_factory=list)
    whole: Timed | None = None
    interrupted: bool = False

    @property
    def warnings(self) -> list[str]:
        """Return a sentence for each reason to distrust this run."""
        sides = [side for c in self.blocks + self.networks for side in (c.standard, c.separable)]
        timed = [*sides, *self.steps, *([self.whole] if self.whole else [])]
        return self.conditions.warnings(
            percent for each in timed if each.seconds for percent in each.speed.percents
        )

    def to_json(self) -> str:
        """Return every single time as JSON, with the figures that follow from the times."""

        def plain(value: Any) -> Any:
            data = dict(vars(value))
            if isinstance(value, Timed) and value.seconds:
                speed = value.speed
                data |= {"median": speed.median, "minimum": speed.minimum}
                data |= {"gflops": speed.gflops, "percent_of_peak": speed.percents[0]}
            if isinstance(value, Comparison) and value.measured:
                data["ratio"] = value.ratio._asdict()
            return data

        data = plain(self) | {"warnings": self.warnings}
        return json.dumps(data, indent=1, default=plain)
