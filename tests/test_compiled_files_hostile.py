"""Compiled models in files that lie: a ValueError names the file, or what is loaded runs."""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_files import KINDS, MEGABYTE, Content, attempt, refused, runs, saved, write
from hypothesis import given
from hypothesis import strategies as st

from dsconv.graph import Graph
from dsconv.loading import load
from dsconv.saving import save
from dsconv.weights.safetensors import write_safetensors

# Every value in the metadata

JUNK = [
    None, True, False, 0, 1, -1, 2, 7, 2**31 - 1, 2**31, 2**40 + 1, 10**18, 10**30, 0.5, 1e308, "",
    "x", "inf", "-inf", "same", "fused", "Model", "OnnxModel", "tensorflow", [], [1], [0, 1], [3, 3],
    [[1, 2], [0, 0]], ["a", "b", "c"], [[[[]]]], {}, {"x": [3]}, {"x": 3}, {"kind": "fused"},
    {"kind": "clip", "attributes": {"low": 0, "high": 1}},
]  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """All containers of a JSON value, each with all its keys."""
    items = enumerate(value) if isinstance(value, list) else value.items()
    for key, item in list(items):
        yield value, key
        if isinstance(item, (list, dict)):
            yield from places(item)


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_of_the_description(tmp_path: Path, kind: str) -> None:
    path = saved(kind, tmp_path)
    content = Content(path)
    runs(load(path))
    good = content.about
    for index in range(len(list(places(good)))):
        for junk in JUNK:
            content.about = copy.deepcopy(good)
            container, key = list(places(content.about))[index]
            container[key] = junk
            content.write(path)
            runs(attempt(path))


@pytest.mark.parametrize("kind", KINDS)
def test_changes_of_the_graph(tmp_path: Path, kind: str) -> None:
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
        elif isinstance(container, list):
            container.append(container[key])
        else:
            container[f"{key}_"] = container[key]
        content.write(path)
        tracemalloc.start()
        try:
            model = attempt(path)
            assert tracemalloc.get_traced_memory()[1] < 4 * MEGABYTE
        finally:
            tracemalloc.stop()
        runs(model)

    check()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("version", 2, "compiled model: version of type int; this one reads 1"),
        ("version", "1", "version '1'; this one reads 1"),
        ("class", "Program", "class 'Program'; allowed are Model, Classifier, OnnxModel"),
        ("class", "builtins.eval", "class 'builtins.eval'"),
        ("class", ["Model"], "class of type list"),
        ("name", 3, "name must be of type str"),
        ("tiles", True, "tiles must be of type dict"),
        ("details", [], "details must be of type dict"),
        ("lanes", 0, "lanes must be an integer from 1 to 1024"),
        ("lanes", True, "lanes must be an integer"),
        ("block", 1025, "block must be an integer from 1 to 1024"),
        ("block", 8.0, "block must be an integer"),
        ("other", 1, "must be described by block, class, details, lanes, name, tiles, version"),
        ("details", {"labels": None}, r"a model has no details \['labels'\]"),
        ("class", "Classifier", r"the details of a classifier are others than \[\]"),
        ("class", "OnnxModel", r"the details of a network are others than \[\]"),
    ],
)
def test_descriptions(tmp_path: Path, field: str, value: Any, message: str) -> None:
    path = saved("Model", tmp_path)
    content = Content(path)
    content.about[field] = value
    content.write(path)
    refused(path, message)


@pytest.mark.parametrize(
    ("kind", "field", "value", "message"),
    [
        ("Classifier", "family", None, "family must be a string"),
        ("Classifier", "classes", 4, "labels must be 4 strings"),
        ("Classifier", "classes", 5.0, "classes must be an integer"),
        ("Classifier", "labels", "abcde", "labels must be 5 strings"),
        ("Classifier", "labels", ["a", "b", "c", "d", 5], "labels must be 5 strings"),
        ("Classifier", "preprocessing", "abc", "unknown preprocessing"),
        ("Classifier", "preprocessing", ["tensorflow", 0.5], "must be family, crop and inter"),
        ("Classifier", "preprocessing", ["tensorflow", 2, "nearest"], "crop must be above 0 and"),
        ("Classifier", "preprocessing", ["tensorflow", None, "x"], "unknown preprocessing"),
        ("OnnxModel", "inputs", [["x", [3, 6, 6]]], "inputs must map names to shapes"),
        ("OnnxModel", "outputs", {"y": 5}, "outputs must map names to shapes"),
        ("OnnxModel", "outputs", {"y": [4]}, "do not fit those of the graph"),
        ("OnnxModel", "outputs", {"y": [-1, -5]}, "shape must be at least 1"),
        ("OnnxModel", "outputs", {"y": [5], "z": [5]}, "do not fit those of the graph"),
        ("OnnxModel", "inputs", {}, "do not fit those of the graph"),
    ],
)
def test_details(tmp_path: Path, kind: str, field: str, value: Any, message: str) -> None:
    path = saved(kind, tmp_path)
    content = Content(path)
    content.about["details"][field] = value
    content.write(path)
    refused(path, message)


