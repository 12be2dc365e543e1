"""The files that fuzzing begins with: sound ones, and those that were kept because they found something.

A kept file is one that once made a reader fail, or that reaches a line of a reader that few reach.
They lie in seeds/FORMAT/. There are none of the format .dsconv, because each of its versions
refuses the files of the others; its sound files are written anew.
"""

from __future__ import annotations

from pathlib import Path

from file_formats import FORMATS

FOLDER = Path(__file__).with_name("seeds")


def kept(name: str) -> list[bytes]:
    """Return the kept files of a format."""
    folder = FOLDER / name
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path.read_bytes() for path in paths]


def all_of(name: str) -> list[bytes]:
    """Return the sound and the kept files of a format."""
    return [*FORMATS[name].sound(), *kept(name)]
