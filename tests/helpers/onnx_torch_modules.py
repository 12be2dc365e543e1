"""Small torch modules with the blocks of well-known networks, and their export to ONNX."""

from __future__ import annotations

import io
import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_bn(inputs: int, outputs: int, kernel: int, activation: Any = None, **options: Any) -> Any:
    options = {"padding": kernel // 2, "bias": False} | options
    layers = [nn.Conv2d(inputs, outputs, kernel, **options), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([activation] if activation else []))


class InvertedResidual(nn.Module):
    """MobileNetV2's block."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            conv_bn(inputs, hidden, 1, nn.ReLU6()),
            conv_bn(hidden, hidden, 3, nn.ReLU6(), stride=stride, groups=hidden),
            conv_bn(hidden, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


class MobileNetV2(nn.Module):
    """Two blocks with the head as torchvision writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv_bn(3, 8, 3, nn.ReLU6(), stride=2),
            InvertedResidual(8, 12, 2, 6),
            InvertedResidual(12, 12, 1, 6),
            conv_bn(12, 40, 1, nn.ReLU6()),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(40, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))


class SqueezeExcite(nn.Module):
    """MobileNetV3's block with its gate."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.stem = conv_bn(3, channels, 3, nn.Hardswish(), stride=2)
        self.depthwise = conv_bn(channels, channels, 5, nn.Hardswish(), groups=channels)
        self.down = nn.Conv2d(channels, 8, 1)
        self.up = nn.Conv2d(8, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(self.stem(x))
        gate = self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1))))
        return (F.hardsigmoid(gate) * x).mean([2, 3])


class Shuffle(nn.Module):
    """ShuffleNetV2's unit: split, one half convolved, joined and shuffled."""

    def __init__(self, channels: int = 24) -> None:
        super().__init__()
        half = channels // 2
        self.stem = conv_bn(3, channels, 3, nn.ReLU(), stride=2)
        self.branch = nn.Sequential(
            conv_bn(half, half, 1, nn.ReLU()),
            conv_bn(half, half, 3, groups=half),
            conv_bn(half, half, 1, nn.ReLU()),
        )
        self.grouped = conv_bn(channels, channels, 1, nn.ReLU(), groups=3)

    def forward(self, x: Tensor) -> Tensor:
        left, right = F.max_pool2d(self.stem(x), 3, 2, 1).chunk(2, dim=1)
        x = shuffled(torch.cat([left, self.branch(right)], 1), 2)
        return shuffled(self.grouped(x), 3)


