"""The arrows between modules: no import runs in a circle, and each room imports only those below.

Imports inside functions count like those at the top, and so do names of modules in strings, as
tables of late imports have them. Only what stands under `if TYPE_CHECKING` is exempt.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import dsconv

PACKAGE = Path(dsconv.__file__).parent

# Each room of the package with the rooms that it may import; a room is a folder or a file.
ROOMS = {
    "version": "",
    "arguments": "",
    "reference": "",
    "text": "",
    "cost": "arguments",
    "kernels": "arguments text version",
    "functional": "arguments kernels",
    "layers": "arguments",
    "network": "arguments layers text",
    "images": "arguments",
    "compiler": "arguments kernels layers network text",
    "graph": "compiler network",
    "interpreter": "arguments layers network",
    "models": "arguments graph layers network",
}
# Nobody below imports these; they may import all rooms above, and each other without a circle.
DOORS = {
    "__init__", "__main__", "bench", "counts", "files", "ladder", "onnx", "shell", "tflite",
    "vision", "weights",
}  # fmt: skip


def name_of(path: Path) -> str:
    parts = ("dsconv", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in FILES.items()}


def checked_imports(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those under `if TYPE_CHECKING`."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from checked_imports(child)


def imported(tree: ast.AST) -> set[str]:
    """Return the modules of the package that a module imports, early or late."""
    found = set()
    for node in checked_imports(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in TREES else node.module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found & (TREES.keys() - {"dsconv"})


IMPORTS = {name: imported(tree) for name, tree in TREES.items()}


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other (Tarjan 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        stack.append(name)
        for other in sorted(imports[name]):
            if other not in number:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == number[name]:
            group = stack[stack.index(name) :]
            del stack[-len(group) :]
            if len(group) > 1 or name in imports[name]:
                found.append(sorted(group))

    for name in imports:
        if name not in number:
            visit(name)
    return found


def test_the_search_finds_circles() -> None:
    imports = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": set(), "f": {"f"}}
    assert circles(imports) == [["a", "b", "c"], ["f"]]


def test_all_ways_of_importing_are_found() -> None:
    code = """
import dsconv.cost
from dsconv import layers, show_config
from dsconv.kernels.steps import geometry
if TYPE_CHECKING:
    from dsconv.graph import Graph
def late():
    from dsconv.compiler import compile
    return importlib.import_module("dsconv.files.load")
"""
    found = "compiler cost files.load kernels.steps layers"
    assert imported(ast.parse(code)) == {f"dsconv.{name}" for name in found.split()}


def test_no_import_runs_in_a_circle() -> None:
    assert circles(IMPORTS) == []


def room(module: str) -> str:
    return (module.split(".") + ["__init__"])[1]


def allowed(room: str) -> set[str]:
    return DOORS | ROOMS.keys() if room in DOORS else set(ROOMS[room].split())


def test_each_room_imports_only_those_below() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in sorted(others)
        if room(other) not in (room(module), *allowed(room(module)))
    ]
    assert wrong == []
