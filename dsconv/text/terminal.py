"""A progress bar and safe text on a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

_INTERVAL = 0.1  # seconds between two drawings
_WIDEST = 30  # characters of the bar


class Progress:
    """A bar on stderr, in the last line: `label [#####.....] 12.3/14.2 MB`.

    It is erased at the end, or before anything else is printed (`erase`).

    Parameters
    ----------
    label
        What goes on.
    total
        The number at which it is done, at least 1.
    unit
        "MB" divides numbers by 1e6; otherwise they are counts.
    show
        False: nothing is printed. None: only where stderr is a terminal.
    """

    def __init__(self, label: str, total: int, unit: str = "", show: bool | None = None) -> None:
        self._label, self._total, self._unit = printable(label), total, unit
        self._stream: TextIO | None = sys.stderr
        if self._stream is None or not (self._stream.isatty() if show is None else show):
            self._stream = None
        self._drawn = 0  # characters in the line
        self._time = -_INTERVAL

    def __enter__(self) -> Progress:
        self.update(0)
        return self

    def __exit__(self, *_: object) -> None:
        self.erase()

    def update(self, done: int) -> None:
        """Draw the bar for `done` of the total, unless it was drawn a moment ago."""
        now = time.monotonic()
        if self._stream is None or now - self._time < _INTERVAL:
            return
        self._time = now
        line = self._line(done, shutil.get_terminal_size().columns - 1)
        self._stream.write("\r" + line.ljust(self._drawn))
        self._stream.flush()
        self._drawn = len(line)

    def erase(self) -> None:
        """Leave an empty line; the next `update` draws the bar again."""
        if self._stream is not None and self._drawn:
            self._stream.write("\r" + " " * self._drawn + "\r")
            self._stream.flush()
            self._drawn = 0
            self._time = -_INTERVAL

    def _line(self, done: int, width: int) -> str:
        if self._unit == "MB":
            numbers = f"{done / 1e6:.1f}/{self._total / 1e6:.1f} MB"
        else:
            numbers = f"{done}/{self._total}{self._unit and ' ' + self._unit}"
        room = min(_WIDEST, width - len(self._label) - len(numbers) - 4)
        if room < 5:
            return numbers[: max(width, 0)]
        full = room * done // self._total
        return f"{self._label} [{'#' * full}{'.' * (room - full)}] {numbers}"


def printable(text: str, encoding: str = "utf-8") -> str:
    """Text of unknown origin in one line that does nothing to a terminal.

    Control characters, line ends, marks of writing direction, bytes of a file name that are no
    text, and what the encoding lacks become escapes such as \\x1b.
    """
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return safe.encode(encoding, "backslashreplace").decode(encoding)
