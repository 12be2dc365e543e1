"""Arrays of compiled models in files that lie: too short ones are refused, spare ones are not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from compiled import assert_bits
from compiled_files import (
    KINDS,
    Content,
    attempt,
    instruction_set_of_other_widths,
    refused,
    refused_layers,
    runs,
    saved,
)
from small_models import GATE, MAP, two_inputs

from dsconv.compiler.stored import arrays_of
from dsconv.files.load import load
from dsconv.kernels import dispatch


def packed(path: Path) -> dict[str, int]:
    """Floats of each array without those that fill it up."""
    return {name: len(array) for name, array in arrays_of(load(path)._lowered).items()}


@pytest.mark.parametrize("kind", KINDS)
def test_whole_cache_lines(tmp_path: Path, kind: str) -> None:
    """As a model is saved, its arrays begin and end at them, and what fills them up is zero."""
    path = saved(kind, tmp_path)
    floats, arrays = packed(path), Content(path).arrays
    assert floats.keys() == arrays.keys()
    for name, array in arrays.items():
        assert len(array) == -(-floats[name] // 16) * 16
        assert not array[floats[name] :].any()
    for step in load(path)._program.steps:
        assert all(array.ctypes.data % 64 == 0 for array in step.weights.values())


@pytest.mark.parametrize("kind", KINDS)
def test_short_and_missing(tmp_path: Path, kind: str) -> None:
    path = saved(kind, tmp_path)
    content, floats = Content(path), packed(path)
    other, good = instruction_set_of_other_widths(), content.arrays
    for name, array in good.items():
        for length in (floats[name] - 1, 1, 0):
            content.arrays = good | {name: array[:length]}
            content.write(path)
            refused(path, f"compiled model: .* takes {floats[name]} floats of .*, got {length}")
            with dispatch.use(other):  # where a norm needs no whole vecs
                runs(attempt(path), path)
                if length == 0:
                    refused(path, f"array '{name}' must have .* values, got 0")
        content.arrays = {n if n != name else "other": array for n, array in good.items()}
        content.write(path)  # its place is that of a weight, its name is not
        refused_layers(path, f"array '{name}' is missing")
        with dispatch.use(other):
            refused(path, f"compiled model: array '{name}' is missing")
    last = list(good)[-1]
    content.arrays = {name: array for name, array in good.items() if name != last}
    content.write(path)
    refused(path, f"compiled model: array '{len(good) - 1}' is missing")


@pytest.mark.parametrize("spare", [1, 16, 1000])
def test_longer_and_left_over(tmp_path: Path, spare: int) -> None:
    """The same bits, wherever the arrays begin."""
    path = saved("Model", tmp_path)
    content, floats = Content(path), packed(path)
    rest = np.full(spare, np.nan, np.float32)
    arrays = {name: np.append(array, rest) for name, array in content.arrays.items()}
    exact = {name: array[: floats[name]] for name, array in content.arrays.items()}
    for isa in (dispatch.isa, instruction_set_of_other_widths()):
        with dispatch.use(isa):
            expected = two_inputs().compile()((MAP, GATE))
            for changed in (arrays, exact):
                content.arrays = {**changed, "left over": rest, "conv:bia": rest[:0]}
                content.write(path)
                model = load(path)
                assert_bits(model((MAP, GATE)), expected)
                assert len(model.profile((MAP, GATE), 1).steps) == len(model._lowered.records)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_may_be_any_numbers(tmp_path: Path, kind: str) -> None:
    path = saved(kind, tmp_path)
    content = Content(path)
    for value in (np.nan, np.inf, -np.inf, 1e-40):
        for array in content.arrays.values():
            array[...] = value
        content.write(path)
        for isa in (dispatch.isa, instruction_set_of_other_widths()):
            with dispatch.use(isa):
                runs(load(path), path)


def test_another_array(tmp_path: Path) -> None:
    """A step that takes the array of another one is not that of the graph."""
    path = saved("Model", tmp_path)
    content = Content(path)
    (name,) = (name for name in content.arrays if name == "depthwise:bias")
    content.arrays["other"] = content.arrays[name]
    old, new = (f"@{list(content.arrays).index(n)}" for n in (name, "other"))
    content.fields["step"] = [re.sub(rf"{old}\b", new, text) for text in content.fields["step"]]
    content.write(path)
    assert_bits(load(path)((MAP, GATE)), two_inputs().compile()((MAP, GATE)))
    refused_layers(path, "its graph is not that of its steps")
