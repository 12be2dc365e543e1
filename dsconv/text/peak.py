"""Marks on figures above 100 % of the FMA peak, and the footnote that explains them."""

from __future__ import annotations

import re

FOOTNOTE = """\
* This is above the FMA peak. Winograd's algorithm multiplies less than the mult-adds count;
  without it this cannot be: the clock moved between the samples of the peak, or the time is too
  short to measure."""


def marked(figure: str, percent: float) -> str:
    """Return `figure`, with a mark if it stands for more than 100.0 % of the peak."""
    return figure + "*" if round(percent, 1) > 100 else figure


def percent_of_peak(percent: float) -> str:
    """Return a percentage of the peak as text, marked if it is above 100.0."""
    return marked(f"{percent:.1f}", percent)


def with_footnote(text: str) -> str:
    """Return `text` and, if it has a marked figure, an empty line and the footnote."""
    return f"{text}\n\n{FOOTNOTE}" if re.search(r"\d\*", text) else text
