"""A job of the torture: what it tried, where, and how it ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ROOT / "tests" / "helpers"


class Skipped(Exception):
    """Something that a job needs is not there; the message says what."""


class Result(NamedTuple):
    """What a job tried."""

    kind: str
    where: str  # the build, the instruction set, the format of files
    cases: int
    seconds: float
    fault: str = ""  # what went wrong, or empty
    skipped: str = ""  # why it did not run, or empty


def run_python(
    arguments: list[str], environment: Mapping[str, str], limit: float, first: str = ""
) -> tuple[int, str]:
    """Run Python, with `first` in front of the project on its path; return status and output.

    A process that has not ended after `limit` seconds is ended, and its status is that of a signal.
    """
    path = os.pathsep.join(filter(None, [first, str(ROOT), str(HELPERS)]))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-X", "faulthandler", *arguments],
            env=os.environ | {"PYTHONPATH": path, "CI": "1"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=limit,
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        text = output.decode(errors="replace") if isinstance(output, bytes) else output
        return -9, f"{text}\nit did not end within {limit:.0f} seconds"
    return done.returncode, done.stdout


def search(
    kind: str,
    where: str,
    arguments: list[str],
    seconds: float,
    environment: Mapping[str, str] | None = None,
    first: str = "",
) -> Result:
    """Run a script of this folder that tries cases for some seconds; its last line is their number."""
    start = time.monotonic()
    script, *rest = arguments
    command = ["-m", f"tools.torture.{script}", f"{seconds:.1f}", *rest]
    status, output = run_python(command, environment or {}, 3 * seconds + 300, first)
    taken = time.monotonic() - start
    last = output.strip().rpartition("\n")[2]
    if status != 0 or not last.isdigit():
        return Result(kind, where, 0, taken, f"status {status}\n{output[-6000:]}")
    return Result(kind, where, int(last), taken)
