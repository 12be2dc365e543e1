"""The progress line, and text that is safe to print on a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

_INTERVAL = 0.1  # seconds between two drawings of a bar
_WIDEST = 30  # characters of a bar


class ProgressLine:
    """A last line on stderr that is written over and over, and erased at the end of a `with`.

    Parameters
    ----------
    show
        False: nothing is printed. None: only where stderr is a terminal.
    """

    def __init__(self, show: bool | None = None) -> None:
        self._stream: TextIO | None = sys.stderr
        if self._stream is None or not (self._stream.isatty() if show is None else show):
            self._stream = None
        self._drawn = 0  # characters in the line

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.erase()

    def write(self, text: str) -> None:
        """Replace the line by `text`, as far as that fits into the width of the terminal."""
        if self._stream is not None:
            text = text[: shutil.get_terminal_size().columns - 1]
            self._stream.write("\r" + text.ljust(self._drawn))
            self._stream.flush()
            self._drawn = len(text)

    def erase(self) -> None:
        """Leave an empty line, as is due before anything else is printed."""
        if self._stream is not None and self._drawn:
            self._stream.write("\r" + " " * self._drawn + "\r")
            self._stream.flush()
            self._drawn = 0


class Progress(ProgressLine):
    """A progress line with a bar: `label [#####.....] 12.3/14.2 MB`.

    Parameters
    ----------
    label
        Name of the work.
    total
        The number at which it is done, at least 1.
    unit
        "MB" divides numbers by 1e6; otherwise they are counts.
    show
        See `ProgressLine`.
    """

    def __init__(self, label: str, total: int, unit: str = "", show: bool | None = None) -> None:
        super().__init__(show)
        self._label, self._total, self._unit = printable(label), total, unit
        self._time = -_INTERVAL

    def __enter__(self) -> Progress:
        self.update(0)
        return self

    def update(self, done: int) -> None:
        """Draw the bar for `done` of the total, unless it was drawn a moment ago."""
        now = time.monotonic()
        if self._drawn == 0 or now - self._time >= _INTERVAL:
            self._time = now
            self.write(self._text(done, shutil.get_terminal_size().columns - 1))

    def _text(self, done: int, width: int) -> str:
        if self._unit == "MB":
            numbers = f"{done / 1e6:.1f}/{self._total / 1e6:.1f} MB"
        else:
            numbers = f"{done}/{self._total}{self._unit and ' ' + self._unit}"
        room = min(_WIDEST, width - len(self._label) - len(numbers) - 4)
        if room < 5:
            return numbers
        full = room * done // self._total
        return f"{self._label} [{'#' * full}{'.' * (room - full)}] {numbers}"


def printable(text: str, encoding: str = "utf-8") -> str:
    r"""Return text of unknown origin as one line that does nothing to a terminal.

    Control characters, line ends, marks of writing direction, bytes of a file name that are no
    text, and characters that the encoding lacks become escapes such as \x1b.
    """
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return safe.encode(encoding, "backslashreplace").decode(encoding)
