"""Text of lines `key value`: a header that is read without a parser's start, and by eye."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MOST_AXES = 31  # of a shape, beside the batch

Fields = dict[str, list[str]]  # the values of a key in order; a key may have any number


def to_text(fields: Mapping[str, Iterable[str]]) -> str:
    r"""Return one line for each value; in values a backslash is \b, and a line feed is \n."""
    return "".join(
        key + " " + value.replace("\\", "\\b").replace("\n", "\\n") + "\n"
        for key, values in fields.items()
        for value in values
    )


def from_text(text: str) -> Fields:
    """Return the fields of a text of `to_text`; any other text gives some fields, too."""
    fields: Fields = {}
    for line in text.removesuffix("\n").split("\n"):
        key, _, value = line.partition(" ")
        fields.setdefault(key, []).append(value.replace("\\n", "\n").replace("\\b", "\\"))
    return fields


def one(fields: Fields, key: str) -> str:
    """Take the value of a key that must have one."""
    values = fields.pop(key, [])
    if len(values) != 1:
        raise ValueError(f"there must be one line {key!r}, got {len(values)}")
    return values[0]


def at_most_one(fields: Fields, key: str) -> str | None:
    """Take the value of a key that need not have one."""
    if fields.get(key):
        return one(fields, key)
    fields.pop(key, None)
    return None


def number(text: str, name: str, minimum: int = 0, maximum: int = 2**63 - 1) -> int:
    """Return the integer of a text, which must lie within the limits."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"{name} must be digits, got {text[:40]!r}")
    value = int(text)
    if not minimum <= value <= maximum:
        raise ValueError(f"{name} must be from {minimum} to {maximum}, got {value}")
    return value


def shape_lines(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return shapes by name as lines: `224,224,3 name`."""
    return [f"{','.join(map(str, shape))} {name}" for name, shape in shapes.items()]


def shape_of(text: str, what: str) -> tuple[int, ...]:
    """Return the shape of a text such as `224,224,3`."""
    shape = tuple(number(size, what, 1) for size in text.split(",")) if text else ()
    if len(shape) > MOST_AXES:
        raise ValueError(f"{what} must have up to {MOST_AXES} axes, got {len(shape)}")
    return shape


def shapes_of(lines: Iterable[str], what: str) -> dict[str, tuple[int, ...]]:
    """Return what `shape_lines` wrote."""
    shapes: dict[str, tuple[int, ...]] = {}
    for line in lines:
        sizes, _, name = line.partition(" ")
        if name in shapes:
            raise ValueError(f"{what} must have names of its own, got {name[:80]!r} twice")
        shapes[name] = shape_of(sizes, what)
    if not shapes:
        raise ValueError(f"there must be at least one line {what!r}")
    return shapes
