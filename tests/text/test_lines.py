"""Text of lines: what is written comes back, and any text is read or refused by a ValueError."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsconv.text.lines import (
    MOST_AXES,
    at_most_one,
    from_text,
    number,
    one,
    shape_lines,
    shapes_of,
    to_text,
)

TEXT = st.text(st.characters(), max_size=20) | st.text("\\nb \n", max_size=8)
KEYS = st.text("abcdefgh_", min_size=1, max_size=4)


@given(fields=st.dictionaries(KEYS, st.lists(TEXT, min_size=1, max_size=4), min_size=1))
def test_what_is_written_comes_back(fields: dict[str, list[str]]) -> None:
    text = to_text(fields)
    assert from_text(text) == fields and list(from_text(text)) == list(fields)
    assert text.count("\n") == sum(map(len, fields.values()))


@given(TEXT)
def test_any_text_is_read(text: str) -> None:
    assert sum(map(len, from_text(text).values())) == text.removesuffix("\n").count("\n") + 1


def test_the_form() -> None:
    assert to_text({"a": ["1 b", "c\\d\ne"], "b": [], "c": [""]}) == "a 1 b\na c\\bd\\ne\nc \n"


def test_how_many_lines() -> None:
    fields = {"a": ["1"], "b": ["2", "3"], "c": []}
    assert one(dict(fields), "a") == at_most_one(dict(fields), "a") == "1"
    assert at_most_one(dict(fields), "d") is None
    assert at_most_one(empty := dict(fields), "c") is None and "c" not in empty
    for key, count in (("b", 2), ("c", 0), ("d", 0)):
        with pytest.raises(ValueError, match=f"there must be one line '{key}', got {count}"):
            one(dict(fields), key)
    left = dict(fields)
    one(left, "a")
    assert left == {"b": ["2", "3"], "c": []}


@given(st.integers(0, 2**63 - 1))
def test_numbers(value: int) -> None:
    assert number(str(value), "n") == value
    with pytest.raises(ValueError, match=f"n must be from {value + 1} to {value + 2}, got {value}"):
        number(str(value), "n", value + 1, value + 2)


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.0", " 1", "1_0", "\u0663", "\u00b2", "1" * 20, "x"]
)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="n must be digits"):
        number(text, "n")


SHAPES = st.dictionaries(
    TEXT, st.lists(st.integers(1, 2**63 - 1), max_size=4).map(tuple), min_size=1
)


@given(SHAPES)
def test_shapes(shapes: dict[str, tuple[int, ...]]) -> None:
    assert shapes_of(shape_lines(shapes), "input") == shapes


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "there must be at least one line 'input'"),
        (["1 a", "1 a"], "input must have names of its own"),
        (["1,0 a"], "input must be from 1"),
        (["1,,2 a"], "input must be digits"),
        (["a 1"], "input must be digits, got 'a'"),
        (["1" + ",1" * MOST_AXES + " a"], f"up to {MOST_AXES} axes"),
    ],
)
def test_what_are_no_shapes(lines: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shapes_of(lines, "input")
