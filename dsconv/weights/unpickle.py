"""Read pickles of plain data and a given list of names, and nothing else.

`pickle.Unpickler` with a limited `find_class` is not enough: limiting the names stops code from
running, but the opcodes themselves stay open. The standard one allocates a
memo as long as the largest index that a file mentions and byte arrays as long as the file claims,
looks `__setstate__` up on what BUILD is given, hashes nested tuples by recursion until the stack
overflows, reaches the extension registry, and fails with a dozen kinds of exception. The thirty
opcodes that a checkpoint needs are simpler to write down than those cases are to close:

- an opcode that is not in the table below is refused, and so is a name the caller did not give;
- the memo is a dict, so an index costs nothing; keys of dicts are strings or small integers;
- REDUCE calls only the caller's functions, with the argument tuple as one value for them to check;
- the length of strings and the number of opcodes are limited, so that memory stays within the
  length of the file and some 100 MB whatever the file says;
- every failure is a ValueError.

Opcodes: protocols 2 to 5, described in the standard library's `pickletools`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, BinaryIO

from dsconv.weights.file import shorten

__all__ = ["unpickle"]

_TRUNCATED = "the pickle is truncated"
_MAX_OPCODES = 1_000_000
_MAX_STRING = 2**16  # bytes
_MAX_KEY = 2**60  # below the modulus of integer hashes, so that keys cannot be made to collide


def unpickle(
    file: BinaryIO, names: Mapping[str, Any], persistent: Callable[[Any], Any] | None = None
) -> Any:
    """Read one pickle and leave the file behind its end.

    Parameters
    ----------
    file
        Open for reading, positioned at the pickle.
    names
        The globals allowed, "module.name" -> what stands for it here. Functions among them are
        called with one argument, the tuple of arguments; other values are plain data.
    persistent
        Called with each persistent id; None refuses them.

    Raises
    ------
    ValueError
        For a truncated or malformed pickle and for anything that is not allowed, which is named.
    """
    return _Machine(file, names, persistent).run()


class _Machine:
    """Run the opcodes of one pickle on a stack, as `pickle.Unpickler` does."""

    def __init__(
        self, file: BinaryIO, names: Mapping[str, Any], persistent: Callable[[Any], Any] | None
    ) -> None:
        self.file = file
        self.names = names
        self.persistent = persistent
        self.stack: list[Any] = []  # since the last mark
        self.below: list[list[Any]] = []  # the stacks under each mark
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        read = self.file.read
        try:
            for _ in range(_MAX_OPCODES):
                code = read(1)
                operation = _OPERATIONS.get(code)
                if operation:
                    operation(self)
                elif code == b".":
                    return self.stack.pop()
                else:
                    raise ValueError(f"pickle opcode {code!r} is refused" if code else _TRUNCATED)
        except IndexError:
            raise ValueError("malformed pickle: a value is missing on the stack") from None
        raise ValueError(f"a pickle of more than {_MAX_OPCODES} opcodes is refused")

    def take(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) != count:
            raise ValueError(_TRUNCATED)
        return data

    def unsigned(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def signed(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little", signed=True)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def protocol(self) -> None:
        version = self.unsigned(1)
        if not 2 <= version <= 5:
            raise ValueError(f"pickle protocol {version}; allowed are 2 to 5")

    def string(self, size: int) -> None:
        length = self.unsigned(size)
        if length > _MAX_STRING:
            raise ValueError(f"a string of {length} bytes; at most {_MAX_STRING} are allowed")
        self.stack.append(self.take(length).decode())

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        values = self.stack
        if not self.below:
            raise ValueError("malformed pickle: no mark")
        self.stack = self.below.pop()
        return values

    def collect(self, count: int | None = None) -> None:
        if count is None:
            values = self.since_mark()
        elif len(self.stack) < count:
            raise IndexError
        else:
            values = self.stack[len(self.stack) - count :]
            del self.stack[len(self.stack) - count :]
        self.stack.append(tuple(values))

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError("malformed pickle: APPEND to something other than a list")
        target.extend(values)

    def update(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(values) % 2:
            raise ValueError("malformed pickle: SETITEM on something other than a dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) is not str and not (type(key) is int and abs(key) < _MAX_KEY):
                raise ValueError(f"dict key {shorten(key)}; allowed are strings and integers")
            target[key] = value

    def last_two(self) -> list[Any]:
        value = self.stack.pop()
        return [self.stack.pop(), value]

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise ValueError(f"malformed pickle: memo {index} is not set")
        self.stack.append(self.memo[index])

    def line(self) -> str:
        text = self.file.readline(256)
        if not text.endswith(b"\n"):
            raise ValueError("truncated or overlong name in the pickle")
        return text[:-1].decode()

    def name(self, module: object, name: object) -> None:
        if type(module) is not str or type(name) is not str:
            raise ValueError("malformed pickle: a global without a name")
        full = f"{module}.{name}"
        if full not in self.names:
            raise ValueError(f"the pickle refers to {shorten(full)}, which is refused")
        self.stack.append(self.names[full])

    def persistent_id(self) -> None:
        if self.persistent is None:
            raise ValueError("a persistent id is refused in this pickle")
        self.stack.append(self.persistent(self.stack.pop()))

    def reduce(self) -> None:
        function, arguments = self.last_two()
        if type(function) is not FunctionType or type(arguments) is not tuple:
            raise ValueError(f"the pickle calls something {shorten(function)}, which is refused")
        self.stack.append(function(arguments))

    def build(self) -> None:
        """Drop the attributes of an OrderedDict, the versions of a state dict's modules."""
        target, state = self.last_two()
        if type(target) is not dict or type(state) is not dict:
            raise ValueError("the pickle sets the state of an object, which is refused")
        self.stack.append(target)


