"""Draw random ONNX models: a few operators in a row, as exporters write them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper
from onnx_random_operators import Shape, Writer


class RandomModel(NamedTuple):
    """A model with a batch for its input."""

    model: ModelProto
    x: list[np.ndarray]

    def __repr__(self) -> str:
        return str([(n.op_type, list(n.input)) for n in self.model.graph.node])


@st.composite
def random_models(draw: Any, steps: int = 5) -> RandomModel:
    """Draw a model of up to `steps` steps and one or two outputs."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch = draw(st.sampled_from([1, 2, 3]))
    opset = draw(st.sampled_from([9, 11, 13, 17, 18, 21]))
    writer = Writer(draw, random, opset, batch)
    rank = draw(st.sampled_from([3, 3, 3, 3, 1, 2]))
    writer.tensors.append(("x", tuple(draw(st.integers(1, 7)) for _ in range(rank))))
    for _ in range(draw(st.integers(1, steps))):
        if math.prod(writer.shape) < 5000:
            writer.grow()
    if not writer.nodes:
        writer.activation()
    fixed = writer.resized or draw(st.booleans())

    def value(name: str, shape: Shape) -> Any:
        sizes = [batch if fixed else "N", *shape]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)

    made = writer.tensors[1:]
    outputs = {made[-1], made[draw(st.integers(0, len(made) - 1))]}
    model = helper.make_model(
        helper.make_graph(
            writer.nodes,
            "random",
            [value(*writer.tensors[0])],
            [value(*output) for output in sorted(outputs)],
            writer.initializers,
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )
    x = random.normal(size=(batch, *writer.tensors[0][1])).astype(np.float32)
    return RandomModel(model, [x])
