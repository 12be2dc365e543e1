"""Running shell commands in this process, and what goes wrong with them."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from dsconv.shell.main import main


class Result(NamedTuple):
    code: int
    out: str
    err: str


def run_command(capsys: pytest.CaptureFixture[str], *arguments: str) -> Result:
    try:
        code = main(arguments)
    except SystemExit as exit:  # of argparse
        code = exit.code  # type: ignore[assignment]
    return Result(code, *capsys.readouterr())


def assert_refused(result: Result, message: str) -> None:
    """Exit code 1, nothing on stdout, and one line that says what was wrong."""
    assert result.code == 1
    assert result.out == ""
    assert re.fullmatch(rf"dsconv: [^\n]*{message}[^\n]*\n", result.err), result.err


def assert_usage(result: Result, message: str) -> None:
    """Exit code 2, the usage on stderr, and no name that only the program's source knows."""
    assert result.code == 2
    assert result.out == ""
    assert re.search(f"dsconv.*error: .*{message}", result.err), result.err
    assert "_positive" not in result.err
