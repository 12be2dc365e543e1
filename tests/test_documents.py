"""The documents: every Python block runs, every link and every file that they name exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = {str(p.relative_to(ROOT)): p for p in [ROOT / "README.md", *ROOT.glob("docs/*.md")]}

# Files that a reader has and a checkout has not, by their places in the folder of shared files.
STAND_INS = {
    "mobilenet_v2-b0353104.pth": "weights/mobilenet_v2-b0353104.pth",
    "photo.jpg": "images/burger.jpg",
}


def blocks(document: str) -> list[tuple[str, str]]:
    """Return the (language, text) of each fenced block."""
    text = DOCUMENTS[document].read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def python_of(document: str) -> list[str]:
    return [text for language, text in blocks(document) if language == "python"]


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if python_of(document)])
def test_python_blocks_run(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Run the blocks of a document one after the other; they share their names."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in python_of(document):
        for name in STAND_INS.keys() - {path.name for path in tmp_path.iterdir()}:
            if name in code:
                Path(name).symlink_to(request.getfixturevalue("shared") / STAND_INS[name])
        exec(compile(code, document, "exec"), names)


def test_the_readme_and_the_manual_have_examples() -> None:
    assert python_of("README.md") and len(python_of("docs/manual.md")) >= 3


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files(document: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", DOCUMENTS[document].read_text(encoding="utf-8"))
    ours = [link for link in links if "://" not in link]
    assert ours
    missing = [link for link in ours if not (DOCUMENTS[document].parent / link).exists()]
    assert not missing


def test_the_readme_names_files_that_exist() -> None:
    text = DOCUMENTS["README.md"].read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:dsconv|src|docs|benchmarks)/[\w./-]*\w\.\w+", text))
    assert len(named) > 8
    missing = [name for name in sorted(named) if not (ROOT / name).exists()]
    assert not missing


@pytest.mark.parametrize("package", ["dsconv", "src"])
def test_the_readme_names_every_folder(package: str) -> None:
    house = next(text for _, text in blocks("README.md") if text.startswith("dsconv/\n"))
    part = re.search(rf"^{package}/\n((?:  .*\n)+)", house, re.MULTILINE)
    assert part is not None
    named = {word for line in part[1].splitlines() for word in re.findall(r"(\w+)/", line[:34])}
    folders = {
        path.name
        for path in (ROOT / package).iterdir()
        if [*path.glob("*.py"), *path.glob("*.pxi")]
    }
    assert named == folders
