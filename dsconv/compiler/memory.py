"""Memory plan: buffers whose lifetimes do not meet share one arena."""

from __future__ import annotations

ALIGNMENT = 16  # floats: a cache line


class Buffer:
    """Memory of one or more tensors, from the step that first writes it to its last reader."""

    __slots__ = ("first", "last", "offset", "size")

    def __init__(self, size: int, first: int, last: int) -> None:
        self.size = size  # floats for each image
        self.first = first  # index of the step that writes it
        self.last = last  # index of the last step that reads it
        self.offset = 0  # in floats for each image, set by `plan`


def plan(buffers: list[Buffer]) -> int:
    """Give every buffer an offset, and return the floats of the arena.

    Largest first, each at the lowest place where it meets no buffer alive at the same time
    (greedy by size; Pisarchyk and Lee, arXiv 2001.03288).
    """
    placed: list[Buffer] = []
    for buffer in sorted(buffers, key=lambda b: -b.size):
        offset = 0
        neighbours = [b for b in placed if b.first <= buffer.last and buffer.first <= b.last]
        for other in sorted(neighbours, key=lambda b: b.offset):
            if offset + buffer.size <= other.offset:
                break
            offset = max(offset, aligned(other.offset + other.size))
        buffer.offset = offset
        placed.append(buffer)
    return max((aligned(b.offset + b.size) for b in buffers), default=0)


def unshared(buffers: list[Buffer]) -> int:
    """Floats of the arena if no two buffers shared memory."""
    return sum(aligned(buffer.size) for buffer in buffers)


def aligned(floats: int) -> int:
    """`floats` rounded up to whole cache lines."""
    return -(-floats // ALIGNMENT) * ALIGNMENT