_OPERATIONS: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": _Machine.protocol,
    b"\x95": lambda m: m.take(8),  # FRAME: only a hint for buffers
    b"(": _Machine.mark,
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"K": lambda m: m.push(m.unsigned(1)),  # BININT1
    b"M": lambda m: m.push(m.unsigned(2)),  # BININT2
    b"J": lambda m: m.push(m.signed(4)),  # BININT
    b"\x8a": lambda m: m.push(m.signed(m.unsigned(1))),  # LONG1
    b"G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),  # BINFLOAT
    b"\x8c": lambda m: m.string(1),  # SHORT_BINUNICODE
    b"X": lambda m: m.string(4),  # BINUNICODE
    b"U": lambda m: m.string(1),  # SHORT_BINSTRING, of Python 2
    b"T": lambda m: m.string(4),  # BINSTRING
    b")": lambda m: m.collect(0),
    b"\x85": lambda m: m.collect(1),
    b"\x86": lambda m: m.collect(2),
    b"\x87": lambda m: m.collect(3),
    b"t": _Machine.collect,
    b"]": lambda m: m.push([]),
    b"a": lambda m: m.extend([m.stack.pop()]),
    b"e": lambda m: m.extend(m.since_mark()),
    b"}": lambda m: m.push({}),
    b"s": lambda m: m.update(m.last_two()),
    b"u": lambda m: m.update(m.since_mark()),
    b"q": lambda m: m.put(m.unsigned(1)),
    b"r": lambda m: m.put(m.unsigned(4)),
    b"\x94": lambda m: m.put(len(m.memo)),  # MEMOIZE
    b"h": lambda m: m.get(m.unsigned(1)),
    b"j": lambda m: m.get(m.unsigned(4)),
    b"c": lambda m: m.name(m.line(), m.line()),  # GLOBAL
    b"\x93": lambda m: m.name(*m.last_two()),  # STACK_GLOBAL
    b"Q": _Machine.persistent_id,
    b"R": _Machine.reduce,
    b"b": _Machine.build,
}
