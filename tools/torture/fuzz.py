"""Give a reader damaged files: each is read as it declares, or refused with an error that names it.

    python -m tools.torture.fuzz SECONDS SEED FORMAT FOLDER [KEEP]

A file that makes the reader end at a line where none ended before is damaged further, so the search
goes from line to line. The file at hand lies in FOLDER; if the reader fails, it stays there. With
KEEP, the smallest file of each new line is kept in that folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random

from file_formats import FORMATS

from tools.torture.seeds import all_of

MOST_MEMORY = 6 << 30  # bytes of address space; no small file may need them
LARGEST = 16 << 10  # bytes of a file that is damaged further
LARGEST_KEPT = 2 << 10


def where_it_ends(name: str, path: Path) -> str:
    """Return the lines of dsconv at which the reader refuses the file, or "read"."""
    try:
        FORMATS[name].check(path)
    except (TypeError, ValueError) as error:
        lines = list(lines_of(error))
        if not lines:
            raise
        return " ".join(lines)
    return "read"


def lines_of(error: BaseException | None) -> Iterator[str]:
    """Yield the last line of dsconv that raised an error, and those of the errors behind it."""
    while error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f"{f.filename}:{f.lineno}" for f in frames if "/dsconv/" in f.filename]
        yield from ours[-1:]
        error = error.__context__


def search(seconds: float, seed: int, name: str, folder: Path, keep: Path | None) -> int:
    """Try files for some seconds, and return their number."""
    random, path = Random(seed), folder / FORMATS[name].name
    waiting = all_of(name)
    corpus: list[bytes] = []
    smallest: dict[str, bytes] = {}
    tried, end = 0, time.monotonic() + seconds
    while waiting or time.monotonic() < end:
        data = waiting.pop() if waiting else FORMATS[name].damage(random.choice(corpus), random)
        path.write_bytes(data)
        line = where_it_ends(name, path)
        tried += 1
        if line not in smallest or len(data) < len(smallest[line]):
            smallest[line] = data
            if len(data) <= LARGEST:
                corpus.append(data)
    path.unlink()
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        for data in set(smallest.values()) - set(FORMATS[name].sound()):
            if len(data) <= LARGEST_KEPT:
                (keep / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    return tried


def limit_memory() -> None:
    """Make what takes more than MOST_MEMORY a MemoryError, which no reader may raise."""
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


if __name__ == "__main__":
    seconds, seed, name, folder, *keep = sys.argv[1:]
    limit_memory()
    print(search(float(seconds), int(seed), name, Path(folder), Path(keep[0]) if keep else None))
