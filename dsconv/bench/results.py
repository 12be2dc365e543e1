"""What was measured, as plain data: filled while a benchmark runs, printed and written after it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from statistics import median
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class Timed:
    """Times of one thing.

    Attributes
    ----------
    mult_adds : int
        Multiply-adds of one call, for the whole batch.
    seconds : list of float
        Seconds per call, one for every round.
    """

    mult_adds: int
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Seconds."""
        return median(self.seconds)

    @property
    def minimum(self) -> float:
        """Seconds."""
        return min(self.seconds)

    @property
    def gflops(self) -> float:
        """GFLOP/s = 2 * mult-adds / median time / 1e9."""
        return 2 * self.mult_adds / self.median / 1e9


@dataclass(kw_only=True)
class Step(Timed):
    """One step of a compiled network; mult-adds as in `Timed`."""

    name: str
    kind: str
    parameters: int


@dataclass
class Comparison:
    """A standard convolution (or network) beside its depthwise separable counterpart.

    `predicted` is the ratio separable / standard of the mult-adds.
    """

    name: str
    shape: str
    predicted: float
    standard: Timed
    separable: Timed

    @property
    def ratio_of_medians(self) -> float:
        """Separable / standard time."""
        return self.separable.median / self.standard.median

    @property
    def ratio_of_minima(self) -> float:
        """Separable / standard time."""
        return self.separable.minimum / self.standard.minimum


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
        GFLOP/s of one thread, and how often that was measured: see `dsconv.bench.peak.Peak`.
    comparisons : list of Comparison
        MobileNetV1's blocks, then the whole network.
    packing : list of Packing
    steps, whole
        Of one network alone: its compiled steps in their order, and the whole call.
    by_kind : dict
        Mult-adds (of the whole batch) and weights of that network by kind of layer.
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
    comparisons: list[Comparison] = field(default_factory=list)
    packing: list[Packing] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    whole: Timed | None = None
    by_kind: dict[str, tuple[int, int]] = field(default_factory=dict)
    interrupted: bool = False

    def percent_of_peak(self, timed: Timed) -> float:
        """GFLOP/s at the median time, in per cent of the peak of all threads."""
        return 100 * timed.gflops / (self.peak * self.threads)

    def to_json(self) -> str:
        """Every single time as JSON, with what follows from them beside it; `from_json` reads it."""

        def plain(value: Any) -> Any:
            if isinstance(value, Timed) and value.seconds:
                return asdict(value) | {
                    "median": value.median,
                    "minimum": value.minimum,
                    "gflops": value.gflops,
                    "percent_of_peak": self.percent_of_peak(value),
                }
            if isinstance(value, Comparison) and value.standard.seconds and value.separable.seconds:
                return {name: plain(item) for name, item in vars(value).items()} | {
                    "ratio_of_medians": value.ratio_of_medians,
                    "ratio_of_minima": value.ratio_of_minima,
                }
            return vars(value)

        return json.dumps(plain(self), indent=1, default=plain)

    @classmethod
    def from_json(cls, text: str) -> Results:
        """What `to_json` wrote."""
        results = _of(cls, json.loads(text))
        results.comparisons = [_of(Comparison, item) for item in results.comparisons]
        for comparison in results.comparisons:
            comparison.standard = _of(Timed, comparison.standard)
            comparison.separable = _of(Timed, comparison.separable)
        results.packing = [_of(Packing, item) for item in results.packing]
        results.steps = [_of(Step, item) for item in results.steps]
        results.whole = results.whole and _of(Timed, results.whole)
        results.by_kind = {kind: (a, b) for kind, (a, b) in results.by_kind.items()}
        return results


def _of(kind: type[T], data: Any) -> T:
    """A dataclass from a dict that holds its fields, perhaps among other things."""
    return kind(**{item.name: data[item.name] for item in fields(kind)})  # type: ignore[arg-type]