def shuffled(x: Tensor, groups: int) -> Tensor:
    batch, channels, height, width = x.shape
    x = x.view(batch, groups, channels // groups, height, width)
    return x.transpose(1, 2).contiguous().view(batch, -1, height, width)


class Pyramid(nn.Module):
    """DeepLabv3's head: dilated branches, image pooling, and the map at full size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, 16, 3, nn.ReLU(), stride=4)
        self.branches = nn.ModuleList(
            [conv_bn(16, 8, 1, nn.ReLU())]
            + [conv_bn(16, 8, 3, nn.ReLU(), padding=d, dilation=d) for d in (2, 3)]
        )
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv_bn(16, 8, 1, nn.ReLU()))
        self.project = conv_bn(32, 8, 1, nn.ReLU())
        self.classes = nn.Conv2d(8, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        y = self.stem(x)
        pooled = F.interpolate(self.pool(y), y.shape[-2:], mode="bilinear", align_corners=False)
        y = torch.cat([*(branch(y) for branch in self.branches), pooled], 1)
        y = self.classes(self.project(y))
        return F.interpolate(y, size, mode="bilinear", align_corners=False)


class Boxes(nn.Module):
    """SSDLite's heads on two maps: permute, reshape, concatenate; two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = conv_bn(3, 12, 3, nn.ReLU6(), stride=2)
        self.second = conv_bn(12, 16, 3, nn.ReLU6(), stride=2)
        self.boxes = nn.ModuleList([nn.Conv2d(12, 16, 3, padding=1), nn.Conv2d(16, 24, 1)])
        self.scores = nn.ModuleList([nn.Conv2d(12, 12, 3, padding=1), nn.Conv2d(16, 18, 1)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.first(x)
        maps = [first, self.second(first)]

        def joined(heads: Any, size: int) -> Tensor:
            parts = [head(y).permute(0, 2, 3, 1) for head, y in zip(heads, maps, strict=True)]
            return torch.cat([p.reshape(p.shape[0], -1, size) for p in parts], 1)

        return joined(self.boxes, 4), F.softmax(joined(self.scores, 3), -1)


class Residual(nn.Module):
    """ResNet's basic block, stem pooling and a head on a map that is more than one pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, 16, 7, nn.ReLU(), stride=2)
        self.body = nn.Sequential(conv_bn(16, 32, 3, nn.ReLU(), stride=2), conv_bn(32, 32, 3))
        self.shortcut = conv_bn(16, 32, 1, stride=2)
        self.head = nn.Linear(32 * 2 * 2, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.stem(x), 3, 2, 1)
        x = F.relu(self.body(x) + self.shortcut(x))
        return self.head(torch.flatten(F.avg_pool2d(x, 2), 1))


class Inception(nn.Module):
    """GoogLeNet's and SqueezeNet's parallel branches, with pooling that rounds up."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2)
        self.branches = nn.ModuleList([conv_bn(16, 8, k, nn.ReLU()) for k in (1, 3, 5)])
        self.last = nn.Conv2d(24 + 16, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, ceil_mode=True)
        pooled = F.max_pool2d(x, 3, 1, 1, ceil_mode=True)
        x = torch.cat([*(branch(x) for branch in self.branches), pooled], 1)
        return F.adaptive_avg_pool2d(F.relu(self.last(F.avg_pool2d(x, 3, 2, 1))), 1).flatten(1)


class Detector(nn.Module):
    """YOLO's pieces: leaky ReLU, nearest upsampling, a strided slice, swish, clamp, constants."""

    def __init__(self) -> None:
        super().__init__()
        self.first = conv_bn(12, 8, 3, nn.LeakyReLU(0.1))
        self.second = conv_bn(8, 8, 3, nn.SiLU(), stride=2)
        self.grid = nn.Parameter(torch.arange(2 * 16 * 16).reshape(1, 2, 16, 16) / 100)
        self.scale = nn.Parameter(torch.linspace(0.5, 2, 8).reshape(1, 8, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        corners = [x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)]
        x = self.first(torch.cat(corners, 1))
        y = F.interpolate(self.second(x), scale_factor=2, mode="nearest") * self.scale
        x = torch.cat([x, (y - 0.5) / 2], 1)
        x = F.pad(x, (1, 1, 1, 1)).clamp(-1, 3)[:, :, 1:-1, 1:-1]
        places = (x[:, :2].sigmoid() + self.grid) * 4
        return torch.cat([places, x[:, 2:]], 1).flatten(2).transpose(1, 2)


NETWORKS = {
    cls.__name__: cls
    for cls in (
        MobileNetV2, SqueezeExcite, Shuffle, Pyramid, Boxes, Residual, Inception, Detector
    )
}  # fmt: skip


def network(name: str, seed: int = 0) -> nn.Module:
    """Make a module with random weights and random batch norm statistics."""
    torch.manual_seed(seed)
    module = NETWORKS[name]().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias)
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    return module


def exported(module: nn.Module, x: Tensor, **options: Any) -> bytes:
    """Export the module to the content of an ONNX file."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if options.pop("dynamo", False):
            program = torch.onnx.export(module, (x,), dynamo=True, verbose=False, **options)
            return program.model_proto.SerializeToString()
        torch.onnx.export(module, (x,), buffer, dynamo=False, **options)
    return buffer.getvalue()
