"""Tables for a terminal: columns in groups, texts to the left, numbers to the right."""

from __future__ import annotations

from collections.abc import Sequence

Row = Sequence[str]


def table(
    groups: Sequence[tuple[str, Sequence[str]]], parts: Sequence[Sequence[Row]], texts: int = 1
) -> str:
    """Rows under the names of their columns.

    Parameters
    ----------
    groups
        Title (it may be empty) and column names of each group; groups stand further apart.
    parts
        Rows, with a rule above each part; empty parts are left out.
    texts
        So many columns are aligned to the left, the others to the right.
    """
    names = [name for _, group in groups for name in group]
    rows = [names, *(row for part in parts for row in part)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    slices: list[slice] = []
    for _, group in groups:
        start = slices[-1].stop if slices else 0
        slices.append(slice(start, start + len(group)))

    def line(row: Row) -> str:
        cells = [
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(" ".join(cells[at]) for at in slices).rstrip()

    titles = [
        title.center(sum(widths[at]) + len(widths[at]) - 1)
        for (title, _), at in zip(groups, slices, strict=True)
    ]
    lines = ["  ".join(titles).rstrip(), line(names)]
    for part in filter(None, parts):
        lines += ["-" * max(len(line(row)) for row in rows), *map(line, part)]
    return "\n".join(filter(None, lines))


def plain(names: Row, *parts: Sequence[Row], texts: int = 1) -> str:
    """A table whose columns are not grouped."""
    return table([("", [name]) for name in names], parts, texts)
