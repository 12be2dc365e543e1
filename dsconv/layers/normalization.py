"""Describe batch norm, local response norm and L2 normalisation: the shape stays."""

from collections.abc import Sequence
from dataclasses import dataclass

from dsconv.layers.base import Count, Elementwise, Finite, NotNegative, Shape, image, one


@dataclass(frozen=True)
class BatchNorm(Elementwise):
    """Return gamma * (x - mean) / sqrt(variance + epsilon) + beta for each (last) channel.

    Parameters: gamma, beta, mean, variance, each (C,); mean and variance are not trained.
    """

    epsilon: NotNegative = 1e-3

    kind = "batch_norm"

    def parameters(self, shapes: Sequence[Shape]) -> dict[str, Shape]:
        channels = (one(shapes)[-1],)
        return {"gamma": channels, "beta": channels, "mean": channels, "variance": channels}


@dataclass(frozen=True)
class LocalResponseNorm(Elementwise):
    """Return x[c] / (bias + alpha * sum of x[k]^2) ** beta, k over `size` channels around c.

    Channels outside the map count as zero; `alpha` multiplies the plain sum, as in the AlexNet
    paper (section 3.3) and TensorFlow, and is not divided by `size` as in Caffe and PyTorch.
    `size` is odd.
    """

    size: Count = 5
    alpha: NotNegative = 1e-4
    beta: Finite = 0.75
    bias: Finite = 2.0

    kind = "local_response_norm"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % 2 == 0:
            raise ValueError(f"size must be odd, got {self.size}")
        if self.bias <= 0:
            raise ValueError(f"bias must be above 0, got {self.bias}")

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [image(shapes)]


@dataclass(frozen=True)
class L2Normalize(Elementwise):
    """Return scale[c] * x[c] / sqrt(sum over channels of x^2 + epsilon) at each pixel.

    Parameters: scale (C,), learned (SSD starts it at 20; ParseNet, arXiv 1506.04579).
    """

    epsilon: NotNegative = 1e-10

    kind = "l2_normalize"

    def parameters(self, shapes: Sequence[Shape]) -> dict[str, Shape]:
        return {"scale": (one(shapes)[-1],)}
