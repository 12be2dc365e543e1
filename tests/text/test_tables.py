"""Tables of strings, and the marks on figures that are above the peak."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsconv.text.peak import FOOTNOTE, marked, percent_of_peak, with_footnote
from dsconv.text.tables import WIDTH, markdown_table, text_table


def test_the_last_column_wraps() -> None:
    rows = [("1", "a", "word " * 60), ("23", "b", "")]
    lines = text_table(("n", "name", "why"), rows, right=(0,)).splitlines()
    assert lines[0] == " n  name  why" and set(lines[1]) == {"-"}
    assert lines[2].startswith(" 1  a     word") and lines[3].startswith("          word")
    assert lines[-1] == "23  b" and max(map(len, lines)) <= WIDTH
    assert " ".join(lines).count("word") == 60


def test_parts_and_titles() -> None:
    parts = [("a", "1", "2222")], [], [("bcdef", "333", "4")]
    titles = (("", 1), ("numbers", 2))
    assert text_table(("name", "x", "y"), *parts, right=(1, 2), titles=titles).splitlines() == [
        "       numbers",
        "name     x    y",
        "---------------",
        "a        1 2222",
        "---------------",
        "bcdef  333    4",
    ]
    assert text_table(("a", "b"), [("x", "1")]) == "a  b\n----\nx  1"
    assert text_table(("a", "b")) == "a  b"


def test_markdown() -> None:
    assert markdown_table(("a", "b"), [("x|y", "1")], [("z", "2")], right=(1,)) == (
        "| a | b |\n|---|---:|\n| x\\|y | 1 |\n| z | 2 |"
    )


CELLS = st.text("ab1- ", max_size=70).map(lambda text: " ".join(text.split()))


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1), st.sets(st.integers(0, 2)))
def test_columns_stand_below_each_other(rows: list[tuple[str, ...]], right: set[int]) -> None:
    header = ("first", "second", "third")
    lines = text_table(header, rows, right=sorted(right)).splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert lines[1] == "-" * max(map(len, lines[:1] + lines[2:]))
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    starts = [0, widths[0] + 2, widths[0] + widths[1] + 4]
    for number, start in enumerate(starts):  # every cell comes back from its column, wrapped or not
        end = starts[number + 1] - 2 if number < 2 else None
        found = " ".join(line[start:end].strip() for line in lines[2:])
        assert found.split() == " ".join(row[number] for row in rows).split()
        assert all(line[start - 2 : start].strip() == "" for line in lines[2:] if number)


@pytest.mark.parametrize(
    ("percent", "text"),
    [(99.9, "99.9"), (100.0, "100.0"), (100.04, "100.0"), (100.06, "100.1*"), (1e5, "100000.0*")],
)
def test_figures_above_the_peak_are_marked(percent: float, text: str) -> None:
    assert percent_of_peak(percent) == text
    assert marked("7 us", percent) == "7 us" + "*" * text.endswith("*")
    table = text_table(("step * 2", "%peak"), [("a*", text)], right=(1,))
    assert with_footnote(table) == (f"{table}\n\n{FOOTNOTE}" if "*" in text else table)
    assert max(map(len, FOOTNOTE.splitlines())) <= WIDTH
