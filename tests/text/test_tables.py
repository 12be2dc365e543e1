"""Tables of strings as plain text and as Markdown."""

from __future__ import annotations

from dsconv.text.tables import WIDTH, markdown_table, text_table


def test_text_tables_wrap_their_last_column() -> None:
    text = text_table(("n", "name", "why"), [("1", "a", "word " * 60), ("23", "b", "")], (0,))
    lines = text.splitlines()
    assert lines[0] == " n  name  why" and set(lines[1]) == {"-"}
    assert lines[2].startswith(" 1  a     word") and lines[3].startswith("          word")
    assert lines[-1] == "23  b" and max(map(len, lines)) <= WIDTH
    assert " ".join(text.split()).count("word") == 60


def test_markdown_tables_escape_bars() -> None:
    assert markdown_table(("a", "b"), [("x|y", "1")], (1,)) == (
        "| a | b |\n|---|---:|\n| x\\|y | 1 |"
    )
