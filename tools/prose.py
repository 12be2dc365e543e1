"""List docstrings that do not begin with a verb, and lines of prose that are too long.

    python tools/prose.py [FOLDER ...]

The docstring of a function must begin with a verb in the imperative ("Return", "Check"). No list
of words can tell every verb, so this refuses the words that are surely none: articles, pronouns,
prepositions, some nouns and adjectives, and words that end in -s, -ed or -ing. Docstrings of
classes and modules may begin with a noun. The exit status is 1 if a docstring of a function is
refused.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("dsconv", "src", "benchmarks", "tools", "tests")
ENDINGS = {".py", ".pyx", ".pxi", ".h"}
LONGEST = 100  # characters of a line

RIDDLES = set("What Whether How Of For Where If Like As Why Who Which When While".split())
NO_VERBS = RIDDLES | set(
    "The A An All Any Every Each Some No None Both Either Neither Such One Two Three Four Several "
    "Many Most More Other Another Same Only Also Not Never Always It They He We You This That "
    "These Those Their Our Nothing Everything Something Anything Nobody Everybody In On At To From "
    "By With Without Within Into Onto Over Under Beyond Behind Between Through Before After Until "
    "Since Unless Because Beside Besides Per About Against But And Or So Then There Here Now Once "
    "Twice Even Just Out Up Down New Old First Last Next Whole Random Small Large Long Short "
    "Number Array List Path Width Height Index Tensor Graph Layer Row Column Name File Model "
    "Network Program Step Value Shape Pixel Picture Weight Time Size Kind Type Text Line Word "
    "Message Memory Address Length Position Minimum Maximum Mean Whatever Too Does Is Are Has "
    "Can May Must Will".split()
)
VERBS = set("Embed Feed Need Seed Speed Proceed Exceed Bring Ping String Bias Focus".split())
DOCSTRING = re.compile(r'^([ \t]*)[rR]?"""(.*?)"""', re.DOTALL | re.MULTILINE)
HEADER = re.compile(r"^(?:async |cdef |cpdef |def |class |@)")


class Finding(NamedTuple):
    """One place to correct."""

    path: Path
    line: int
    kind: str  # "function", "class", "module" or "long line"
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.kind}: {self.text}"


def is_refused(text: str, kind: str) -> bool:
    """Tell whether the docstring of a function, a class or a module begins with a wrong word."""
    if text.lstrip().startswith(("#", "/*")):  # C code in an extern block
        return False
    first = (text.split() or [""])[0]
    word = first.rstrip(",.:;")
    if kind != "function":
        return word in RIDDLES or text.lstrip().startswith("The same")
    if not re.fullmatch(r"[A-Z][a-z]+(-[a-z]+)?", word) or first != word and first[-1] != ",":
        return True
    return word in NO_VERBS or word not in VERBS and bool(re.search(r"[^s]s$|ed$|ing$", word))


def kind_above(lines: list[str], indent: str) -> str | None:
    """Return what the docstring after these lines belongs to, or None if it is another string."""
    if not any(line.strip() and not line.lstrip().startswith(("#", "//")) for line in lines):
        return "module"
    above = next(line for line in reversed(lines) if line.strip())
    if not above.split("#")[0].rstrip().endswith(":"):
        return None
    for line in reversed(lines):
        text = line.lstrip(" \t")
        if text and len(line) - len(text) < len(indent) and HEADER.match(text):
            return "class" if re.match(r"(cdef )?class ", text) else "function"
        if text and len(line) - len(text) < len(indent) and not text.startswith(")"):
            return None
    return None


def findings(path: Path) -> Iterator[Finding]:
    """Yield the findings of one file."""
    source = path.read_text("utf-8")
    prose = set()
    for match in DOCSTRING.finditer(source):
        before = source[: match.start()].splitlines()
        text = match[2]
        prose.update(range(len(before) + 1, len(before) + text.count("\n") + 2))
        kind = kind_above(before, match[1])
        if kind is not None and is_refused(text, kind):
            yield Finding(path, len(before) + 1, kind, text.strip().split("\n")[0])
    for number, line in enumerate(source.splitlines(), start=1):
        comment = line.lstrip().startswith(("#", "//", "*")) or number in prose
        if comment and len(line) > LONGEST:
            yield Finding(path, number, "long line", line.strip())


def main(folders: list[str]) -> int:
    """Print the findings in all folders and their counts, and return the exit status."""
    counts: Counter[tuple[str, str]] = Counter()
    for folder in folders or FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in ENDINGS or not path.is_file():
                continue
            for finding in findings(path):
                print(finding)
                counts[str(path.parent.relative_to(ROOT)), finding.kind] += 1
    for (place, kind), number in sorted(counts.items()):
        print(f"{number:4} {kind:9} {place}")
    return int(any(kind == "function" for _, kind in counts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
