"""The tool that tries to break the kernels and the readers: its kept files, and what it reports."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from file_formats import FORMATS

ROOT = Path(__file__).parents[2]
NEEDS = {"keras": "h5py", "onnx": "onnx"}


@pytest.fixture(autouse=True)
def tools_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])


@pytest.mark.parametrize("name", FORMATS)
def test_sound_and_kept_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    from tools.torture.fuzz import where_it_ends
    from tools.torture.seeds import all_of

    path = tmp_path / FORMATS[name].name
    for i, data in enumerate(all_of(name)):
        path.write_bytes(data)
        end = where_it_ends(name, path)
        assert end == "read" or i >= len(FORMATS[name].sound()), end


def test_kept_files_are_of_known_formats() -> None:
    from tools.torture.seeds import FOLDER

    assert {path.name for path in FOLDER.iterdir()} <= set(FORMATS) - {"dsconv"}


def test_fuzzing_keeps_the_files_that_reach_new_lines(tmp_path: Path) -> None:
    from tools.torture.fuzz import search, where_it_ends

    kept = tmp_path / "kept"
    assert search(0.5, 1, "json", tmp_path, kept) > 2
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    ends = [where_it_ends("json", path) for path in kept.iterdir()]
    assert ends and len(set(ends)) == len(ends)


def test_a_search_that_dies_is_a_fault(tmp_path: Path) -> None:
    from tools.torture.jobs import search

    result = search("damaged files", "json", ["fuzz", "1", "json", str(tmp_path / "none")], 0.1)
    assert result.cases == 0 and "FileNotFoundError" in result.fault


@pytest.mark.parametrize(
    ("code", "status", "text"),
    [
        ("import os; os.abort()", -6, "Fatal Python error"),
        ("print('out'); raise SystemExit(3)", 3, "out"),
        ("print('before', flush=True)\nwhile True: pass", -9, "it did not end within 2 seconds"),
    ],
)
def test_how_a_process_ends(code: str, status: int, text: str) -> None:
    from tools.torture.jobs import run_python

    ended, output = run_python(["-c", code], {}, 2)
    assert ended == status and text in output


def test_a_compiler_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.torture.builds import BUILDS, Builder
    from tools.torture.jobs import Skipped

    monkeypatch.setenv("PATH", str(tmp_path))
    for name in BUILDS:
        with pytest.raises(Skipped, match="is not installed"):
            Builder(tmp_path, "").get(name)


def test_time_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.torture.__main__ import AT_LEAST, AT_ONCE, Clock

    clock = Clock(minutes=10)
    clock.waiting = 3
    first, second = clock.share(), clock.share()
    assert 0.3 * 600 * AT_ONCE < first <= 200 * AT_ONCE < second and clock.waiting == 1
    assert Clock(minutes=0).share() == AT_LEAST
