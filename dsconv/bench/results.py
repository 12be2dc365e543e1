"""Hold results as plain data: filled while a benchmark runs, printed and written after it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple


class Speed(NamedTuple):
    """Sum up the times of one thing: mult-adds of one call, median and minimum of its seconds."""

    mult_adds: int
    median: float
    minimum: float

    @property
    def gflops(self) -> float:
        """Return GFLOP/s = 2 * mult-adds / median time / 1e9."""
        return 2 * self.mult_adds / self.median / 1e9


@dataclass
class Timed:
    """Collect seconds per call, one for every round, beside the mult-adds of the whole batch."""

    mult_adds: int
    seconds: list[float] = field(default_factory=list)

    @property
    def speed(self) -> Speed:
        return Speed(self.mult_adds, median(self.seconds), min(self.seconds))


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
    peak, peak_samples
        GFLOP/s of one thread, and how often that was measured: see `dsconv.kernels.peak.Peak`.
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
    peak: float = 0.0
    peak_samples: int = 0
    blocks: list[Comparison] = field(default_factory=list)
    networks: list[Comparison] = field(default_factory=list)
    packing: list[Packing] = field(default_factory=list)
    compiling: list[Packing] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    layers: list[Step] = field(default_factory=list)
    whole: Timed | None = None
    interrupted: bool = False

    def percent_of_peak(self, mult_adds: int, seconds: float) -> float:
        """Return 2 * mult-adds / time in per cent of the peak of all threads."""
        return 100 * (2 * mult_adds / seconds / 1e9) / (self.peak * self.threads)

    def to_json(self) -> str:
        """Return every single time as JSON, with the figures that follow from the times."""

        def plain(value: Any) -> Any:
            data = dict(vars(value))
            if isinstance(value, Timed) and value.seconds:
                speed = value.speed
                data |= speed._asdict() | {"gflops": speed.gflops}
                data["percent_of_peak"] = self.percent_of_peak(speed.mult_adds, speed.median)
            return data

        return json.dumps(plain(self), indent=1, default=plain)
