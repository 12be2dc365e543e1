"""Profile: the time of a model layer by layer, beside the peak of the processor."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from dsconv.text.peak import percent_of_peak, with_footnote
from dsconv.text.tables import markdown_table, text_table

_HEADER = ("layer", "mult-adds", "us", "GFLOP/s", "% of peak", "% of time", "kind")
_NUMBERS = (1, 2, 3, 4, 5)


@dataclass
class StepProfile:
    """One layer of the optimised graph: its cost for one image, its seconds in each repeat."""

    name: str
    kind: str
    mult_adds: int
    parameters: int  # kernel weights
    times: list[float]


@dataclass
class Profile:
    """The result of `Model.profile`; `str` and `to_markdown` show it as a table of medians.

    Attributes
    ----------
    steps : list of StepProfile
        In the order in which they ran.
    total : list of float
        Seconds of each whole call.
    peak : float
        GFLOP/s of all threads: the best sample of independent multiply-adds in registers on one
        thread, taken between the repeats, times the threads.
    arena_bytes : int
        Memory of the activations between the layers, for as many images as are run at once.
    images : int
        In each call.
    """

    steps: list[StepProfile]
    total: list[float]
    peak: float
    arena_bytes: int
    images: int

    def __str__(self) -> str:
        table = text_table(_HEADER, self._rows(), right=_NUMBERS)
        return with_footnote(f"{table}\n{self._footer()}")

    def to_markdown(self) -> str:
        table = markdown_table(_HEADER, self._rows(), right=_NUMBERS)
        return with_footnote(f"{table}\n\n{self._footer()}")

    def _rows(self) -> list[list[str]]:
        total = median(self.total)
        rows = []
        for step in self.steps:
            seconds = median(step.times)
            rate = 2e-9 * step.mult_adds * self.images / max(seconds, 1e-12)
            rows.append(
                [
                    step.name,
                    f"{step.mult_adds * self.images:,}",
                    f"{1e6 * seconds:.1f}",
                    f"{rate:.1f}",
                    percent_of_peak(100 * rate / self.peak),
                    f"{100 * seconds / total:.1f}",
                    step.kind,
                ]
            )
        return rows

    def _footer(self) -> str:
        total, work = median(self.total), sum(step.mult_adds for step in self.steps) * self.images
        rate = 2e-9 * work / total
        return (
            f"whole call: {1e3 * total:.3f} ms (median of {len(self.total)}, {self.images} images), "
            f"{work:,} mult-adds, {rate:.1f} GFLOP/s, {percent_of_peak(100 * rate / self.peak)} % of the peak "
            f"{self.peak:.1f}; arena {self.arena_bytes:,} bytes"
        )
