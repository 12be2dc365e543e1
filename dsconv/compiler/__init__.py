"""Compile a graph that describes a network into a model that runs it.

    graph --passes--> graph of fused layers --lowering--> NamedProgram --model--> Model

`passes` rewrite the graph and know no weights, `places` plans the memory of its tensors, `lowering`
plans a step or more for each layer, `weights` reads and folds the weights one layer at a time, and
`model` runs the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dsconv.compiler.model import Model

if TYPE_CHECKING:
    from dsconv.network.structure import Structure

__all__ = ["Model", "compile"]


def compile(
    graph: Structure,
    weights: Mapping[str, Any] | None = None,
    threads: int | None = None,
    *,
    winograd: bool = False,
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
        `graph.init_weights(0)`. The model keeps a list of the nodes and a reference to the
        mapping for `dsconv.save`, which refuses weights that were changed in the meantime.
    threads
        For every call; None: `dsconv.get_num_threads()` at the time of the call.
    winograd
        Compute plain 3x3 convolutions (stride 1, dilation 1, one group) by Winograd's algorithm
        where that pays: with 36 products instead of 144 for 4 x 4 pixels, or on small maps 16
        instead of 36 for 2 x 2. The results are still the same bits for any number of threads,
        batch size and FMA instruction set.

        Off by default, because it gives up the fixed order of summation, and the direct kernels'
        bits with it. Against float64, the root mean square error of one layer is 1.8 to 2.1 times
        the direct kernel's with the larger tile, 0.6 to 0.75 times with the smaller one (normal
        inputs and ReLU outputs, 64 to 512 channels); that of the logits of MobileNetV1's standard
        counterpart and of ResNet-50 with random weights 1.00 to 1.03 times.

        Weights of these layers take 4 times (smaller tile: 1.8 times) the memory, in pickles of
        the model too, and the transform takes time when the model is compiled.

    Returns
    -------
    Model

    Raises
    ------
    ValueError, TypeError
        For a graph that is not complete, a `winograd` that is not a bool, and weights that are
        missing, left over, or of the wrong shape or dtype; names them.
    """
    # Models out of files run without these.
    from dsconv.compiler.lowering import lower
    from dsconv.compiler.passes import optimise
    from dsconv.compiler.source import GraphSource
    from dsconv.compiler.weights import FoldedWeights
    from dsconv.layers.base import flag
    from dsconv.network.seeded_weights import init_weights

    graph.validate()
    flag(winograd, "winograd")
    values = init_weights(graph, 0) if weights is None else weights
    source = GraphSource(graph, weights)
    folded = FoldedWeights(graph, values, None if weights is None else source.checksums)
    model = Model(graph.name, lower(optimise(graph), folded, winograd=winograd), threads)
    model.source = source
    return model
