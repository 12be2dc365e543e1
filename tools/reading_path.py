"""Count the lines that a reader passes from a public call to the multiplication.

    python tools/reading_path.py [pointwise | depthwise | separable ...]

In Python these are the functions of dsconv that a real call enters, line by line. In src/ they are whole
files: the file of the op, the files that define Step and Program, through which every call passes, and
whatever file defines a name that any of these uses. Nothing is listed by hand.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

SRC = Path(__file__).parents[1] / "src"
NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
STRING = re.compile(r'"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"')
FUNCTION = re.compile(r"^(?:cdef|def|cpdef)\b[^=\n(]*?(\w+)\(", re.M)
ENTRIES = ("Step", "Program")


def included(path: Path = SRC / "kernels.pxi") -> list[str]:
    """Return the files of a kernel module in the order in which they are included."""
    return re.findall(r'^include "(.*)"', path.read_text(), re.M)


def code(text: str) -> str:
    """Return Cython source without strings and comments."""
    return re.sub(r"[ \t]*#.*", "", STRING.sub('""', text))


def blocks(text: str) -> list[str]:
    """Return the statements at the left margin, each with what is indented below it."""
    return re.split(r"\n(?=[^\s)])", text)


def definitions(text: str) -> set[str]:
    """Return the names that a file defines for the files after it."""
    names: set[str] = set()
    for block in blocks(code(text)):
        first, _, body = block.partition("\n")
        if first.startswith("cdef extern"):
            names |= set(re.findall(r"(\w+)\(", block))  # functions
            names |= set(re.findall(r"^ +(?:.*[ *])?(\w+):?$", body, re.M))  # the others
        elif match := re.match(r"cdef (?:struct|enum|class) ?(\w*)", first):
            names.add(match[1])
            if "enum" in first:
                names |= set(re.findall(r"^ +(\w+)", body, re.M))
        elif match := FUNCTION.match(block) or re.match(r"(?:cdef .*?)?(\w+)(?: =|$)", first):
            names.add(match[1])
    return names - {"", "pass", "nogil"}


def uses(text: str) -> set[str]:
    """Return the names that a file uses, without attributes, parameters, variables and fields."""
    names: set[str] = set()
    for block in blocks(code(text)):
        if block.startswith("cdef struct"):
            names |= set(re.findall(r"^ +(?:const )?(\w+)", block, re.M))
            names |= set(re.findall(r"[(,] ?(?:const )?(\w+)", block))
            continue
        functions = [block]
        if block.startswith("cdef class"):
            functions = re.split(r"\n(?=    (?:cdef|def) [^=\n]*\()", block)
        for function in functions:
            own: set[str] = set()
            if head := re.match(r"\s*(?:cdef|def)\b[^(\n=]*\(([\s\S]*?)\)[^)\n]*:\n", function):
                declared = [head[1], *re.findall(r"^ +cdef (.*)", function, re.M)]
                own = {
                    name
                    for line in declared
                    for name in re.findall(r"(\w+)(?:\[.*?\])*(?=,| =|=|$)", line)
                }
            names |= set(NAME.findall(function)) - own
    return names


def sources() -> dict[str, str]:
    """Return the text of each included file, in order."""
    return {name: (SRC / name).read_text() for name in included()}


def owners(texts: dict[str, str]) -> dict[str, str]:
    """Return which file defines each name."""
    return {name: file for file, text in texts.items() for name in definitions(text)}


def too_early(order: list[str], texts: dict[str, str]) -> list[str]:
    """Return what each file uses of files that are included after it, given this order."""
    home, place = owners(texts), {file: i for i, file in enumerate(order)}
    return [
        f"{file} uses {name} of {home[name]}"
        for file in order
        for name in sorted(uses(texts[file]) & home.keys())
        if place[home[name]] > place[file]
    ]


def needed(files: set[str], texts: dict[str, str]) -> list[str]:
    """Return these files and all that they stand on, in the order of inclusion."""
    home, found, new = owners(texts), set(files), list(files)
    while new:
        for name in uses(texts[new.pop()]):
            file = home.get(name)
            if file and file not in found:
                found.add(file)
                new.append(file)
    return [file for file in texts if file in found]


def headers(files: list[str], texts: dict[str, str]) -> list[str]:
    """Return the headers of src/ that the compiler at hand reads for these files."""
    names = [h for f in files for h in re.findall(r'cdef extern from "(.*?)"', texts[f])]
    found: list[str] = []
    for name in names:
        compiler = (sysconfig.get_config_var("CC") or "cc").split()[:1]
        listed = subprocess.run(
            [*compiler, "-MM", "-I", str(SRC), str(SRC / name)], capture_output=True, text=True
        )
        read = re.findall(r"src/([\w/]+\.h)", listed.stdout) or [name]
        found += [header for header in read if header not in found]
    return found


def passed(call: Callable[[], Any]) -> list[tuple[str, str, int]]:
    """Return file, name and lines of each function of the package that a call enters."""
    import dsconv

    package = Path(dsconv.__file__).parent
    entered: dict[Any, None] = {}

    def note(frame: Any, event: str, _: Any) -> None:
        flags = frame.f_code.co_flags
        if event == "call" and flags & inspect.CO_OPTIMIZED:  # no module, no class body
            entered[frame.f_code] = None

    call()  # imports at the first call are not part of the way
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    rows: list[tuple[str, str, int]] = []
    counted: set[tuple[Path, int]] = set()
    for function in entered:
        path = Path(function.co_filename)
        if package in path.parents:
            text, first = inspect.getsourcelines(function)
            lines = {(path, first + i) for i in range(len(text))} - counted
            counted |= lines
            if lines:
                rows.append(
                    (str(path.relative_to(package.parent)), function.co_qualname, len(lines))
                )
    return rows


def calls() -> dict[str, Callable[[], Any]]:
    """Return one public call for each op that has one."""
    import numpy as np

    import dsconv

    x, w = np.ones((1, 8, 8, 16), np.float32), np.ones((3, 3, 16, 1), np.float32)
    p = np.ones((16, 32), np.float32)
    return {
        "pointwise": lambda: dsconv.pointwise_conv2d(x, p),
        "depthwise": lambda: dsconv.depthwise_conv2d(x, w),
        "separable": lambda: dsconv.separable_conv2d(x, w, p),
    }


def report(op: str) -> int:
    """Print the way of one op and return its lines."""
    texts = sources()
    home = owners(texts)
    own = {file for file, text in texts.items() if re.search(rf'= new_\w+\("{op}"', text)}
    python = passed(calls()[op])
    multiplies = needed(own, texts)
    whole = needed(own | {home[name] for name in ENTRIES}, texts)
    runs = [file for file in whole if file not in multiplies]
    print(f"{op}: from dsconv to the multiplication")
    total = 0
    for title, rows in (
        ("Python functions", [(f"{file} {name}", lines) for file, name, lines in python]),
        ("src: the op and what it stands on", _lines(multiplies, texts)),
        ("src: what runs it", _lines(runs, texts, multiplies)),
    ):
        lines = sum(count for _, count in rows)
        total += lines
        print(f"  {title}: {lines}")
        for name, count in rows:
            print(f"    {count:5}  {name}")
    print(f"  total: {total}\n")
    return total


def _lines(
    files: list[str], texts: dict[str, str], before: tuple[str, ...] | list[str] = ()
) -> list[tuple[str, int]]:
    """Return the lines of files and of their headers, without those of the files before."""
    seen = set(headers(list(before), texts))
    names = [h for h in headers(files, texts) if h not in seen] + files
    return [(name, len((SRC / name).read_text().splitlines())) for name in names]


if __name__ == "__main__":
    for each in sys.argv[1:] or ["pointwise", "depthwise", "separable"]:
        report(each)
