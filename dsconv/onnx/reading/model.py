"""ONNX files as models that take and return arrays in the file's own layout."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from dsconv.compiler.lowering import lower
from dsconv.compiler.model import Model
from dsconv.compiler.passes import optimise
from dsconv.compiler.weights import FoldedWeights
from dsconv.layers.base import integers
from dsconv.onnx.reading.file import path_of, read_file
from dsconv.onnx.reading.translating import Network, translate
from dsconv.text.lines import Fields, shape_lines, shapes_of
from dsconv.weights.file import errors_name

if TYPE_CHECKING:
    from dsconv.kernels.named_program import NamedProgram, Shapes

__all__ = ["OnnxModel", "load_onnx", "read_onnx"]

_SHAPES = {"inputs": "onnx_input", "outputs": "onnx_output"}  # attribute -> lines of a file


class OnnxModel(Model):
    """A network out of an ONNX file.

    Attributes
    ----------
    layout : str
        "NCHW": maps have their channels first, as in the file.
    inputs, outputs : dict of str to tuple
        Shapes by the names in the file and in its order, without the batch.
    """

    layout = "NCHW"

    def __init__(
        self, name: str, program: NamedProgram, threads: int | None, inputs: Shapes, outputs: Shapes
    ) -> None:
        super().__init__(name, program, threads)
        self.inputs = _as_in_the_file(inputs, self.inputs)
        self.outputs = _as_in_the_file(outputs, self.outputs)

    def __call__(self, *inputs: Any) -> Any:
        """Run the network.

        Parameters
        ----------
        *inputs : ndarray of float32
            One for each input of the file, in its order and with its shape: (N, C, H, W) for a
            map, or (C, H, W) for one image. N may be any number, also where the file fixes it:
            the supported operators treat each image by itself.

        Returns
        -------
        ndarray of float32, or a list of them for several outputs
            In the file's order, each with its shape; with the batch axis if the inputs have one.

        Raises
        ------
        ValueError, TypeError
            For a wrong shape or dtype; names the input.
        """
        if len(inputs) != len(self.inputs):
            raise ValueError(
                f"the network takes {len(self.inputs)} inputs {tuple(self.inputs)}, "
                f"got {len(inputs)}"
            )
        results = super().__call__(inputs)
        return list(results) if isinstance(results, tuple) else results

    def _details(self) -> Fields:
        return {key: shape_lines(getattr(self, name)) for name, key in _SHAPES.items()}

    @classmethod
    def _checked_details(cls, lines: Fields) -> dict[str, Any]:
        details = {name: shapes_of(lines.pop(key, []), key) for name, key in _SHAPES.items()}
        if lines:
            raise ValueError(f"a network out of an ONNX file has no lines {sorted(lines)}")
        return details


def _as_in_the_file(shapes: Shapes, inside: Shapes) -> Shapes:
    """Return `shapes`, once it is certain that they hold as many values as those of the graph."""
    result = {name: integers(shape, "shape") if shape else () for name, shape in shapes.items()}
    if list(map(math.prod, result.values())) != list(map(math.prod, inside.values())):
        raise ValueError(f"the shapes {shapes} do not fit those of the graph, {inside}")
    return result


def load_onnx(path: str | os.PathLike[str], threads: int | None = None) -> OnnxModel:
    """Load a network from an ONNX file (opset 7 to 28).

    Batch norms are folded, activations fused and maps kept as NHWC inside, as for every model of
    this package. Nothing in the file is executed, and no other file is opened.

    Parameters
    ----------
    path : path
    threads : int, optional
        For every call; default: `dsconv.get_num_threads()` at the time of the call.

    Returns
    -------
    OnnxModel

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the package onnx is not installed.
    ValueError, TypeError
        If the file is damaged, or holds an operator, an attribute or a type that is not
        supported; names the file and the node or the tensor.
    """
    with errors_name(path_of(path)):
        network = read_onnx(path)
        weights = FoldedWeights(network.graph, network.weights)
        program = lower(optimise(network.graph), weights)
    return OnnxModel(network.graph.name, program, threads, network.inputs, network.outputs)


def read_onnx(path: str | os.PathLike[str]) -> Network:
    """Read the graph of an ONNX file with its weights, which `load_onnx` compiles.

    Its inputs and outputs are as in the file, NCHW; Transpose layers lead to the maps inside.

    Returns
    -------
    Network
        graph, weights, and the shapes of inputs and outputs by the names in the file. Weights are
        read when they are asked for.

    Raises
    ------
    FileNotFoundError, ImportError, ValueError, TypeError
        As `load_onnx`.
    """
    with errors_name(path_of(path)):
        return translate(read_file(path_of(path)))
