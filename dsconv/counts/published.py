"""Read the figures that papers and READMEs print, out of `published.txt`, which says its form.

`dsconv.counts.table` compares each figure with the count of its network.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, NamedTuple

TO_TENS, TO_HUNDREDS = "rounded to tens", "rounded to hundreds"
UNMATCHED = "not reproduced"  # no counter and rounding give the printed figure


class Figure(NamedTuple):
    """One printed number."""

    printed: str
    unit: str  # "M" (10^6), "G" (10^9) or "%" of the whole network
    counter: str  # a key of dsconv.counts.counters.COUNTERS; the nearest one if none matches
    rounding: str  # "rounded", "truncated", TO_TENS, TO_HUNDREDS or UNMATCHED
    note: str


class Row(NamedTuple):
    """A row of a published table: a network, or the layers of it that match `layers`."""

    network: str  # as the source calls it
    model: str  # the builder's name
    arguments: dict[str, Any]
    layers: tuple[str, ...]  # patterns of layer names
    figures: list[Figure]


def _figure(line: str) -> Figure:
    rule, _, note = line.strip().partition("; ")
    number, rounding = rule.split(", ")
    printed, unit, counter = number.split(" ", 2)
    return Figure(printed, unit, counter, rounding, note)


def _row(line: str) -> Row:
    network, builder, layers = (*line.split(" | "), "*")[:3]
    call: Any = ast.parse(builder, mode="eval").body
    arguments = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    return Row(network, call.func.id, arguments, tuple(layers.split()), [])


def _tables(text: str) -> dict[str, list[Row]]:
    tables: dict[str, list[Row]] = {}
    rows: list[Row] = []
    for line in text.splitlines():
        if line.startswith("== "):
            rows = tables[line[3:]] = []
        elif line.startswith(" "):
            rows[-1].figures.append(_figure(line))
        elif line and not line.startswith("#"):
            rows.append(_row(line))
    return tables


TABLES = _tables(Path(__file__).with_suffix(".txt").read_text("utf-8"))
