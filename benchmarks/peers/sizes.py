"""Count the installed bytes of an engine: its own distribution, and with all that it depends on.

The files that pip wrote count, but no .pyc files, because Python makes these by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from benchmarks.peers.results import OURS


def installed(name: str) -> tuple[int, int]:
    """Return the bytes of a distribution, and those of it and everything that it needs."""
    sizes = {need: _own(need) for need in sorted(needs(name))}
    return sizes[name], sum(sizes.values())


def needs(name: str) -> set[str]:
    """Return the distribution and, step by step, all installed ones that it requires; no extras."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [need for need in _requires(name) if _distribution(need)]
    return found


def _requires(name: str) -> Iterable[str]:
    """Return the normalised names of a distribution's requirements without extras."""
    if name == OURS:
        return ["numpy"]
    here = _distribution(name)
    required = (here.requires or []) if here else []
    return [_name(text) for text in required if "extra ==" not in text]


def _name(requirement: str) -> str:
    """Return the name at the start of a requirement such as "numpy>=1.25; python_version > '3'"."""
    match = re.match(r"[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


def _own(name: str) -> int:
    if name == OURS:  # it may run from its source tree
        spec = find_spec(OURS)
        folder = Path((spec.submodule_search_locations or [""])[0]) if spec else Path()
        return _bytes(folder.rglob("*"))
    here = _distribution(name)
    files = (here.files or []) if here else []
    return _bytes(Path(str(file.locate())) for file in files)


def _bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file() and path.suffix != ".pyc")


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None
