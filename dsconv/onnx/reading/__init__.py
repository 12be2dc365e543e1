"""Read an ONNX file and make a model of it.

1. `file.py` parses the protobuf, and checks inputs, outputs, nodes and the sizes of all arrays.
2. `translating.py` takes the nodes in the order of the file. If all inputs of a node are constants,
   `constant_folding.py` computes its outputs at once, because most such nodes compute shapes.
3. For every other node, a function in `operators/` adds layers to the `GraphBuilder`, which keeps
   maps as (H, W, C) and knows which axis of the file each axis is (`values.py`, `axes.py`).
4. What no output needs is left out; the rest is the graph, and each of its weights is read from
   the file when the compiler asks for it.
5. `model.py` compiles the graph to an `OnnxModel`, whose inputs and outputs are those of the file.
"""