def test_a_classifier_must_be_one(tmp_path: Path) -> None:
    """Two inputs, or other classes than outputs: the calls of a classifier rely on both."""
    classifier = Content(saved("Classifier", tmp_path))
    classifier.about["details"] |= {"classes": 3, "labels": None}
    classifier.write(tmp_path / "model.dsconv")
    refused(tmp_path / "model.dsconv", "classes must be 5, as many as outputs, got 3")
    other = Content(saved("Model", tmp_path))
    other.about |= {"class": "Classifier", "details": classifier.about["details"]}
    other.write(tmp_path / "model.dsconv")
    refused(tmp_path / "model.dsconv", "a classifier takes one square RGB picture")


# Arrays


def test_arrays(tmp_path: Path) -> None:
    """Missing, left over, of another size, shape or dtype: each of them."""
    path = saved("Model", tmp_path)
    content = Content(path)
    good = content.arrays
    for name, array in good.items():
        other = np.float32 if array.dtype == np.float64 else np.float64
        for change in (
            array[:-1], np.append(array, array[:1]), array[:0], array[np.newaxis],
            array.astype(other), array.astype(np.float16), array.astype(np.int32), array > 0,
        ):  # fmt: skip
            content.arrays = good | {name: change}
            content.write(path)
            refused(
                path, f"compiled model: array '{name}' must have shape .* and dtype {array.dtype}"
            )
        content.arrays = {other: good[other] for other in good if other != name}
        content.write(path)
        refused(path, f"array '{name}' is missing")
    content.arrays = good | {"zero:weight": np.ones(0, np.float32)}
    content.write(path)
    refused(path, "array 'zero:weight' is left over")


def test_weights_may_be_any_numbers(tmp_path: Path) -> None:
    path = saved("Classifier", tmp_path)
    content = Content(path)
    for value in (np.nan, np.inf, -np.inf, 1e-40):
        for array in content.arrays.values():
            array[...] = value
        content.write(path)
        runs(load(path))


def test_the_other_algorithm(tmp_path: Path) -> None:
    """Packed for direct convolution, the file says that it is for Winograd's, and vice versa."""
    graph = Graph()
    graph.output(graph.conv2d(graph.input((12, 12, 48)), 48, 3, name="conv"))
    path = tmp_path / "model.dsconv"
    for winograd, tiles in ((False, {"conv": 4}), (True, {}), (True, {"conv": 2})):
        save(graph.compile(winograd=winograd), path)
        content = Content(path)
        assert content.about["tiles"] == ({"conv": 4} if winograd else {})
        content.about["tiles"] = tiles
        content.write(path)
        refused(path, "array 'conv:weight' must have shape")


@pytest.mark.parametrize("tile", [1, 3, -2, 6, 10**30, 2.0, "4", [4], {}, None, True])
def test_strange_tiles(tmp_path: Path, tile: Any) -> None:
    graph = Graph()
    graph.output(graph.conv2d(graph.input((12, 12, 48)), 48, 3, name="conv"))
    path = tmp_path / "model.dsconv"
    save(graph.compile(), path)
    content = Content(path)
    content.about["tiles"] = {"conv": tile}
    content.write(path)
    refused(path, "(tiles must map names to 2 or 4|a JSON integer)")


def test_tiles_of_other_stages(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.conv2d(graph.input((12, 12, 8)), 8, 3, stride=2, name="strided")
    x = graph.conv2d(graph.depthwise_conv2d(x, name="depthwise"), 8, name="pointwise")
    graph.output(graph.conv2d(x, 8, 3, groups=2, name="groups"))
    path = tmp_path / "model.dsconv"
    for name in ("strided", "depthwise", "pointwise", "groups"):
        save(graph.compile(), path)
        content = Content(path)
        content.about["tiles"] = {name: 4}
        content.write(path)
        refused(path, f"stage '{name}' does not run by Winograd's algorithm, tile 4")


# Bytes


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none.dsconv"):
        load(tmp_path / "none.dsconv")


def test_other_metadata(tmp_path: Path) -> None:
    path = saved("Model", tmp_path)
    content = Content(path)
    about, graph = json.dumps(content.about), json.dumps(content.graph)
    deep = "[" * 100_000 + "]" * 100_000
    for text in ("", "{", "null", "[]", "1", '"x"', deep, '{"version": 1, "version": 1}', "\x00"):
        write(path, text, graph, content.arrays)
        refused(path, "compiled model: ")
        write(path, about, text, content.arrays)
        refused(path, "compiled model: ")
    write_safetensors(path, content.arrays, {"dsconv.model": about})
    refused(path, "compiled model: the graph is not JSON")
    write_safetensors(path, content.arrays, {"dsconv.compiled_graph": graph})
    refused(path, "no known network has these arrays")


def test_every_truncation(tmp_path: Path) -> None:
    path = saved("Model", tmp_path)
    data = path.read_bytes()
    for length in (*range(0, len(data), 97), *range(len(data) - 9, len(data))):
        path.write_bytes(data[:length])
        refused(path)
    path.write_bytes(data + b"\x00")
    refused(path, "bytes behind the last array")


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes(tmp_path: Path, kind: str) -> None:
    path = saved(kind, tmp_path)
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")

    @given(
        st.lists(st.tuples(st.integers(0, header - 1), st.integers(0, 255)), min_size=1, max_size=3)
    )
    def check(changes: list[tuple[int, int]]) -> None:
        damaged = bytearray(data)
        for place, byte in changes:
            damaged[place] = byte
        path.write_bytes(damaged)
        runs(attempt(path))

    check()
