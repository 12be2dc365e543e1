"""Compiled models in files that lie: a ValueError names the file, or what is loaded runs."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from compiled_files import (
    JUNK,
    KINDS,
    Content,
    attempt,
    places,
    refused,
    refused_layers,
    runs,
    saved,
    write,
)
from hypothesis import given
from hypothesis import strategies as st

from dsconv.loading import load
from dsconv.weights.safetensors import write_safetensors

# What the file says of the model


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_of_the_description(tmp_path: Path, kind: str) -> None:
    """But for the steps, which have a file of tests of their own."""
    path = saved(kind, tmp_path)
    content = Content(path)
    runs(load(path), path)
    good = content.about
    steps = good.pop("steps")
    for index in range(len(list(places(good)))):
        for junk in JUNK:
            content.about = {**copy.deepcopy(good), "steps": steps}
            container, key = list(places(content.about))[index]
            container[key] = junk
            content.write(path)
            runs(attempt(path), path)


def test_fields_that_are_gone_or_there_twice(tmp_path: Path) -> None:
    path = saved("Classifier", tmp_path)
    content = Content(path)
    good = content.about
    for field in good:
        content.about = {key: value for key, value in good.items() if key != field}
        content.write(path)
        refused(path, "version None" if field == "version" else "must be described by version, ")
        text = json.dumps(good).removesuffix("}") + f', "{field}": {json.dumps(good[field])}}}'
        write(path, text, json.dumps(content.graph), content.arrays)
        refused(path, f"the JSON key '{field}' is there twice")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("version", 1, "compiled model: version 1; this one reads 2"),
        ("version", 3, "compiled model: version 3; this one reads 2"),
        ("version", "2", "version '2'; this one reads 2"),
        ("version", 2.0, "version must be of type int"),
        ("class", "Program", "class 'Program'; allowed are Model, Classifier, OnnxModel"),
        ("class", "builtins.eval", "class 'builtins.eval'"),
        ("class", ["Model"], "class must be of type str"),
        ("name", 3, "name must be of type str"),
        ("tiles", True, "tiles must be of type dict"),
        ("details", [], "details must be of type dict"),
        ("lanes", 0, "lanes must be from 1 to 1024, got 0"),
        ("lanes", True, "lanes must be of type int"),
        ("block", 1025, "block must be from 1 to 1024, got 1025"),
        ("block", 8.0, "block must be of type int"),
        ("other", 1, "must be described by version, class, name, details, tiles, lanes, block, "),
        ("details", {"labels": None}, r"a model has no details \['labels'\]"),
        ("class", "Classifier", r"the details of a classifier are others than \[\]"),
        ("class", "OnnxModel", r"the details of a network are others than \[\]"),
        ("inputs", [[6, 5, 4], [4]], "inputs must be of type dict"),
        ("inputs", {}, "inputs must map names to shapes"),
        ("inputs", {"map": [6, 5, 4]}, "floats 0 to 120 of slot 3 are not all"),
        ("inputs", {"map": [6, 5, 4], "gate": 4}, "inputs must map names to shapes"),
        ("inputs", {"map": [6, 5, 4], "gate": [4.0]}, "inputs must map names to shapes"),
        ("inputs", {"map": [6, 5, 4], "gate": [True]}, "inputs must map names to shapes"),
        ("inputs", {"map": [6, 5, 4], "gate": [4, 0]}, "inputs must map names to shapes"),
        ("inputs", {"map": [6, 5, 4], "gate": [-2, -2]}, "inputs must map names to shapes"),
        ("inputs", {"map": [6, 5, 4], "gate": [4] + [1] * 40}, "inputs must map names to shapes"),
        ("inputs", {"map": [6, 5, 4], "gate": [3]}, "floats 0 to 4 of slot 2 are not all there"),
        ("inputs", {"map": [6, 5, 4], "gate": [2**31, 2**31]}, "arrays must have from 1 to"),
        ("inputs", {"map": [6, 5, 4], "gate": [10**19] * 9}, "arrays must have from 1 to"),
        ("outputs", {}, "outputs must map names to shapes"),
        ("outputs", {"mul": [6, 5, 4], "y": [3] + [1] * 40}, "outputs must map names to shapes"),
        ("outputs", {"mul": [6, 5, 4], "y": [2]}, "floats 0 to 3 of slot 4 are not all there"),
        ("outputs", {"mul": [6, 5, 3], "y": [3]}, "floats 0 to 120 of slot 3 are not all there"),
        ("unshared", -1, "unshared must be at least 0, got -1"),
        ("unshared", 1.0, "unshared must be of type int"),
        ("mult_adds", -1, "mult_adds must be at least 0, got -1"),
        ("mult_adds", None, "mult_adds must be of type int"),
        ("steps", {}, "steps must be of type list"),
        ("steps", [], "there must be at least one step"),
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


# Bytes


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none.dsconv"):
        load(tmp_path / "none.dsconv")


def test_other_metadata(tmp_path: Path) -> None:
    path = saved("Model", tmp_path)
    content = Content(path)
    about, graph = json.dumps(content.about), json.dumps(content.graph)
    deep = "[" * 100_000 + "]" * 100_000
    for text in ("", "{", "null", "[]", "1", '"x"', deep, '{"version": 2, "version": 2}', "\x00"):
        write(path, text, graph, content.arrays)
        refused(path, "compiled model: ")
        write(path, about, text, content.arrays)
        refused_layers(path, "the graph ")
    write_safetensors(path, content.arrays, {"dsconv.model": about})
    refused_layers(path, "the graph is not JSON")
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
        runs(attempt(path), path)

    check()
