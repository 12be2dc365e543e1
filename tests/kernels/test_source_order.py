"""The files of src/ run in no circle, although include is textual and no tool would notice one.

Each file uses only names of files before it. What runs an op reaches it through its record.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reading() -> ModuleType:
    path = ROOT / "tools" / "reading_path.py"
    if not path.is_file():
        pytest.skip("tools/ and src/ are in a checkout alone")
    spec = importlib.util.spec_from_file_location("reading_path", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_file_uses_only_what_was_included_before(reading: ModuleType) -> None:
    order, texts = reading.included(), reading.sources()
    assert reading.too_early(order, texts) == []
    assert {str(p.relative_to(ROOT / "src")) for p in (ROOT / "src").rglob("*.pxi")} == {
        *order,
        "kernels.pxi",
    }


def test_the_check_sees_every_file_that_is_included_too_late(reading: ModuleType) -> None:
    """Move each file that others use behind them all: someone must miss it."""
    order, texts = reading.included(), reading.sources()
    used = {reading.owners(texts).get(name) for t in texts.values() for name in reading.uses(t)}
    ends = [file for file in order if file.startswith("ops/") and file != "ops/depthwise.pxi"]
    ends += ["frame/program.pxi", "build.pxi", "peak.pxi", "build.pxi", "microkernels/entries.pxi"]
    for file in order:
        if file not in ends:
            assert file in used
            moved = [other for other in order if other != file] + [file]
            assert any(f"of {file}" in line for line in reading.too_early(moved, texts)), file


def test_no_name_is_defined_twice(reading: ModuleType) -> None:
    names = [name for text in reading.sources().values() for name in reading.definitions(text)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("op", ["pointwise", "depthwise", "separable"])
def test_the_way_of_each_op_ends_in_its_tile(reading: ModuleType, op: str) -> None:
    texts = reading.sources()
    files = reading.needed({f"ops/{op}.pxi"}, texts)
    tiles = {"microkernels/gemm.pxi", "microkernels/depthwise.pxi"}
    expected = {"pointwise": {"microkernels/gemm.pxi"}, "depthwise": {"microkernels/depthwise.pxi"}}
    assert tiles & set(files) == expected.get(op, tiles)
    assert not any(file.startswith("ops/") for file in files if file != "ops/depthwise.pxi"
                   and file != f"ops/{op}.pxi")  # fmt: skip
