"""Graphs of compiled models in files that lie: refused wherever they are looked at, or they run.

That is where the kernels have other widths than those that the file is packed for, and where layers
are asked for.
"""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled import assert_bits
from compiled_files import (
    JUNK,
    KINDS,
    MEGABYTE,
    Content,
    attempt,
    instruction_set_of_other_widths,
    layers,
    own_widths,
    places,
    refused,
    refused_layers,
    repeat,
    runs,
    saved,
)
from hypothesis import given
from hypothesis import strategies as st
from small_models import GATE, MAP, two_inputs

from dsconv.files.load import load
from dsconv.files.save import save
from dsconv.graph import Graph
from dsconv.kernels import dispatch


@pytest.fixture(params=["here", "elsewhere"])
def elsewhere(request: pytest.FixtureRequest) -> str:
    """The instruction set that files are loaded on: of the same widths, or of others."""
    return dispatch.isa if request.param == "here" else instruction_set_of_other_widths()


def looked_at(path: Path, isa: str) -> None:
    """Load a file and ask for its layers: a ValueError, or all of it works, in little memory."""
    with dispatch.use(isa):
        tracemalloc.start()
        try:
            model = attempt(path)
            found = model is not None and layers(model, path)
            assert tracemalloc.get_traced_memory()[1] < 4 * MEGABYTE
        finally:
            tracemalloc.stop()
        runs(model, path)
        if found and max(model.arena_bytes) < MEGABYTE:
            runs(pickle.loads(pickle.dumps(model)), path)
            inputs = tuple(np.ones((2, *s), np.float32) for s in model._runnable.inputs.values())
            if type(model).__name__ == "Model":
                assert len(model.profile(inputs, 1).steps) == len(found.records)


@pytest.mark.parametrize("kind", KINDS)
def test_changes_of_the_graph(tmp_path: Path, kind: str, elsewhere: str) -> None:
    """A value that is another, gone, or there twice."""
    path = saved(kind, tmp_path)
    content = Content(path)
    good = content.graph

    @given(st.data())
    def check(data: st.DataObject) -> None:
        content.graph = copy.deepcopy(good)
        found = list(places(content.graph))
        container, key = found[data.draw(st.integers(0, len(found) - 1))]
        change = data.draw(st.sampled_from(["other", "other", "other", "gone", "twice"]))
        if change == "other":
            container[key] = data.draw(st.sampled_from(JUNK))
        elif change == "gone":
            del container[key]
        else:
            repeat(container, key)
        content.write(path)
        looked_at(path, elsewhere)

    check()


