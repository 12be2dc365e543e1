"""Compare every published figure with the exact count of its network, and name the rule."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

from dsconv import models
from dsconv.counts.counters import COUNTERS
from dsconv.counts.published import TABLES, TO_HUNDREDS, TO_TENS, UNMATCHED, Figure, Row
from dsconv.graph import Graph
from dsconv.text.tables import markdown_table, text_table

_UNITS = {"M": 10**6, "G": 10**9}
_STEPS = {TO_TENS: 10, TO_HUNDREDS: 100}  # these are rounded more coarsely than they are printed


class Comparison(NamedTuple):
    """One published figure beside the count that it belongs to."""

    source: str
    network: str
    model: str
    arguments: Mapping[str, Any]
    quantity: str  # "mult-adds" or "parameters"
    published: str  # with its unit
    exact: int  # the exact mult-adds, or the number of parameters that the figure is about
    counted: int  # by the counter of the rule
    rule: str
    reproduced: bool  # the rule gives the published figure, digit for digit
    note: str


class Table:
    """Published figures beside exact counts: ``print(dsconv.table())``.

    Attributes
    ----------
    rows
        The comparisons, in the order of the sources.
    """

    def __init__(self, rows: tuple[Comparison, ...]) -> None:
        self.rows = rows

    def __str__(self) -> str:
        return self._rendered("{}", text_table)

    __repr__ = __str__

    def to_markdown(self) -> str:
        """Return a heading and a table in Markdown for each source."""
        return self._rendered("### {}", markdown_table)

    def to_json(self) -> str:
        """Return the rows as JSON: a list of objects with the fields of `Comparison`."""
        return json.dumps([row._asdict() for row in self.rows], indent=1)

    def _rendered(self, heading: str, table_text: Callable[..., str]) -> str:
        tables: dict[str, list[tuple[str, ...]]] = {}
        for row in self.rows:
            tables.setdefault(row.source, []).append(cells(row))
        return "\n\n".join(
            f"{heading.format(source)}\n\n{table_text(COLUMNS, rows, right=(1, 2))}"
            for source, rows in tables.items()
        )


COLUMNS = ("network", "published", "exact", "rule")


def cells(row: Comparison) -> tuple[str, ...]:
    """Return a comparison as the cells under `COLUMNS`."""
    rule = f"{row.rule}; {row.note}" if row.note else row.rule
    return row.network, f"{row.published} {row.quantity}", f"{row.exact:,}", rule


def table() -> Table:
    """Compare every published figure of the networks with its exact count.

    Returns
    -------
    Table
        `str` for text, `.to_markdown()`, `.to_json()`, `.rows`.
    """
    build = cache(lambda model, arguments: models.get(model, **dict(arguments)))
    return Table(
        tuple(
            compare(build(row.model, tuple(row.arguments.items())), source, row, figure)
            for source, rows in TABLES.items()
            for row in rows
            for figure in row.figures
        )
    )


def compare(graph: Graph, source: str, row: Row, figure: Figure) -> Comparison:
    """Compare one printed figure with the count of its graph."""
    counter = COUNTERS[figure.counter]
    part = [n for n in graph.nodes if any(fnmatchcase(n, pattern) for pattern in row.layers)]
    counted = counter.function(graph, part)
    exact = COUNTERS["exact"].function(graph, part) if counter.quantity == "mult-adds" else counted
    if figure.unit == "%":
        ratio = Fraction(100 * counted, counter.function(graph, list(graph.nodes)))
    else:
        ratio = Fraction(counted, _UNITS[figure.unit])
    return Comparison(
        source,
        row.network,
        row.model,
        row.arguments,
        counter.quantity,
        f"{figure.printed} {figure.unit}",
        exact,
        counted,
        _rule(figure, exact, counted),
        figure.rounding != UNMATCHED and rounds_to(ratio, figure.printed, figure.rounding),
        figure.note,
    )


def rounds_to(value: Fraction, printed: str, rounding: str) -> bool:
    """Tell whether `value`, rounded or truncated to the digits of `printed`, is `printed`."""
    step = Fraction(_STEPS.get(rounding, 1), 10 ** len(printed.partition(".")[2]))
    half = 0 if rounding == "truncated" else Fraction(1, 2)
    return (value / step + half) // 1 == Fraction(printed) / step


def _rule(figure: Figure, exact: int, counted: int) -> str:
    """Return the rounding, after the counter if that is not the exact one."""
    if figure.counter == "exact":
        return figure.rounding
    number = f" ({counted:,})" if counted != exact else ""
    return f"{figure.counter}{number}, {figure.rounding}"
