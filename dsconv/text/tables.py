"""Tables of strings as plain text and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 120  # characters in a line of text, unless the other columns leave too few for the last
NARROWEST = 40  # characters of the last column


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()
) -> str:
    """Aligned columns under a header and a rule.

    The columns numbered in `right` are aligned to the right; the last column wraps.
    """
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns[:-1]]
    room = max(WIDTH - sum(widths) - 2 * len(widths), NARROWEST)
    lines = []
    for *cells, last in (header, *rows):
        aligned = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        start = "  ".join([*aligned, ""])
        for text in textwrap.wrap(last, room) or [""]:
            lines.append((start + text).rstrip())
            start = " " * len(start)
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()
) -> str:
    """A Markdown table; the columns numbered in `right` are aligned to the right."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = "|" + "|".join("---:" if i in right else "---" for i in range(len(header))) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])
