"""The progress line and its bar, and text that is safe on a terminal."""

from __future__ import annotations

import io
import re

import pytest

from dsconv.text.terminal import Progress, ProgressLine, printable


def test_printable() -> None:
    assert printable("größe 猫 a\\b.png") == "größe 猫 a\\b.png"
    assert printable("a\x1b[2J\n\t\x9b\u202e\udc80") == r"a\x1b[2J\n\t\x9b\u202e\udc80"
    assert printable("größe 猫", "latin-1") == r"größe \u732b"
    assert printable("größe", "ascii") == r"gr\xf6\xdfe"


@pytest.mark.parametrize("columns", [1, 12, 30, 80, 500])
def test_width_of_the_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for done in (0, 5, 10):
        with Progress("a label", 10, show=True) as bar:
            bar.erase()
            capsys.readouterr()
            bar.update(done)
            line = capsys.readouterr().err.removeprefix("\r")
            assert len(line) < max(columns, 2)
            if columns >= 30:
                ticks = re.fullmatch(rf"a label \[(#*)(\.*)\] {done}/10", line)
                assert ticks is not None
                assert len(ticks[1]) == len(ticks[1] + ticks[2]) * done // 10


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_is_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    for stream, seen in ((Terminal(), "\rblock 1: \rwhole    \r     \r"), (io.StringIO(), "")):
        monkeypatch.setattr("sys.stderr", stream)
        with ProgressLine() as line:
            line.write("block 1: compiling")
            line.write("whole")
        line.erase()  # nothing is there any more
        assert stream.getvalue() == seen


def test_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, show, shown in (
        (io.StringIO(), None, False),
        (io.StringIO(), True, True),
        (Terminal(), None, True),
        (Terminal(), False, False),
        (None, True, False),  # a program without a console
    ):
        monkeypatch.setattr("sys.stderr", stream)
        with Progress("label", 3, show=show) as bar:
            bar.update(1)
        assert stream is None or bool(stream.getvalue()) == shown


def test_bytes_and_units(capsys: pytest.CaptureFixture[str]) -> None:
    for unit, numbers in (("MB", "0.0/14.2 MB"), ("files", "0/14212972 files"), ("", "0/14212972")):
        with Progress("\x1b[2J", 14_212_972, unit, show=True):
            pass
        assert re.match(rf"\r\\x1b\[2J \[\.+\] {numbers} *\r", capsys.readouterr().err)
