"""What was measured, as plain data: filled while a benchmark runs, printed and written after it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from statistics import median
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Speed(NamedTuple):
    """What the times of one thing, or of several in sum, say.

    Attributes
    ----------
    mult_adds : int
        Multiply-adds of one call, for the whole batch.
    median, minimum : float
        Seconds per call.
    """

    mult_adds: int
    median: float
    minimum: float

    @property
    def gflops(self) -> float:
        """GFLOP/s = 2 * mult-adds / median time / 1e9."""
        return 2 * self.mult_adds / self.median / 1e9


@dataclass
class Timed:
    """Mult-adds of one call, for the whole batch, and seconds per call, one for every round."""

    mult_adds: int
    seconds: list[float] = field(default_factory=list)

    @property
    def speed(self) -> Speed:
        return Speed(self.mult_adds, median(self.seconds), min(self.seconds))


@dataclass(kw_only=True)
class Step(Timed):
    """One step of a compiled network; mult-adds as in `Timed`."""

    name: str
    kind: str
    parameters: int


@dataclass
class Comparison:
    """A standard convolution (or network) beside its depthwise separable counterpart.

    `predicted` is the ratio separable / standard of their mult-adds.
    """

    name: str
    shape: str
    predicted: float
    standard: Timed
    separable: Timed

    @property
    def measured(self) -> bool:
        """Whether both sides have at least one time."""
        return bool(self.standard.seconds and self.separable.seconds)


@dataclass
class Packing:
    """What it took to pack the weights of some layers, once."""

    what: str
    layers: int = 0
    weights: int = 0
    seconds: float = 0.0


@dataclass
class Results:
    """One run of the benchmark.

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
        Whether the run was stopped before its end.
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

    def percent_of_peak(self, speed: Speed) -> float:
        """GFLOP/s at the median time, in per cent of the peak of all threads."""
        return 100 * speed.gflops / (self.peak * self.threads)

    def to_json(self) -> str:
        """Every single time as JSON, and what follows from them; `from_json` reads it."""

        def plain(value: Any) -> Any:
            data = dict(vars(value))
            if isinstance(value, Timed) and value.seconds:
                data |= value.speed._asdict()
                data["gflops"] = value.speed.gflops
                data["percent_of_peak"] = self.percent_of_peak(value.speed)
            return data

        return json.dumps(plain(self), indent=1, default=plain)

    @classmethod
    def from_json(cls, text: str) -> Results:
        """What `to_json` wrote."""
        results = _of(cls, json.loads(text))
        results.blocks = [_of(Comparison, item) for item in results.blocks]
        results.networks = [_of(Comparison, item) for item in results.networks]
        for item in results.blocks + results.networks:
            item.standard = _of(Timed, item.standard)
            item.separable = _of(Timed, item.separable)
        results.packing = [_of(Packing, item) for item in results.packing]
        results.compiling = [_of(Packing, item) for item in results.compiling]
        results.steps = [_of(Step, item) for item in results.steps]
        results.layers = [_of(Step, item) for item in results.layers]
        results.whole = results.whole and _of(Timed, results.whole)
        return results


def _of(kind: type[T], data: Any) -> T:
    """A dataclass from a dict that holds its fields, perhaps among other things."""
    return kind(**{item.name: data[item.name] for item in fields(kind)})  # type: ignore[arg-type]
