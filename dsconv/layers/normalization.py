"""Batch norm, local response norm and L2 normalisation: the shape stays."""

from __future__ import annotations

from collections.abc import Sequence

from dsconv.arguments.numbers import integer
from dsconv.layers.base import Elementwise, Shape, image, layer_kind, number, one


@layer_kind
class BatchNorm(Elementwise):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta for each channel (the last axis).

    Parameters: gamma, beta, mean, variance, each (C,); mean and variance are not trained.
    """

    epsilon: float = 1e-3

    kind = "batch_norm"

    def __post_init__(self) -> None:
        self.epsilon = number(self.epsilon, "epsilon", 0.0)

    def parameters(self, shapes: Sequence[Shape]) -> dict[str, Shape]:
        channels = (one(shapes)[-1],)
        return {"gamma": channels, "beta": channels, "mean": channels, "variance": channels}


@layer_kind
class LocalResponseNorm(Elementwise):
    """x[c] / (bias + alpha * sum of x[k]^2) ** beta, k over `size` channels centred on c.

    Channels outside the map count as zero; `alpha` multiplies the plain sum, as in the AlexNet
    paper (section 3.3) and TensorFlow, and is not divided by `size` as in Caffe and PyTorch.
    `size` is odd.
    """

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    bias: float = 2.0

    kind = "local_response_norm"

    def __post_init__(self) -> None:
        self.size = integer(self.size, "size")
        if self.size % 2 == 0:
            raise ValueError(f"size must be odd, got {self.size}")
        self.alpha = number(self.alpha, "alpha", 0.0)
        self.beta = number(self.beta, "beta")
        self.bias = number(self.bias, "bias")
        if self.bias <= 0:
            raise ValueError(f"bias must be above 0, got {self.bias}")

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [image(shapes)]


@layer_kind
class L2Normalize(Elementwise):
    """scale[c] * x[c] / sqrt(sum over channels of x^2 + epsilon) at each pixel.

    Parameters: scale (C,), learned (SSD starts it at 20; ParseNet, arXiv 1506.04579).
    """

    epsilon: float = 1e-10

    kind = "l2_normalize"

    def __post_init__(self) -> None:
        self.epsilon = number(self.epsilon, "epsilon", 0.0)

    def parameters(self, shapes: Sequence[Shape]) -> dict[str, Shape]:
        return {"scale": (one(shapes)[-1],)}
