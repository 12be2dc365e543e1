"""Compiled models in files that lie: a ValueError names the file, or what is loaded runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_files import JUNK, KINDS, Content, attempt, refused, runs, saved

from dsconv.files.load import load

ONCE = ("class", "name", "lanes", "block", "panel", "unshared")
FREE = ("name", "family", "label", "layer")  # lines in which most texts are allowed
MAP, GATE = "6,5,4 map", "4 gate"

# What the file says of the model


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_of_the_lines(tmp_path: Path, kind: str) -> None:
    """Replace each word but those of the steps, which have a file of tests of their own."""
    path = saved(kind, tmp_path)
    content = Content(path)
    runs(load(path), path)
    good = content.fields
    for key, lines in good.items():
        if key == "step":
            continue
        for i in {0, len(lines) - 1} if lines else ():
            words = lines[i].split(" ")
            for j in range(len(words)):
                for word in JUNK if key not in FREE else JUNK[::9]:
                    changed = " ".join([*words[:j], word, *words[j + 1 :]])
                    content.fields = {**good, key: [*lines[:i], changed, *lines[i + 1 :]]}
                    content.write(path)
                    runs(attempt(path), path)
            content.fields = {**good, key: [*lines[:i], "", *lines[i + 1 :]]}
            content.write(path)
            runs(attempt(path), path)


def test_lines_that_are_gone(tmp_path: Path) -> None:
    path = saved("Classifier", tmp_path)
    content = Content(path)
    good = content.fields
    for key in good:
        content.fields = {**good, key: []}
        content.write(path)
        if key in (*ONCE, "family"):
            refused(path, f"there must be one line '{key}', got 0")
        elif key == "label":
            assert load(path).labels is None
        elif key == "preprocessing":
            assert load(path).preprocessing is None
        elif key == "features":
            with pytest.raises(ValueError, match="does not end in a fully connected layer"):
                load(path).features(np.ones((6, 6, 3), np.float32))
        else:
            refused(
                path,
                {
                    "step": "there must be from 1",
                    "classes": "there must be no labels",
                    "layer": "the layers have 0 steps",
                }.get(key, key),
            )


def test_lines_that_are_there_twice(tmp_path: Path) -> None:
    path = saved("Classifier", tmp_path)
    content = Content(path)
    good = content.fields
    for key, lines in good.items():
        content.fields = {**good, key: lines * 2}
        content.write(path)
        if key in (*ONCE, "family", "preprocessing", "classes", "features"):
            refused(path, f"there must be one line '{key}', got 2")
        elif key == "label":
            refused(path, "there must be 5 labels, got 10")
        elif key in ("step", "layer"):
            refused(path, "the layers have [0-9]+ steps, but there are")
        else:
            refused(path, f"{key}s? must have names of")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("class", "Program", "class 'Program'; allowed are Model, Classifier, OnnxModel"),
        ("class", "builtins.eval", "class 'builtins.eval'"),
        ("lanes", "0", "lanes must be from 1 to 1024, got 0"),
        ("block", "1025", "block must be from 1 to 1024, got 1025"),
        ("block", "9" * 5000, "block must be digits, got '9{40}'$"),
        ("o" * 10**6, "1", r"a model has no lines \['o{900,1000}$"),
        ("other", "1", r"a model has no lines \['other'\]"),
        ("label", "a", r"a model has no lines \['label'\]"),
        ("class", "Classifier", "there must be one line 'family', got 0"),
        ("class", "OnnxModel", "there must be at least one line 'onnx_input'"),
        ("unshared", "-1", "unshared must be digits, got '-1'"),
        ("layer", f"1 {2**63} a b", f"layer must be from 0 to {2**63 - 1}"),
        ("layer", "1 None a b", "layer must be digits"),
        ("layer", "1 1 a", "not enough values"),
        ("layer", ["1 1 a b", "9 1 a c"], "the layers have 10 steps, but there are"),
        ("features", ["1 1:0"], "not enough values"),
        ("features", ["77 1:0 4"], "no layer ends with step 77"),
        ("features", ["1 - 4"], "the features must have a place"),
        ("input", [], "there must be at least one line 'input'"),
        ("input", [MAP], "floats 0 to 120 of array 3, which has"),
        ("input", [MAP, "4.0 gate"], "input must be digits, got '4.0'"),
        ("input", [MAP, MAP, GATE], "input must have names of its own"),
        ("input", [MAP, "3 gate"], "floats 0 to 4 of array 2, which has"),
        ("input", [MAP, f"{2**31},{2**31} gate"], "arrays must have from 1 to"),
        ("input", [MAP, ",".join(["9" * 18] * 9) + " gate"], "arrays must have from 1 to"),
        ("output", [], "there must be at least one line 'output'"),
        ("output", ["6,5,4 mul", "2 y"], "floats 0 to 3 of array 4, which has"),
        ("output", ["6,5,3 mul", "3 y"], "floats 0 to 120 of array 3, which has"),
        ("step", [], "there must be from 1 to 65536 steps, got 0"),
        ("step", ["zero 1:0 2:0 -"] * 65537, "there must be from 1 to 65536 steps, got 65537"),
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
        ("Classifier", "classes", [], "there must be no labels, got 5"),
        ("Classifier", "label", ["a"], "there must be 5 labels, got 1"),
        ("Classifier", "labels", ["a"], r"a classifier has no lines \['labels'\]"),
        (
            "Classifier",
            "preprocessing",
            ["abc"],
            "must be family, crop and interpolation, got 'abc'",
        ),
        ("Classifier", "preprocessing", [""], "must be family, crop and interpolation, got ''"),
        ("Classifier", "preprocessing", ["tensorflow 0.5"], "must be family, crop and inter"),
        ("Classifier", "preprocessing", ["tensorflow 0.5 nearest 1"], "must be family, crop and"),
        ("Classifier", "preprocessing", ["tensorflow 2 nearest"], "crop must be above 0 and"),
        ("Classifier", "preprocessing", ["tensorflow nan nearest"], "crop must be above 0 and"),
        ("Classifier", "preprocessing", ["tensorflow x nearest"], "could not convert"),
        ("Classifier", "preprocessing", ["tensorflow None x"], "unknown preprocessing"),
        ("OnnxModel", "onnx_input", ["x 3,6,6"], "onnx_input must be digits, got 'x'"),
        ("OnnxModel", "onnx_output", ["4 y"], "do not fit those of the graph"),
        ("OnnxModel", "onnx_output", ["5 y", "5 z"], "do not fit those of the graph"),
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
    """Refuse two inputs, or other classes than outputs: a classifier relies on both."""
    path = saved("Classifier", tmp_path)
    classifier = Content(path)
    classifier.fields |= {"classes": ["3"], "label": []}
    classifier.write(path)
    refused(path, "classes must be 5, as many as outputs, got 3")
    other = Content(saved("Model", tmp_path))
    other.fields |= {"class": ["Classifier"], "family": ["a"]}
    other.write(path)
    refused(path, "a classifier takes one square RGB picture")