def test_the_graph_is_not_needed_for_calls(tmp_path: Path) -> None:
    path = saved("Model", tmp_path)
    content = Content(path)
    content.graph = {"nodes": []}
    content.write(path)
    model = load(path)
    assert_bits(model((MAP, GATE)), two_inputs().compile()((MAP, GATE)))
    for use in (
        lambda: model.profile((MAP, GATE)), lambda: pickle.dumps(model),
        lambda: copy.deepcopy(model), lambda: save(model, tmp_path / "again.dsconv"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="model.dsconv: compiled model: the graph must have"):
            use()
    assert [file.name for file in tmp_path.iterdir()] == ["model.dsconv"]
    with dispatch.use(instruction_set_of_other_widths()):
        refused(path, "compiled model: the graph must have")


def test_features_of_a_graph_that_is_refused(tmp_path: Path) -> None:
    path = saved("Classifier", tmp_path)
    content = Content(path)
    content.graph["name"] = 5
    content.write(path)
    refused_layers(path, "")
    with pytest.raises(ValueError, match="model.dsconv: compiled model: "):
        load(path).features(np.ones((6, 6, 3), np.float32))


# Graphs that are sound, but not those of the steps


def other_graphs() -> list[Graph]:
    """With the inputs, the outputs and the weights of `two_inputs`."""
    others = []
    for change in ("clip", "order", "twice"):
        graph = Graph("two inputs")
        x, gate = graph.input((6, 5, 4), name="map"), graph.input((4,), name="gate")
        y = graph.batch_norm(graph.conv2d(x, 4, 3, name="conv"), name="conv/bn")
        y = graph.depthwise_conv2d(graph.relu(y) if change == "clip" else graph.relu6(y), name="d")
        y = graph.mul(graph.mul(y, x) if change == "order" else y, gate)
        y = graph.mul(y, gate) if change == "twice" else y
        graph.output(y, graph.softmax(graph.dense(gate, 3, name="dense"), name="classes"))
        others.append(graph)
    return others


@pytest.mark.parametrize("other", other_graphs(), ids=lambda graph: str(len(graph.nodes)))
def test_another_graph(tmp_path: Path, other: Graph) -> None:
    """Also where the layers are asked for while other kernels are in use than run the model."""
    path = tmp_path / "model.dsconv"
    save(other.compile(), path)
    content = Content(path)
    save(two_inputs().compile(), tmp_path / "two.dsconv")
    steps = Content(tmp_path / "two.dsconv")
    content.fields = {**steps.fields, "output": content.fields["output"]}
    content.arrays = steps.arrays | {
        n: a for n, a in content.arrays.items() if n not in steps.arrays
    }
    content.write(path)
    assert_bits(load(path)((MAP, GATE)), two_inputs().compile()((MAP, GATE)))
    refused_layers(path, "its graph is not that of its steps")
    for isa in dispatch.available():
        model = load(path)
        with dispatch.use(isa):
            assert layers(model, path) is None


@pytest.mark.parametrize("field", ["input", "output"])
def test_other_names_and_shapes_than_in_the_graph(
    tmp_path: Path, field: str, elsewhere: str
) -> None:
    path = saved("Model", tmp_path)
    content = Content(path)
    first, *rest = content.fields[field]
    name = first.removeprefix("6,5,4 ")
    for other in ("6,5,4 other", f"5,6,4 {name}"):
        content.fields[field] = [other, *rest]
        content.write(path)
        with dispatch.use(elsewhere):
            if own_widths().items() <= content.fields.items():
                refused_layers(path, "its graph is not that of its steps")
            else:
                refused(path, "its graph is not that of its steps")


# Winograd's algorithm


def plain_convolution() -> Graph:
    graph = Graph()
    graph.output(graph.conv2d(graph.input((12, 12, 48)), 48, 3, name="conv"))
    return graph


@pytest.mark.parametrize(
    ("winograd", "tiles", "message"),
    [
        (False, ["4 conv"], r"array 'conv:weight' must have \d+ values, got"),
        (False, ["2 conv"], r"array 'conv:weight' must have \d+ values, got"),
        (True, [], "its graph is not that of its steps"),
        (True, ["2 conv"], "its graph is not that of its steps"),
    ],
)
def test_the_other_algorithm(
    tmp_path: Path, winograd: bool, tiles: list[str], message: str
) -> None:
    """Packed for direct convolution, the file says that it is for Winograd's, and vice versa."""
    path = tmp_path / "model.dsconv"
    save(plain_convolution().compile(winograd=winograd), path)
    content = Content(path)
    assert content.fields.get("tile", []) == (["4 conv"] if winograd else [])
    content.fields["tile"] = tiles
    content.write(path)
    refused_layers(path, message)
    with dispatch.use(instruction_set_of_other_widths()):
        if winograd:  # fewer numbers than there are, and no steps to compare with
            runs(load(path), path)
        else:
            refused(path, message)


@pytest.mark.parametrize("tile", [1, 3, -2, 6, 10**30, 2.0, "", "x", None, True])
def test_strange_tiles(tmp_path: Path, tile: Any, elsewhere: str) -> None:
    path = tmp_path / "model.dsconv"
    save(plain_convolution().compile(), path)
    content = Content(path)
    content.fields["tile"] = [f"{tile} conv"]
    content.write(path)
    with dispatch.use(elsewhere):
        refused(path, "tile must be (2 or 4|from 2 to 4|digits)")


def test_tiles_of_other_stages(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.conv2d(graph.input((12, 12, 8)), 8, 3, stride=2, name="strided")
    x = graph.conv2d(graph.depthwise_conv2d(x, name="depthwise"), 8, name="pointwise")
    graph.output(graph.conv2d(x, 8, 3, groups=2, name="groups"))
    path = tmp_path / "model.dsconv"
    save(graph.compile(), path)
    content = Content(path)
    for widths in ({}, {"lanes": ["1"], "block": ["1"]}):
        for name in ("strided", "depthwise", "pointwise", "groups"):
            content.fields |= {"tile": [f"4 {name}"], **widths}
            content.write(path)
            message = f"stage '{name}' does not run by Winograd's algorithm, tile 4"
            if widths:
                refused(path, message)
            else:
                refused_layers(path, message)


def test_tiles_of_no_stage_are_ignored(tmp_path: Path) -> None:
    path = saved("Model", tmp_path)
    content = Content(path)
    content.fields["tile"] = ["4 none"]
    content.write(path)
    runs(load(path), path)
    assert layers(load(path), path)
