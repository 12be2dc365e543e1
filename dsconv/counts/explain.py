"""Explain why one network has many costs: count it with every counter of `dsconv.counts`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from dsconv import models
from dsconv.counts.counters import COUNTERS
from dsconv.counts.published import TABLES
from dsconv.counts.table import COLUMNS, Comparison, cells, compare
from dsconv.text.tables import markdown_table, text_table

_STANDARD = {"mult-adds": "exact", "parameters": "trainable"}  # the counter of each quantity


class Rung(NamedTuple):
    """The cost of a network by one counter."""

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
        The cost by each counter. Counters that agree with the exact count or with the trainable
        parameters are left out.
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
        return self._rendered("{}", text_table)

    __repr__ = __str__

    def to_markdown(self) -> str:
        """Return the costs and the published figures in Markdown."""
        return self._rendered("**{}**", markdown_table)

    def to_json(self) -> str:
        """Return name, arguments, rungs and published figures as JSON."""
        fields = {
            "name": self.name,
            "arguments": self.arguments,
            "rungs": [rung._asdict() for rung in self.rungs],
            "published": [row._asdict() for row in self.published],
        }
        return json.dumps(fields, indent=1)

    def _rendered(self, heading: str, table_text: Callable[..., str]) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        parts = [heading.format(f"{self.name}({arguments})")]
        for quantity in _STANDARD:
            rows: list[tuple[str, ...]] = [
                (f"{rung.value:,}", f"{rung.value / 1e6:.2f}", rung.counter, rung.why)
                for rung in self.rungs
                if rung.quantity == quantity
            ]
            parts.append(table_text((quantity, "M", "counter", "what counts"), rows, right=(0, 1)))
        if self.published:
            rows = [(row.source.partition(":")[0], *cells(row)[1:]) for row in self.published]
            parts.append(table_text(("printed in", *COLUMNS[1:]), rows, right=(1, 2)))
        return "\n\n".join(parts)


def explain(name: str, **arguments: Any) -> Explanation:
    """Count the cost of a network by every counter, and say why they differ.

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
        If the name is unknown, or the builder refuses the arguments.
    """
    graph = models.get(name, **arguments)
    everything = list(graph.nodes)
    counts = {key: counter.function(graph, everything) for key, counter in COUNTERS.items()}
    rungs = tuple(
        Rung(key, counter.quantity, counts[key], counter.why)
        for key, counter in COUNTERS.items()
        if key == (standard := _STANDARD[counter.quantity]) or counts[key] != counts[standard]
    )
    complete = _with_defaults(name, arguments)
    published = tuple(
        compare(graph, source, row, figure)
        for source, rows in TABLES.items()
        for row in rows
        if row.model == name and row.layers == ("*",)
        if _with_defaults(name, row.arguments) == complete
        for figure in row.figures
    )
    return Explanation(name, complete, rungs, published)


def _with_defaults(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Add the builder's defaults to the given arguments."""
    bound = inspect.signature(getattr(models, name)).bind(**arguments)
    bound.apply_defaults()
    return bound.arguments
