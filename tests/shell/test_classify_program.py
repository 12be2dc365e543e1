"""`dsconv classify` as a program of its own: exit status, encodings, the bar on a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from picture_files import network_and_pictures
from processes import LIMIT

import dsconv


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return network_and_pictures(tmp_path_factory.mktemp("files"))


def program(
    *arguments: str, folder: Path, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    path = os.pathsep.join([str(Path(dsconv.__file__).parents[1]), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", "dsconv", "classify", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        timeout=LIMIT,
    )


def test_exit_status(files: Path) -> None:
    options = ("--weights", "network.npz", "--resolution", "32", "--top", "1")
    done = program("one.png", *options, folder=files)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"one.png ")
    done = program("text.png", "one.png", *options, folder=files)
    assert done.returncode == 1
    assert done.stdout.startswith(b"one.png ") and done.stderr.startswith(b"dsconv: text.png: ")
    done = program(*options, folder=files)
    assert done.returncode == 2 and b"required: PICTURE" in done.stderr


def test_an_encoding_that_lacks_letters(files: Path) -> None:
    (files / "größe.png").write_bytes((files / "one.png").read_bytes())
    options = ("--weights", "network.npz", "--resolution", "32", "--top", "1")
    for form in ((), ("--csv",)):
        done = program("größe.png", *options, *form, folder=files, PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (0, b"")
        assert rb"gr\xf6\xdfe.png" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("pictures", [("one.png",), ("one.png", "text.png", "two.png")])
def test_bar_on_a_terminal(files: Path, pictures: tuple[str, ...]) -> None:
    """Check the bar for several pictures; it is erased before anything else comes to stderr."""
    import pty

    command = [sys.executable, "-m", "dsconv", "classify", *pictures, "--json"]
    command += ["--weights", "network.npz", "--resolution", "32"]
    path = os.pathsep.join([str(Path(dsconv.__file__).parents[1]), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "60"}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, cwd=files, env=environment, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        assert len(json.loads(process.stdout.read())) == len(pictures)
        assert process.wait(LIMIT) == (1 if "text.png" in pictures else 0)
    seen = b""
    while chunk := _read(ours):
        seen += chunk
    os.close(ours)
    if len(pictures) == 1:
        assert seen == b""
        return
    assert seen.startswith(b"\rclassify [....") and b"] 0/3" in seen
    report, rest = seen.split(b"\r\n", 1)
    assert re.search(rb"\r +\rdsconv: text\.png: [^\r]*$", report)
    assert b"] 2/3" in rest and re.search(rb"\r +\r$", rest)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux: the other end is closed
        return b""
