"""Run PyTorch: TorchScript, the quicker one of two ways.

`optimize_for_inference` hands convolutions with their activations to oneDNN, in oneDNN's own
layouts. Paddings that differ from side to side are layers of their own, which change the layout
back each time; with these a frozen network in channels-last layout is quicker.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

MODULE = "torch"
DISTRIBUTION = "torch"
SETTINGS = "TorchScript, optimize_for_inference or (uneven padding) frozen and channels last"

CHANNELS_LAST = ".channels_last.pt"


def write(graph: Any, weights: Mapping[str, Any], batch: int, stem: Path) -> Path:
    import torch

    from benchmarks.peers.folding import folded

    network = _network(folded(graph, weights)).eval()
    images = torch.zeros(batch, *(graph.shape(graph.inputs[0])[i] for i in (2, 0, 1)))
    with torch.no_grad():
        if any(isinstance(part, torch.nn.Sequential) for part in network.parts):
            path = stem.with_suffix(CHANNELS_LAST)
            last = torch.channels_last
            traced = torch.jit.trace(network.to(memory_format=last), _as(images, last))
        else:
            path = stem.with_suffix(".pt")
            traced = torch.jit.trace(network, images)
    torch.jit.save(traced, str(path))
    return path


def load(path: Path, threads: int, x: np.ndarray) -> Callable[[], np.ndarray]:
    import torch

    torch.set_num_threads(threads)
    network = torch.jit.load(str(path)).eval()
    images = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    if path.name.endswith(CHANNELS_LAST):
        network, images = torch.jit.freeze(network), _as(images, torch.channels_last)
    else:
        network = torch.jit.optimize_for_inference(network)

    def run() -> np.ndarray:
        with torch.inference_mode():
            return network(images).numpy()

    return run


def _as(images: Any, layout: Any) -> Any:
    return images.contiguous(memory_format=layout)


def _network(operations: Any) -> Any:
    """Run the folded operations one after the other."""
    import torch
    from torch import nn

    from dsconv import layers

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList(_module(operation) for operation in operations)

        def forward(self, x: Any) -> Any:
            values = {operations[0].name: x}
            for operation, part in zip(operations[1:], self.parts[1:], strict=True):
                inputs = [values[name] for name in operation.inputs]
                if isinstance(operation.layer, layers.Add):
                    y = inputs[0] + inputs[1]
                elif isinstance(operation.layer, layers.GlobalAveragePool):
                    y = inputs[0].mean((2, 3))
                else:
                    y = part(*inputs)
                if operation.clip == (0.0, math.inf):
                    y = torch.relu(y)
                elif operation.clip:
                    y = nn.functional.hardtanh(y, *operation.clip)
                values[operation.name] = y
            return y

    return Network()


def _module(operation: Any) -> Any:
    """Return the layer of one operation with its weights; `Identity` if it has none."""
    import torch
    from torch import nn

    from dsconv import layers

    layer, weight = operation.layer, operation.weight
    if isinstance(layer, layers.MaxPool):
        place = layer.window([operation.shape])
        sides, symmetric = _sides(place)
        pool = nn.MaxPool2d(place.kernel, place.stride, symmetric or 0)
        return pool if symmetric else nn.Sequential(nn.ConstantPad2d(sides, -math.inf), pool)
    if weight is None:
        return nn.Identity()
    if isinstance(layer, layers.Dense):
        module: Any = nn.Linear(*weight.shape)
        values = weight.T
    else:
        place = layer.window([operation.shape])
        sides, symmetric = _sides(place)
        depthwise = isinstance(layer, layers.DepthwiseConv2D)
        module = nn.Conv2d(
            operation.shape[2], operation.output[2], place.kernel, place.stride,
            padding=symmetric or 0, dilation=place.dilation,
            groups=operation.shape[2] if depthwise else 1,
        )  # fmt: skip
        values = weight.transpose(2, 3, 0, 1) if depthwise else weight.transpose(3, 2, 0, 1)
        values = values.reshape(module.weight.shape)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.ascontiguousarray(values)))
        module.bias.copy_(torch.from_numpy(operation.bias))
    if isinstance(layer, layers.Dense) or symmetric:
        return module
    return nn.Sequential(nn.ZeroPad2d(sides), module)


def _sides(place: Any) -> tuple[tuple[int, int, int, int], tuple[int, int] | None]:
    """Return padding (left, right, top, bottom), and (rows, columns) if it is symmetric."""
    (top, bottom), (left, right) = place.pad
    symmetric = (top, left) if (top, left) == (bottom, right) else None
    return (left, right, top, bottom), symmetric
