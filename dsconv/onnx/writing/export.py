"""Write a graph and its weights as an ONNX file, for other engines and for viewers.

Maps are (N, C, H, W) in the file, because ONNX's operators want them so. Nodes, tensors and
initializers have the graph's own names. `layers.py` writes each layer with the `LayerWriter` of
`nodes.py`; the kinds that only move values are in `shaping.py`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dsconv import __version__
from dsconv.arguments.numbers import integer
from dsconv.compiler.fused import Fused
from dsconv.compiler.passes import fold_batch_norm, optimise
from dsconv.compiler.weights import FoldedWeights
from dsconv.files.writing import replacing
from dsconv.graph import Graph
from dsconv.layers import Input
from dsconv.onnx.memory import require_memory
from dsconv.onnx.writing.layers import add_layer
from dsconv.onnx.writing.nodes import FileContent, LayerWriter, file_shape

if TYPE_CHECKING:
    import onnx

__all__ = ["to_onnx", "write_onnx"]

OPSET = 17
_IR_VERSION = 8  # that of the ONNX release with this opset; older engines refuse newer ones
_COPIES = 6  # of all weights that protobuf holds at a time, its file among them, rounded up
_LARGEST = 2**31 - 2**24  # bytes of weights; protobuf allows 2 GB, and the names need some


def to_onnx(
    graph: Graph,
    weights: Mapping[str, np.ndarray] | None = None,
    *,
    batch: int | None = None,
    fold: bool = False,
) -> onnx.ModelProto:
    """Convert a graph to an ONNX model (opset 17).

    Parameters
    ----------
    graph
        Any graph that `Graph.validate` accepts.
    weights
        Float32 arrays by parameter name; the mapping may read them on demand. None takes
        `graph.init_weights(0)`, as `Graph.compile` does.
    batch
        Images in a batch, for engines that want fixed shapes. None leaves it open, as "N".
    fold
        Fold batch norms into the convolutions and dense layers before them, as the compiler
        does, instead of writing BatchNormalization nodes. A folded layer has the name of the
        batch norm.

    Returns
    -------
    onnx.ModelProto
        An input or output that is (H, W, C) in the graph is (N, C, H, W) in the model.

    Raises
    ------
    ValueError, TypeError
        If the graph is not complete, or weights are missing, left over, of the wrong shape or
        dtype, or take more than 2 GB, which an ONNX file cannot hold.
    ImportError
        If the package onnx is not installed.
    MemoryError
        If there is not about six times the memory that the weights take: protobuf copies them, and
        ends the process where it finds none.
    """
    helper = _onnx().helper
    if not isinstance(graph, Graph):
        raise TypeError(f"graph must be a dsconv.Graph, got {type(graph).__name__}")
    graph.validate()
    if batch is not None:
        batch = integer(batch, "batch")
    size = sum(4 * math.prod(shape) for shape in graph.parameters().values())
    if size > _LARGEST:
        raise ValueError(
            f"the weights of {graph.name!r} take {size} bytes, an ONNX file holds at most {_LARGEST}"
        )
    if weights is None:
        weights = graph.init_weights(0)
    if fold:
        graph, weights = _folded(graph, weights)
    require_memory(_COPIES * size, f"writing {graph.name!r} as ONNX")
    file = FileContent(graph, FoldedWeights(graph, weights), batch)
    for name, node in graph.nodes.items():
        if not isinstance(node.layer, Input):
            writer = LayerWriter(file, name, graph.input_shapes(name), graph.tensors(name))
            add_layer(writer, node.layer, *node.inputs)

    def values(tensors: Any) -> list[Any]:
        return [
            helper.make_tensor_value_info(
                tensor, _onnx().TensorProto.FLOAT, (batch or "N", *file_shape(graph.shape(tensor)))
            )
            for tensor in tensors
        ]

    ends = {*graph.inputs, *graph.outputs}
    between = [t for name in graph.nodes for t in graph.tensors(name) if t not in ends]
    return helper.make_model(
        helper.make_graph(
            file.nodes,
            graph.name,
            values(graph.inputs),
            values(graph.outputs),
            file.initializers,
            value_info=values(between),
        ),
        producer_name="dsconv",
        producer_version=__version__,
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )


def write_onnx(
    graph: Graph,
    weights: Mapping[str, np.ndarray] | None,
    path: str | os.PathLike[str],
    *,
    batch: int | None = None,
    fold: bool = False,
) -> None:
    """Write a graph as an ONNX file.

    Parameters
    ----------
    path
        The file. If it exists, it is replaced as a whole.
    graph, weights, batch, fold
        See `to_onnx`.

    Raises
    ------
    ValueError, TypeError, ImportError, MemoryError
        See `to_onnx`. The file is not touched.
    OSError
        If the file cannot be written.
    """
    content = to_onnx(graph, weights, batch=batch, fold=fold).SerializeToString()
    with replacing(path) as file:
        file.write(content)


def _folded(graph: Graph, weights: Mapping[str, np.ndarray]) -> tuple[Graph, dict[str, np.ndarray]]:
    """Fold batch norms into the layers with weights before them."""
    parameters = FoldedWeights(graph, weights)
    new, arrays = Graph(graph.name), {}
    for name, node in optimise(graph, [fold_batch_norm]).nodes.items():
        layer = node.layer
        if isinstance(layer, Fused):
            weight, bias = parameters.folded(layer.last)
            layer = replace(layer.last.layer, bias=bias is not None)
            arrays[f"{name}/weight"] = weight
            if bias is not None:
                arrays[f"{name}/bias"] = bias
        else:
            for parameter in layer.parameters(graph.input_shapes(name)):
                arrays[f"{name}/{parameter}"] = parameters.read(f"{name}/{parameter}")
        new.add(layer, *node.inputs, name=name)
    new.output(*graph.outputs)
    return new, arrays


def _onnx() -> Any:
    """Import and return the module onnx with its helpers."""
    try:
        import onnx
        import onnx.helper
    except ImportError as error:
        raise ImportError("ONNX files need onnx: pip install 'dsconv[onnx]'") from error
    return onnx
