"""The language of docstrings, as far as a program can check it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parent.parent / "tools" / "prose.py"


def test_docstrings_of_functions_begin_with_a_verb() -> None:
    done = subprocess.run([sys.executable, TOOL], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("docstring", "refused"),
    [
        ("Return the sum.", False),
        ("Read, check and return it.", False),
        ("Pass it on.", False),
        ("What it takes.", True),
        ("The sum.", True),
        ("`x` as a float.", True),
        ("Returns the sum.", True),
        ("Aligned columns.", True),
    ],
)
def test_the_first_word(docstring: str, refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TOOL.parent)
    from prose import is_refused

    assert is_refused(docstring, "function") == refused
