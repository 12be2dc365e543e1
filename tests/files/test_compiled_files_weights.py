"""Weights of compiled models in files: packed again for other widths, or refused."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled import assert_bits
from compiled_files import (
    KINDS,
    MEGABYTE,
    Content,
    attempt,
    instruction_set_of_other_widths,
    refused,
    runs,
    saved,
    widths_of,
)
from hostile import at_most
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import RandomGraph, random_graphs
from small_models import GATE, MAP, two_inputs

from dsconv import models
from dsconv.files.load import load
from dsconv.files.save import save
from dsconv.kernels import dispatch
from dsconv.kernels.packing import Widths, weights_of


@pytest.fixture(params=["here", "elsewhere"])
def elsewhere(request: pytest.FixtureRequest) -> str:
    """Return the instruction set that loads the files: of the same widths, or of others."""
    return dispatch.isa if request.param == "here" else instruction_set_of_other_widths()


@pytest.mark.parametrize("kind", KINDS)
def test_whole_cache_lines(tmp_path: Path, kind: str) -> None:
    """Check that each weight begins at a cache line, and that zeros fill the last one up."""
    path = saved(kind, tmp_path)
    steps, floats = load(path)._program.steps, Content(path).floats
    used = np.zeros(len(floats), bool)
    for step in steps:
        for array in step.weights.values():
            assert array.ctypes.data % 64 == 0
            start = (array.ctypes.data - load_address(steps)) // 4
            used[start : start + len(array)] = True
    assert len(floats) % 16 == 0 and not floats[~used].any()


def load_address(steps: Any) -> int:
    return min(array.ctypes.data for step in steps for array in step.weights.values())


@given(
    case=random_graphs(),
    widths=st.builds(
        lambda lanes, block, panel: Widths(lanes, lanes * block, lanes * panel),
        *(st.integers(1, 9), st.integers(1, 5), st.integers(1, 5)),
    ),
)
def test_any_widths(isa: Any, tmp_path: Path, case: RandomGraph, widths: Widths) -> None:
    """Check that the bits are those of a compilation here, whatever the file's widths."""
    path = tmp_path / "model.dsconv"
    model = case.graph.compile(case.weights)
    save(model, path)
    content = Content(path)
    parts: list[np.ndarray] = [np.zeros(0, np.float32)]
    lines, own = [], Widths.of(isa)
    for step, line in zip(model._program.steps, content.fields["step"], strict=True):
        for field, packing in weights_of(step.op, isa.GEOMETRY | step.geometry).items():
            data = np.empty(packing.floats(widths), np.float32)
            packing.pack(packing.unpack(step.weights[field], own), data, widths)
            words = line.split(" ")
            (old,) = (word for word in words if word.startswith(f"{field}="))
            line = line.replace(f" {old}", f" {field}={len(data)}@{sum(map(len, parts))}")
            parts.append(data)
        lines.append(line)
    content.fields |= {**widths_of(widths), "step": lines}
    content.floats = np.concatenate(parts)
    content.write(path)
    assert_bits(load(path)(case.x), model(case.x))


@pytest.mark.parametrize("kind", KINDS)
def test_short_and_missing(tmp_path: Path, kind: str) -> None:
    path = saved(kind, tmp_path)
    content = Content(path)
    other, good = instruction_set_of_other_widths(), content.fields["step"]
    for i, line in enumerate(good):
        op, *words = line.split(" ")
        for word in words:
            field, _, part = word.partition("=")
            count, at, start = part.partition("@")
            if not at:
                continue
            for length in (int(count) - 1, 1, 0) if op != "l2" else (1, 0):  # no whole vecs
                changed = line.replace(word, f"{field}={length}@{start}")
                content.fields["step"] = [*good[:i], changed, *good[i + 1 :]]
                content.write(path)
                refused(path, f"takes [0-9]+ floats of {field}, got {length}")
                with dispatch.use(other):
                    runs(attempt(path), path)
                    if length == 0:
                        refused(path, f"takes [0-9]+ floats of {field}, got 0")
            for beyond in (f"{count}@{len(content.floats)}", f"{2**62}@{2**62}"):
                changed = line.replace(word, f"{field}={beyond}")
                content.fields["step"] = [*good[:i], changed, *good[i + 1 :]]
                content.write(path)
                refused(path, f"{field} is floats .* but there are {len(content.floats)}")
            content.fields["step"] = [*good[:i], line.replace(f" {word}", ""), *good[i + 1 :]]
            content.write(path)
            for isa in (dispatch.isa, other):
                with dispatch.use(isa):
                    refused(path, f"takes [0-9]+ floats of {field}, got 0")


def test_a_small_file_asks_for_little_memory(tmp_path: Path, elsewhere: str) -> None:
    """Check that steps which share their weights do not make many copies of them."""
    path = saved("Model", tmp_path)
    content = Content(path)
    (line,) = (line for line in content.fields["step"] if line.startswith("depthwise"))
    weights = np.zeros(2 * MEGABYTE // 4, np.float32)
    words = [word for word in line.split(" ") if "@" not in word]
    count = len(weights) - 64
    line = " ".join([*words, f"weight={count}@0", f"bias=64@{count}"])
    content.fields |= {"step": [line] * 1000, "layer": ["1000 0 any all"]}
    content.floats = weights
    content.write(path)
    with dispatch.use(elsewhere):
        with at_most(8 * MEGABYTE):
            attempt(path)
        if elsewhere != dispatch.isa:
            refused(path, "the weights of the steps overlap")


@pytest.mark.parametrize("kind", KINDS)
def test_weights_may_be_any_numbers(tmp_path: Path, kind: str, elsewhere: str) -> None:
    path = saved(kind, tmp_path)
    content = Content(path)
    for value in (np.nan, np.inf, -np.inf, 1e-40):
        content.floats[...] = value
        content.write(path)
        with dispatch.use(elsewhere):
            runs(load(path), path)


def test_features_run_where_the_model_runs(tmp_path: Path) -> None:
    """Check that a model and its features stay on the instruction set of the load."""
    path = saved("Classifier", tmp_path)
    x = np.random.default_rng(0).random((6, 6, 3), dtype=np.float32)
    with dispatch.use("baseline"):
        model, expected = load(path), load(path).features(x)
    assert_bits(model.features(x), expected)
    assert model._features._program.kernels is model._program.kernels


def test_a_restored_model_has_its_weights_once() -> None:
    """Check that unpickling leaves one block of weights, and little beside."""
    graph = models.mobilenet_v1(1.0, 32)
    model = graph.compile()
    data, size = pickle.dumps(model), model._program.floats.nbytes
    tracemalloc.start()
    try:
        again = pickle.loads(data)
        left, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert again._program.floats.nbytes == size
    alignment = 3 * MEGABYTE  # to a huge page
    assert left < size + alignment and most < 2 * size + alignment


def test_profiles_out_of_a_file(tmp_path: Path) -> None:
    """Check that the lines of the layers are those of the model that was saved."""
    path = tmp_path / "model.dsconv"
    model = two_inputs().compile()
    save(model, path)
    again = load(path)
    assert again._program.layers == model._program.layers
    steps, expected = (m.profile((MAP, GATE), 1).steps for m in (again, model))
    assert [step.name for step in steps] == [step.name for step in expected]
