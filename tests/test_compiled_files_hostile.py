"""Compiled models in files that lie: a ValueError names the file, or what is loaded runs."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_files import (
    JUNK,
    KINDS,
    Content,
    attempt,
    refused,
    refused_layers,
    runs,
    saved,
    write_text,
)
from hypothesis import given
from hypothesis import strategies as st

from dsconv._lines import to_text
from dsconv.compiled import VERSION
from dsconv.loading import load
from dsconv.saving import save
from dsconv.weights import open_weights

ONCE = ("class", "name", "lanes", "block", "unshared", "mult_adds")
MAP, GATE = "6,5,4 map", "4 gate"

# What the file says of the model


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_of_the_lines(tmp_path: Path, kind: str) -> None:
    """But for the steps, which have a file of tests of their own."""
    path = saved(kind, tmp_path)
    content = Content(path)
    runs(load(path), path)
    good = {**content.fields, "array": [f"{len(a)} {name}" for name, a in content.arrays.items()]}
    junk = [
        *map(str, JUNK),
        "0x10",
        "1_0",
        " 1",
        "+1",
        "1.0",
        "\u0663",
        "1,",
        ",",
        "\\",
        "\n",
        "\x00",
    ]
    for key, lines in good.items():
        if key == "step":
            continue
        for i, line in enumerate(lines):
            words = line.split(" ")
            for j in range(len(words)):
                for word in junk:
                    changed = " ".join([*words[:j], word, *words[j + 1 :]])
                    content.fields = {**good, key: [*lines[:i], changed, *lines[i + 1 :]]}
                    content.write(path)
                    runs(attempt(path), path)


def test_lines_that_are_gone_or_there_twice(tmp_path: Path) -> None:
    path = saved("Classifier", tmp_path)
    content = Content(path)
    good = content.fields
    for key, lines in good.items():
        content.fields = {**good, key: []}
        content.write(path)
        if key in (*ONCE, "family"):
            refused(path, f"there must be one line '{key}', got 0")
        elif key == "label":
            assert load(path).labels is None
        elif key in ("preprocessing", "tile"):
            assert load(path).preprocessing is None or key == "tile"
        else:
            refused(path)
        content.fields = {**good, key: lines * 2}
        content.write(path)
        if key in (*ONCE, "family", "preprocessing", "classes"):
            refused(path, f"there must be one line '{key}', got 2")
        elif key in ("input", "output"):
            refused(path, f"{key} must have names of its own")
        elif key == "label":
            refused(path, "there must be 5 labels, got 10")
        else:  # steps
            runs(load(path), path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("class", "Program", "class 'Program'; allowed are Model, Classifier, OnnxModel"),
        ("class", "builtins.eval", "class 'builtins.eval'"),
        ("lanes", "0", "lanes must be from 1 to 1024, got 0"),
        ("lanes", "True", "lanes must be digits, got 'True'"),
        ("block", "1025", "block must be from 1 to 1024, got 1025"),
        ("block", "8.0", "block must be digits, got '8.0'"),
        ("block", "9" * 5000, "block must be digits, got '9{40}'$"),
        ("other", "1", r"a model has no lines \['other'\]"),
        ("label", "a", r"a model has no lines \['label'\]"),
        ("class", "Classifier", "there must be one line 'family', got 0"),
        ("class", "OnnxModel", "there must be at least one line 'inputs'"),
        ("unshared", "-1", "unshared must be digits, got '-1'"),
        ("unshared", "1.0", "unshared must be digits"),
        ("mult_adds", str(2**63), f"mult_adds must be from 0 to {2**63 - 1}"),
        ("mult_adds", "None", "mult_adds must be digits"),
        ("input", [], "there must be at least one line 'input'"),
        ("input", [MAP], "floats 0 to 120 of slot 3 are not all"),
        ("input", [MAP, "4.0 gate"], "input must be digits, got '4.0'"),
        ("input", [MAP, "4,0 gate"], "input must be from 1 to"),
        ("input", [MAP, "-2,-2 gate"], "input must be digits, got '-2'"),
        ("input", [MAP, "4, gate"], "input must be digits, got ''"),
        ("input", [MAP, MAP, GATE], "input must have names of its own and up to 31 axes"),
        (
            "input",
            [MAP, "4" + ",1" * 31 + " gate"],
            "input must have names of its own and up to 31",
        ),
        ("input", [MAP, "3 gate"], "floats 0 to 4 of slot 2 are not all there"),
        ("input", [MAP, f"{2**31},{2**31} gate"], "arrays must have from 1 to"),
        ("input", [MAP, ",".join(["9" * 18] * 9) + " gate"], "arrays must have from 1 to"),
        ("output", [], "there must be at least one line 'output'"),
        ("output", ["6,5,4 mul", "2 y"], "floats 0 to 3 of slot 4 are not all there"),
        ("output", ["6,5,3 mul", "3 y"], "floats 0 to 120 of slot 3 are not all there"),
        ("tile", ["3 conv"], "tile must be 2 or 4, got 3"),
        ("tile", ["5 conv"], "tile must be from 2 to 4, got 5"),
        ("step", [], "there must be at least one step"),
    ],
)
def test_lines(tmp_path: Path, key: str, value: Any, message: str) -> None:
    path = saved("Model", tmp_path)
    content = Content(path)
    content.fields[key] = value if isinstance(value, list) else [value]
    content.write(path)
    refused(path, message)


@pytest.mark.parametrize(
    ("kind", "key", "value", "message"),
    [
        ("Classifier", "classes", ["4"], "there must be 4 labels, got 5"),
        ("Classifier", "classes", ["5.0"], "classes must be digits"),
        ("Classifier", "classes", ["0"], "classes must be from 1 to"),
        ("Classifier", "classes", [], "there must be None labels, got 5"),
        ("Classifier", "label", ["a"], "there must be 5 labels, got 1"),
        ("Classifier", "labels", ["a"], r"a classifier has no lines \['labels'\]"),
        (
            "Classifier",
            "preprocessing",
            ["abc"],
            "must be family, crop and interpolation, got 'abc'",
        ),
        ("Classifier", "preprocessing", ["tensorflow 0.5"], "must be family, crop and inter"),
        ("Classifier", "preprocessing", ["tensorflow 0.5 nearest 1"], "must be family, crop and"),
        ("Classifier", "preprocessing", ["tensorflow 2 nearest"], "crop must be above 0 and"),
        ("Classifier", "preprocessing", ["tensorflow nan nearest"], "crop must be above 0 and"),
        ("Classifier", "preprocessing", ["tensorflow x nearest"], "could not convert"),
        ("Classifier", "preprocessing", ["tensorflow None x"], "unknown preprocessing"),
        ("OnnxModel", "inputs", ["x 3,6,6"], "inputs must be digits, got 'x'"),
        ("OnnxModel", "outputs", ["4 y"], "do not fit those of the graph"),
        ("OnnxModel", "outputs", ["-1,-5 y"], "outputs must be digits"),
        ("OnnxModel", "outputs", ["5 y", "5 z"], "do not fit those of the graph"),
        ("OnnxModel", "inputs", [], "there must be at least one line 'inputs'"),
        ("OnnxModel", "family", ["a"], r"has no lines \['family'\]"),
    ],
)
def test_details(tmp_path: Path, kind: str, key: str, value: list[str], message: str) -> None:
    path = saved(kind, tmp_path)
    content = Content(path)
    content.fields[key] = value
    content.write(path)
    refused(path, message)


def test_a_classifier_must_be_one(tmp_path: Path) -> None:
    """Two inputs, or other classes than outputs: the calls of a classifier rely on both."""
    path = saved("Classifier", tmp_path)
    classifier = Content(path)
    classifier.fields |= {"classes": ["3"], "label": []}
    classifier.write(path)
    refused(path, "classes must be 5, as many as outputs, got 3")
    other = Content(saved("Model", tmp_path))
    other.fields |= {"class": ["Classifier"], "family": ["a"]}
    other.write(path)
    refused(path, "a classifier takes one square RGB picture")


# The arrays' lines


@pytest.mark.parametrize(
    "change", ["more", "less", "gone", "twice", "all in one", "renamed", "huge"]
)
def test_lines_of_arrays_must_cover_the_file(tmp_path: Path, change: str) -> None:
    path = saved("Model", tmp_path)
    content = Content(path)
    good = [f"{len(array)} {name}" for name, array in content.arrays.items()]
    length, _, name = good[-1].partition(" ")
    last = {
        "more": [f"{int(length) + 1} {name}"],
        "less": [f"{int(length) - 1} {name}"],
        "gone": [],
        "twice": [good[-1]] * 2,
        "all in one": [f"{sum(map(len, content.arrays.values()))} {name}"],
        "renamed": [f"{length} {good[0].partition(' ')[2]}"],
        "huge": [f"{2**63 - 1} {name}"],
    }[change]
    content.fields["array"] = good[:-1] + last
    content.write(path)
    refused(path, "the arrays must have names of their own and cover the file")


# Bytes


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none.dsconv"):
        load(tmp_path / "none.dsconv")


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("dsconv ", "version ''; this one reads"),
        ("dsconv 2 {0} {1} {2}", f"version '2'; this one reads {VERSION}"),
        (f"dsconv {VERSION + 1} {{0}} {{1}} {{2}}", f"version '{VERSION + 1}'; this one reads"),
        ("dsconv  {0} {1} {2}", "version ''; this one reads"),
        (f"dsconv {VERSION}", "the first line must have a version and three sizes"),
        (f"dsconv {VERSION} {{0}} {{1}}", "the first line must have a version and three sizes"),
        (f"dsconv {VERSION} {{0}} {{1}} {{2}} 0", "the first line must have a version and three"),
        (f"dsconv {VERSION} {{0}} {{1}} -1", "a size must be digits, got '-1'"),
        (f"dsconv {VERSION} {{0}} {{1}} {2**61}", "a size must be from 0 to"),
        (f"dsconv {VERSION} {{0}} {{1}} {2**60}", "the file must have .* bytes, got"),
        (f"dsconv {VERSION} {2**60} {{1}} {{2}}", "bytes of text; at most"),
        (f"dsconv {VERSION} {{0}} {5 * 2**20} {{2}}", "bytes of text; at most"),
        (f"dsconv {VERSION} 1 {{1}} {{2}}", "the file must have .* bytes, got"),
        (f"dsconv {VERSION} {{0}} {{1}} {{2}}" + " " * 300, "the first line must have"),
        ("dsconv \xff\xfe", "version '\xff\xfe'"),
    ],
)
def test_first_lines(tmp_path: Path, first: str, message: str) -> None:
    path = saved("Model", tmp_path)
    line, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(first.format(*line.decode().split()[2:]).encode("latin-1") + b"\n" + rest)
    refused(path, message)


def test_a_beginning_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.dsconv"
    path.write_bytes(b"dsconv ")
    refused(path, "version ''")
    path.write_bytes(b"dsconv 3")  # without the line's end
    refused(path, "the first line must have")
    path.write_bytes(b"dsconv")
    refused(path)


def test_other_texts(tmp_path: Path) -> None:
    path = saved("Model", tmp_path)
    content = Content(path)
    graph = json.dumps(content.graph)
    arrays = {"array": [f"{len(a)} {name}" for name, a in content.arrays.items()]}
    text = to_text({**content.fields, **arrays})
    deep = "[" * 100_000 + "]" * 100_000
    for other in (
        "",
        "\n",
        "{",
        deep,
        "\x00",
        "class",
        "class Model",
        text[:-1],
        text[1:],
        "\ud800",
    ):
        write_text(path, other, graph, content.arrays)
        if other == text[:-1]:  # the last line may end without a line feed
            runs(load(path), path)
        else:
            refused(path, "compiled model: ")
        write_text(path, text, other, content.arrays)
        refused_layers(path, "")
    for damaged in (text.encode() + b"other \xff\n", text.encode("utf-16")):
        write_text(path, "?" * len(damaged), graph, content.arrays)
        path.write_bytes(path.read_bytes().replace(b"?" * len(damaged), damaged))
        refused(path, "compiled model: ")


def test_names_of_all_kinds(tmp_path: Path) -> None:
    """What a line cannot have comes back all the same."""
    content = Content(saved("Classifier", tmp_path))
    names = ["", " ", "a\nstep b", "\\n\\b\n\\", "\u2028\x85\r\ud800é"]
    content.fields["label"] = names
    content.fields["family"] = names[2:3]
    path = tmp_path / "model.dsconv"
    content.write(path)
    model = load(path)
    assert model.labels == tuple(names) and model.family == names[2]
    save(model, tmp_path / "again.dsconv")
    assert Content(tmp_path / "again.dsconv").fields["label"] == names


def test_every_truncation(tmp_path: Path) -> None:
    path = saved("Model", tmp_path)
    data = path.read_bytes()
    for length in (*range(0, len(data), 97), *range(len(data) - 9, len(data))):
        path.write_bytes(data[:length])
        refused(path)
    path.write_bytes(data + b"\x00")
    refused(path, f"the file must have {len(data)} bytes, got {len(data) + 1}")


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes(tmp_path: Path, kind: str) -> None:
    path = saved(kind, tmp_path)
    data = path.read_bytes()
    text = data.index(b"step ") + 1000

    @given(st.lists(st.tuples(st.integers(0, text), st.integers(0, 255)), min_size=1, max_size=3))
    def check(changes: list[tuple[int, int]]) -> None:
        damaged = bytearray(data)
        for place, byte in changes:
            damaged[place] = byte
        path.write_bytes(damaged)
        runs(attempt(path), path)

    check()


def test_it_is_no_file_of_weights(tmp_path: Path) -> None:
    path = saved("Model", tmp_path)
    with pytest.raises(
        ValueError, match="a compiled model, not only weights: dsconv.load opens it"
    ):
        open_weights(path)


# Changes after the file was loaded: its pages are the model's weights


@pytest.mark.parametrize("change", [-(10**9), -1, 1])
def test_another_length_after_it_was_loaded(tmp_path: Path, change: int) -> None:
    """An error, where a look at the lost pages would end the process."""
    path = saved("Classifier", tmp_path)
    x = np.ones((6, 6, 3), np.float32)
    early, late = load(path), load(path)
    late.features(x)
    with open(path, "r+b") as file:
        file.truncate(max(path.stat().st_size + change, 0))
    for model in (early, late):
        for use in (
            model,
            model.features,
            model.profile,
            lambda _, model=model: pickle.dumps(model),
        ):
            with pytest.raises(
                ValueError, match="model.dsconv: .*the file was changed after it was"
            ):
                use(x)
