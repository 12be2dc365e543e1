"""Files that are written: whole or not at all, with their old mode, never over a special one."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import LIMIT

import dsconv
from dsconv.files.writing import replacing
from dsconv.graph import Graph

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes, links and locks of POSIX")
SUFFIXES = ("dsconv", "npz", "safetensors", "onnx")


def model() -> Any:
    graph = Graph("small")
    graph.output(graph.conv2d(graph.input((4, 4, 3)), 2, 1))
    return graph.compile()


@pytest.fixture(params=SUFFIXES)
def save(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    """Return a function that saves a model at a path with this suffix, and returns the path."""
    if request.param == "onnx":
        pytest.importorskip("onnx")

    def write(path: Path) -> Path:
        path = path.with_suffix(f".{request.param}")
        dsconv.save(model(), path)
        return path

    write.suffix = f".{request.param}"  # type: ignore[attr-defined]
    return write


@posix
def test_special_files_stay(tmp_path: Path, save: Any) -> None:
    fifo = tmp_path / f"fifo{save.suffix}"
    os.mkfifo(fifo)
    link = tmp_path / f"link{save.suffix}"
    link.symlink_to(fifo)
    for path in (fifo, link):
        with pytest.raises(ValueError, match=f"{path.name}: must be a regular file, got a FIFO"):
            save(path)
    assert stat.S_ISFIFO(fifo.stat().st_mode) and link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [fifo, link]


def test_folders_stay(tmp_path: Path, save: Any) -> None:
    (tmp_path / f"folder{save.suffix}").mkdir()
    with pytest.raises(IsADirectoryError):
        save(tmp_path / "folder")
    assert len(list(tmp_path.iterdir())) == 1


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444, 0o755])
def test_the_mode_stays(tmp_path: Path, save: Any, mode: int) -> None:
    path = save(tmp_path / "model")
    path.chmod(mode)
    save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_a_new_file_has_the_mode_of_the_umask(tmp_path: Path, save: Any) -> None:
    before = os.umask(0o027)
    try:
        assert stat.S_IMODE(save(tmp_path / "model").stat().st_mode) == 0o640
    finally:
        os.umask(before)


@posix
def test_a_private_file_is_private_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with replacing(path):
        (part,) = tmp_path.glob(".file.*.part")
        assert stat.S_IMODE(part.stat().st_mode) == 0o600


@posix
def test_the_file_behind_a_link_is_replaced(tmp_path: Path, save: Any) -> None:
    (tmp_path / "folder").mkdir()
    target = save(tmp_path / "folder" / "target")
    link = tmp_path / f"link{save.suffix}"
    link.symlink_to(target)
    before = target.stat().st_ino
    save(link)
    assert link.is_symlink() and target.stat().st_ino != before
    assert list(tmp_path.glob("**/.*")) == []


def test_an_exception_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


# Parts that a killed process leaves

WRITES = """
import sys
from dsconv.files.writing import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"part")
    file.flush()
    print("there", flush=True)
    sys.stdin.read()
"""


def writer(path: Path) -> subprocess.Popen[str]:
    """Start a process that has written a part of a file, and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "there\n"
    return process


@posix
def test_parts_of_dead_processes_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    others = [tmp_path / name for name in (".file.00000000.part.txt", ".other.00000000.part")]
    for other in others:
        other.write_bytes(b"of somebody else")
    for _ in range(2):
        dead = writer(path)
        dead.kill()
        dead.communicate(timeout=LIMIT)
    assert len(list(tmp_path.glob(".file.*.part"))) == 1  # the second one removed the first one's
    with replacing(path) as file:
        file.write(b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([*others, path])
    assert path.read_bytes() == b"whole"


@posix
def test_parts_of_living_processes_stay(tmp_path: Path) -> None:
    path = tmp_path / "file"
    living = writer(path)
    with replacing(path) as file:
        file.write(b"first")
    assert len(list(tmp_path.glob(".file.*.part"))) == 1
    living.communicate("", timeout=LIMIT)
    assert living.returncode == 0
    assert path.read_bytes() == b"part" and list(tmp_path.iterdir()) == [path]


@posix
def test_a_file_is_whole_whenever_its_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    arrays = {"a": np.ones(1 << 18, np.float32)}
    code = (
        "import sys, numpy as np, dsconv\n"
        "while True: dsconv.save({'a': np.ones(1 << 18, np.float32)}, sys.argv[1])"
    )
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, str(path)])
        end = time.monotonic() + LIMIT
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT)
        np.testing.assert_array_equal(dsconv.weights.read(path)["a"], arrays["a"])
    dsconv.save(arrays, path)
    assert list(tmp_path.iterdir()) == [path]
