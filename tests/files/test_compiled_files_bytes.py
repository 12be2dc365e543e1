"""Compiled models in files that are damaged, or that change after they were loaded."""

from __future__ import annotations

import pickle
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
    runs,
    saved,
    sealed,
    write_text,
)
from hypothesis import given
from hypothesis import strategies as st
from small_models import GATE, MAP, two_inputs

from dsconv.files.compiled import VERSION
from dsconv.files.load import load
from dsconv.files.save import save
from dsconv.kernels import dispatch
from dsconv.text.lines import to_text

FIRST = f"dsconv {VERSION} {{0}} {{1}}"
SHORT = "the first line must have a version, two sizes and two checksums"


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("dsconv ", "version '', and this dsconv reads"),
        ("dsconv 4 {0} {1}", f"version '4', and this dsconv reads {VERSION}; save the model again"),
        (f"dsconv {VERSION + 1} {{0}} {{1}}", f"version '{VERSION + 1}', and this dsconv reads"),
        ("dsconv  {0} {1}", "version ''"),
        (f"dsconv {VERSION}", SHORT),
        (FIRST, SHORT),
        (FIRST + " {2}", SHORT),
        (FIRST + " {2} {3} 0", SHORT),
        (f"dsconv {VERSION} {{0}} -1 {{2}} {{3}}", "a size must be digits, got '-1'"),
        (f"dsconv {VERSION} {{0}} {2**61} {{2}} {{3}}", "a size must be from 0 to"),
        (f"dsconv {VERSION} {{0}} {2**60} {{2}} {{3}}", "the file must have .* bytes, got"),
        (f"dsconv {VERSION} {2**60} {{1}} {{2}} {{3}}", "bytes of text; at most"),
        (f"dsconv {VERSION} {5 * 2**20} {{1}} {{2}} {{3}}", "bytes of text; at most"),
        (f"dsconv {VERSION} 1 {{1}} {{2}} {{3}}", "the file must have .* bytes, got"),
        (FIRST + " {3} {2}", "the file is damaged: its text has the CRC-32"),
        (FIRST + " {2} 12345678", "the file is damaged: its text has the CRC-32"),
        (FIRST + " {2} x", "invalid literal"),
        (FIRST + " {2} {3}" + " " * 300, SHORT),
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
    path.write_bytes(f"dsconv {VERSION}".encode())  # without the line's end
    refused(path, "the first line must have")
    path.write_bytes(b"dsconv")
    refused(path)


def test_other_texts(tmp_path: Path) -> None:
    path = saved("Model", tmp_path)
    content = Content(path)
    text = to_text(content.fields)
    deep = "[" * 100_000 + "]" * 100_000
    short = ("", "\n", "{", "\x00", "class", "class Model", "\ud800")
    for other in (*short, deep, text[:-1], text[1:]):
        write_text(path, other, content.floats)
        if other == text[:-1]:  # the last line may end without a line feed
            runs(load(path), path)
        else:
            refused(path, "compiled model: ")
    for damaged in (text.encode() + b"other \xff\n", text.encode("utf-16")):
        first = f"dsconv {VERSION} {len(damaged)} {len(content.floats)}"
        path.write_bytes(sealed(first, damaged, content.floats.tobytes()))
        refused(path, "compiled model: ")


def test_names_of_all_kinds(tmp_path: Path) -> None:
    """Check that what a line cannot have comes back all the same."""
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
def test_damaged_texts(tmp_path: Path, kind: str) -> None:
    """Change bytes of the text, and let the checksums be right or not."""
    path = saved(kind, tmp_path)
    first, text, floats = parts(path)
    places = st.integers(0, len(text) - 1)

    @given(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=3))
    def check(changes: list[tuple[int, int]]) -> None:
        damaged = bytearray(text)
        for place, byte in changes:
            damaged[place] = byte
        path.write_bytes(sealed(first, bytes(damaged), floats))
        runs(attempt(path), path)
        good = sealed(first, text, floats)
        path.write_bytes(good.replace(text, damaged))
        if damaged != text:
            refused(path, "the file is damaged: its text has the CRC-32")

    check()


@pytest.mark.parametrize("mmap", [True, False])
def test_damaged_weights(tmp_path: Path, mmap: bool) -> None:
    """Notice any bit of the weights that is another one, if it is asked for."""
    path = saved("Classifier", tmp_path)
    data = path.read_bytes()
    load(path, mmap=mmap, verify=True)
    floats = 4 * int(data.split()[3])
    for bit in (0, 8 * floats - 1, 1234):
        damaged = bytearray(data)
        damaged[len(data) - floats + bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        load(path, mmap=mmap)
        with pytest.raises(ValueError, match="model.dsconv: .* damaged: its weights have the CRC"):
            load(path, mmap=mmap, verify=True)


def parts(path: Path) -> tuple[str, bytes, bytes]:
    """Return the first line without checksums, the text and the floats."""
    line, _, rest = path.read_bytes().partition(b"\n")
    words = line.decode().split()
    text, floats = int(words[2]), 4 * int(words[3])
    return " ".join(words[:4]), rest[:text], rest[len(rest) - floats :]


# Changes after the file was loaded: its pages are the model's weights


@pytest.mark.parametrize("change", [-(10**9), -1, 1])
def test_another_length_after_it_was_loaded(tmp_path: Path, change: int) -> None:
    """Raise an error, where a look at the lost pages would end the process."""
    path = saved("Classifier", tmp_path)
    x = np.ones((6, 6, 3), np.float32)
    early, late = load(path), load(path)
    late.features(x)
    with open(path, "r+b") as file:
        file.truncate(max(path.stat().st_size + change, 0))
    message = "model.dsconv: the file was changed after it was loaded"
    for model in (early, late):
        for use in (model, model.features, model.profile):
            with pytest.raises(ValueError, match=message):
                use(x)
        with pytest.raises(ValueError, match=message):
            pickle.dumps(model)


def test_weights_that_are_packed_anew_need_the_file_no_more(tmp_path: Path) -> None:
    path = saved("Model", tmp_path)
    with dispatch.use(instruction_set_of_other_widths()):
        model, expected = load(path), two_inputs().compile()((MAP, GATE))
        path.write_bytes(b"")
        assert_bits(model((MAP, GATE)), expected)
        assert_bits(pickle.loads(pickle.dumps(model))((MAP, GATE)), expected)
