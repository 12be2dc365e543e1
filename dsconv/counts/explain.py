"""Why one network has many costs: the ladder of what different counters say of it."""

from __future__ import annotations

import inspect
import json
from typing import Any, NamedTuple

from dsconv import models
from dsconv.counts.counters import COUNTERS
from dsconv.counts.published import TABLES
from dsconv.counts.table import COLUMNS, Comparison, cells, compare
from dsconv.text.tables import markdown_table, text_table


class Rung(NamedTuple):
    """What one counter says."""

    counter: str  # a key of dsconv.counts.counters.COUNTERS
    quantity: str  # "mult-adds" or "parameters"
    value: int
    why: str


class Explanation:
    """The costs of a network by every counter: ``print(dsconv.explain("mobilenet_v2"))``.

    Attributes
    ----------
    name, arguments
        The network and all its arguments, defaults included.
    rungs
        What each counter says, the exact count and the trainable parameters among them. Counters
        that do not differ from those two are left out.
    published
        The figures that papers print for exactly this network.
    """

    def __init__(
        self,
        name: str,
        arguments: dict[str, Any],
        rungs: tuple[Rung, ...],
        published: tuple[Comparison, ...],
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.rungs = rungs
        self.published = published

    def __str__(self) -> str:
        parts = [self._title()]
        for quantity, rows in self._ladders().items():
            parts.append(text_table((quantity, "M", "counter", "what counts"), rows, right=(0, 1)))
        if self.published:
            parts.append(text_table(self._columns(), self._published(), right=(1, 2)))
        return "\n\n".join(parts)

    __repr__ = __str__

    def to_markdown(self) -> str:
        """The ladders and the published figures in Markdown."""
        parts = [f"**{self._title()}**"]
        for quantity, rows in self._ladders().items():
            header = (quantity, "M", "counter", "what counts")
            parts.append(markdown_table(header, rows, right=(0, 1)))
        if self.published:
            parts.append(markdown_table(self._columns(), self._published(), right=(1, 2)))
        return "\n\n".join(parts)

    def to_json(self) -> str:
        """Name, arguments, rungs and published figures as JSON."""
        return json.dumps(
            {
                "name": self.name,
                "arguments": self.arguments,
                "rungs": [rung._asdict() for rung in self.rungs],
                "published": [row._asdict() for row in self.published],
            },
            indent=1,
        )

    def _title(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})"

    def _ladders(self) -> dict[str, list[tuple[str, ...]]]:
        ladders: dict[str, list[tuple[str, ...]]] = {}
        for rung in self.rungs:
            ladders.setdefault(rung.quantity, []).append(
                (f"{rung.value:,}", f"{rung.value / 1e6:.2f}", rung.counter, rung.why)
            )
        return ladders

    @staticmethod
    def _columns() -> tuple[str, ...]:
        return ("printed in", *COLUMNS[1:])

    def _published(self) -> list[tuple[str, ...]]:
        return [(row.source.partition(":")[0], *cells(row)[1:]) for row in self.published]


def explain(name: str, **arguments: Any) -> Explanation:
    """What other counters say a network costs, and why.

    Parameters
    ----------
    name
        One of `dsconv.models.names()`.
    arguments
        The builder's own arguments, e.g. ``alpha=0.5, resolution=160``.

    Returns
    -------
    Explanation
        `str` for text, `.to_markdown()`, `.to_json()`, `.rungs`, `.published`.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, or arguments that the builder refuses.
    """
    graph = models.get(name, **arguments)
    everything = list(graph.nodes)
    counts = {key: counter.function(graph, everything) for key, counter in COUNTERS.items()}
    standard = {"mult-adds": "exact", "parameters": "trainable"}
    rungs = tuple(
        Rung(key, counter.quantity, counts[key], counter.why)
        for key, counter in COUNTERS.items()
        if key == standard[counter.quantity] or counts[key] != counts[standard[counter.quantity]]
    )
    complete = _complete(name, arguments)
    published = tuple(
        compare(graph, source, row, figure)
        for source, rows in TABLES.items()
        for row in rows
        if row.model == name and row.layers == ("*",)
        if _complete(name, row.arguments) == complete
        for figure in row.figures
    )
    return Explanation(name, complete, rungs, published)


def _complete(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the builder's defaults for those that are not given."""
    bound = inspect.signature(getattr(models, name)).bind(**arguments)
    bound.apply_defaults()
    return bound.arguments
