"""Define Graph, the class that people build networks with, over `network` and `compiler`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dsconv.network.builders import Builders

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from dsconv.compiler.model import Model
    from dsconv.network.summary import GraphCost, Summary


class Graph(Builders):
    """Build a network as a directed acyclic graph of layers, and count, show or compile it.

    Parameters
    ----------
    name
        The network's name, for summaries and files.

    Examples
    --------
    >>> graph = Graph("tiny")
    >>> x = graph.input((32, 32, 3))
    >>> x = graph.conv2d(x, 16, 3, stride=2, name="conv0")
    >>> graph.output(graph.relu6(x))
    >>> graph.shape(x), graph.cost().mult_adds
    ((16, 16, 16), 110592)
    """

    # The methods import what they need when they are called, because most programs call few.

    def cost(self) -> GraphCost:
        """Count mult-adds and parameters: in total, by layer and by kind."""
        from dsconv.network.summary import GraphCost

        return GraphCost(self)

    def summary(self) -> Summary:
        """Return the table of all layers with shapes and costs."""
        from dsconv.network.summary import Summary

        return Summary(self)

    def init_weights(self, seed: int = 0) -> dict[str, NDArray[float32]]:
        """Draw weights by parameter name, see `dsconv.network.seeded_weights.init_weights`."""
        from dsconv.network.seeded_weights import init_weights

        return init_weights(self, seed)

    def to_json(self) -> str:
        """Return the graph as JSON text, which `from_json` reads."""
        from dsconv.network.json import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """Build the graph that `to_json` wrote; ValueError names the fault of any other text."""
        from dsconv.network.json import from_json

        return from_json(text, cls)

    def compile(
        self,
        weights: Mapping[str, Any] | None = None,
        threads: int | None = None,
        *,
        winograd: bool = False,
    ) -> Model:
        """Make a model that runs, see `dsconv.compiler.compile`."""
        from dsconv.compiler import compile

        return compile(self, weights, threads, winograd=winograd)
