"""From a graph that describes to a model that runs.

    Graph --fused.wrap--> --passes--> Graph with fused layers --lowering--> steps + arena = Model

`passes` rewrite graphs and know no weights; `parameters` folds and hands out weights one layer at
a time; `memory` plans the arena; `lowering` packs weights and emits steps; `model` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dsconv.compiler.lowering import lower
from dsconv.compiler.model import GraphSource, Model
from dsconv.compiler.parameters import Parameters
from dsconv.compiler.passes import optimise

if TYPE_CHECKING:
    from dsconv.graph import Graph

__all__ = ["Model", "compile"]


def compile(
    graph: Graph, weights: Mapping[str, Any] | None = None, threads: int | None = None
) -> Model:
    """Compile a graph into a model that runs in one call without the GIL.

    Batch norms are folded into the convolutions before them, clips and additions are taken into
    the kernels, depthwise + pointwise and whole inverted residuals run in one pass, and
    activations share one arena. Weights are read and packed layer by layer.

    Parameters
    ----------
    graph
        Any graph that `Graph.validate` accepts.
    weights
        Float32 array by parameter name, or any mapping that reads them on demand; None takes
        `graph.init_weights(0)`. The model keeps a reference to graph and mapping for `dsconv.save`.
    threads
        For every call; None: `dsconv.get_num_threads()` at the time of the call.

    Returns
    -------
    Model

    Raises
    ------
    ValueError, TypeError
        For a graph that is not complete, and weights that are missing, left over, or of the wrong
        shape or dtype; names them.
    """
    graph.validate()
    values = graph.init_weights(0) if weights is None else weights
    model = Model(graph.name, lower(optimise(graph), Parameters(graph, values)), threads)
    model.source = GraphSource(graph, weights)
    return model
