"""Tables of strings as plain text and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import accumulate

WIDTH = 120  # characters in a line of text, unless the other columns leave too few for the last
NARROWEST = 40  # characters of the last column

Row = Sequence[str]


def text_table(
    header: Row,
    *parts: Sequence[Row],
    right: Sequence[int] = (),
    titles: Sequence[tuple[str, int]] = (),
) -> str:
    """Return rows in aligned columns under a header; the last column wraps.

    Parameters
    ----------
    header
        Names of the columns.
    parts
        Groups of rows. A rule stands above each of them; groups without rows are left out.
    right
        Indices of the columns that are aligned to the right.
    titles
        Titles above the header, each with the number of its columns, which stand closer together.
    """
    rows = [header, *(row for part in parts for row in part)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ends = list(accumulate(count for _, count in titles)) or range(len(widths) + 1)
    gaps = [2 if column in ends else 1 for column in range(1, len(widths))] + [0]
    widths[-1] = min(widths[-1], max(WIDTH - sum(widths[:-1]) - sum(gaps), NARROWEST))

    def lines(row: Row) -> Iterator[str]:
        *cells, last = row
        for wrapped in textwrap.wrap(last, widths[-1], break_on_hyphens=False) or [""]:
            aligned = (
                (cell.rjust(width) if column in right else cell.ljust(width)) + " " * gap
                for column, (cell, width, gap) in enumerate(
                    zip([*cells, wrapped], widths, gaps, strict=True)
                )
            )
            yield "".join(aligned).rstrip()
            cells = [""] * len(cells)

    rule = "-" * max(len(line) for row in rows for line in lines(row))
    above = "  ".join(
        title.center(sum(widths[end - count : end]) + count - 1)
        for (title, count), end in zip(titles, ends, strict=False)
    )
    text = [above.rstrip()] if titles else []
    text += lines(header)
    for part in filter(None, parts):
        text += [rule, *(line for row in part for line in lines(row))]
    return "\n".join(text)


def markdown_table(header: Row, *parts: Sequence[Row], right: Sequence[int] = ()) -> str:
    """Return a Markdown table; arguments as in `text_table`, without rules between the parts."""

    def line(cells: Row) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = "|" + "|".join("---:" if i in right else "---" for i in range(len(header))) + "|"
    return "\n".join([line(header), rule, *(line(row) for part in parts for row in part)])
