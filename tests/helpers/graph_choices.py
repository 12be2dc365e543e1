"""Choices on the way to a random graph: tensors, shapes and windows that fit each other."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from dsconv.graph import Graph

WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 24, 33]  # channels, around whole vecs and blocks of them
CLIPS = [(0.0, math.inf), (0.0, 6.0), (-0.5, 0.7), (-math.inf, 0.25), (-1.0, math.inf)]


class Choices:
    """A graph under construction, and how to find one's way in it."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.graph = Graph("random")
        self.products = 0
        for number in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
            rank = draw(st.sampled_from([3, 3, 3, 3, 1, 2]))
            sides = tuple(draw(st.integers(1, 8)) for _ in range(rank - 1))
            self.graph.input((*sides, draw(st.sampled_from(WIDTHS))), name=f"input{number}")

    def choose_outputs(self) -> None:
        """Choose whatever nothing reads, and some of the rest, in any order."""
        graph = self.graph
        read = {tensor for node in graph.nodes.values() for tensor in node.inputs}
        outputs = []
        for node in graph.nodes:
            tensors = list(graph.tensors(node))
            unread = [tensor for tensor in tensors if tensor not in read]
            if len(unread) == len(tensors):
                outputs.append(self.draw(st.sampled_from(tensors)))
            outputs += [t for t in tensors if t not in outputs and self.rarely()]
        graph.output(*self.draw(st.permutations(outputs)))

    def rarely(self) -> bool:
        return self.draw(st.integers(0, 7)) == 7

    def coin(self) -> bool:
        return self.draw(st.booleans())

    def one_of(self, values: Any) -> Any:
        return self.draw(st.sampled_from(values))

    def tensors(self) -> list[str]:
        """Return all tensors, the newest first."""
        return [t for node in reversed(self.graph.nodes) for t in self.graph.tensors(node)]

    def recent(self, tensors: list[str]) -> str:
        """Choose one of the tensors, mostly one of the first."""
        return tensors[min(self.one_of([0, 0, 0, 0, 1, 1, 2, 3, 5]), len(tensors) - 1)]

    def any(self) -> str:
        return self.recent(self.tensors())

    def map(self) -> str:
        """Choose a tensor (H, W, C); a new input where there is none."""
        maps = [t for t in self.tensors() if len(self.graph.shape(t)) == 3]
        if not maps:
            return self.graph.input((3, 5, 4))
        return self.recent(maps)

    def vector(self) -> str:
        """Choose a tensor (C,), flattened or pooled where need be."""
        x = self.any()
        shape = self.graph.shape(x)
        if len(shape) == 3 and self.coin():
            return self.graph.global_average_pool(x)
        return x if len(shape) == 1 else self.graph.flatten(x)

    def like(self, x: str) -> str:
        """Choose a tensor of the same shape, x itself if there is no other."""
        shape = self.graph.shape(x)
        return self.recent([t for t in self.tensors() if self.graph.shape(t) == shape])

    def window(self, x: str) -> dict[str, Any]:
        """Kernel, stride, padding and dilation that leave something of a map."""
        stride, dilation = (self.one_of([1, 1, 2, (1, 2), 3]), self.one_of([1, 1, 1, 2, (3, 1)]))
        kernel = self.one_of([3, 3, 1, 2, (3, 1), (2, 4), 5])
        paddings: list[Any] = ["same", "same", 1, (0, 2), ((0, 1), (1, 0)), "valid"]
        padding = self.one_of(paddings)
        reach = [
            (k - 1) * d + 1
            for k, d in zip(
                kernel if isinstance(kernel, tuple) else (kernel, kernel),
                dilation if isinstance(dilation, tuple) else (dilation, dilation),
                strict=True,
            )
        ]
        if any(r > s for r, s in zip(reach, self.graph.shape(x), strict=False)):
            padding = "same"
        return {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
