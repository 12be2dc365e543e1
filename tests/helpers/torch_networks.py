"""MobileNets written with PyTorch under the names of the repositories that publish weights.

Written from the published descriptions of those repositories, apart from dsconv: what a file of
theirs computes. Names of submodules are the names in the files.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

V1 = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
V1 += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
V2 = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
V2 += [(6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
LITE_KERNELS = (3, 3, 5, 3, 5, 5, 3)
LITE0 = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 40, 2, 2), (6, 80, 3, 2)]
LITE0 += [(6, 112, 3, 1), (6, 192, 4, 2), (6, 320, 1, 1)]


def divisible(channels: float) -> int:
    result = max(8, int(channels + 4) // 8 * 8)
    return result + 8 if result < 0.9 * channels else result


class SameConv2d(nn.Conv2d):
    """TensorFlow's SAME: as many pixels as needed, the odd one below and on the right."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride, strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads = [total // 2, total - total // 2, *pads]
        return functional.conv2d(
            functional.pad(x, pads), self.weight, self.bias, self.stride, groups=self.groups
        )


def convolution(
    cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1, same: bool = False
) -> nn.Conv2d:
    if same:
        return SameConv2d(cin, cout, kernel, stride, groups=groups, bias=False)
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)


def layers(cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [convolution(cin, cout, kernel, stride, groups), nn.BatchNorm2d(cout), nn.ReLU6()]


class Residual(nn.Module):
    """The blocks of torchvision (`nested`) and of d-li14: all in "conv"."""

    def __init__(self, cin: int, cout: int, expansion: int, stride: int, nested: bool) -> None:
        super().__init__()
        self.skip = stride == 1 and cin == cout
        hidden = cin * expansion
        parts = [layers(cin, hidden, 1)] if expansion != 1 else []
        parts += [layers(hidden, hidden, 3, stride, groups=hidden)]
        ends = layers(hidden, cout, 1)[:2]
        if nested:
            self.conv = nn.Sequential(*(nn.Sequential(*part) for part in parts), *ends)
        else:
            self.conv = nn.Sequential(*(layer for part in parts for layer in part), *ends)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.skip else self.conv(x)


def residuals(alpha: float, nested: bool) -> tuple[list[nn.Module], int]:
    channels = divisible(32 * alpha)
    blocks: list[nn.Module] = [nn.Sequential(*layers(3, channels, 3, 2))]
    for expansion, count, repeats, stride in V2:
        for repeat in range(repeats):
            cout = divisible(count * alpha)
            blocks.append(Residual(channels, cout, expansion, 1 if repeat else stride, nested))
            channels = cout
    return blocks, channels


class TorchvisionV2(nn.Module):
    def __init__(self, alpha: float, classes: int) -> None:
        super().__init__()
        blocks, channels = residuals(alpha, nested=True)
        last = divisible(1280 * max(1.0, alpha))
        self.features = nn.Sequential(*blocks, nn.Sequential(*layers(channels, last, 1)))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class DLi14V2(nn.Module):
    def __init__(self, alpha: float, classes: int) -> None:
        super().__init__()
        blocks, channels = residuals(alpha, nested=False)
        last = divisible(1280 * alpha) if alpha > 1 else 1280
        self.features = nn.Sequential(*blocks)
        self.conv = nn.Sequential(*layers(channels, last, 1))
        self.classifier = nn.Linear(last, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.conv(self.features(x)).mean((2, 3)))


class TonylinsV2(nn.Module):
    def __init__(self, alpha: float, classes: int) -> None:
        super().__init__()
        blocks, channels = residuals(alpha, nested=False)
        last = divisible(1280 * alpha) if alpha > 1 else 1280
        self.features = nn.Sequential(*blocks, nn.Sequential(*layers(channels, last, 1)))
        self.classifier = nn.Linear(last, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class PyTorchV1(nn.Module):
    """ReLU without an upper bound."""

    def __init__(self, alpha: float, classes: int) -> None:
        super().__init__()
        channels = int(32 * alpha)
        blocks = [
            nn.Sequential(convolution(3, channels, 3, 2), nn.BatchNorm2d(channels), nn.ReLU())
        ]
        for count, stride in V1:
            cout = int(count * alpha)
            depthwise = convolution(channels, channels, 3, stride, groups=channels)
            pointwise = convolution(channels, cout, 1)
            first, second = nn.BatchNorm2d(channels), nn.BatchNorm2d(cout)
            parts = [depthwise, first, nn.ReLU(), pointwise, second, nn.ReLU()]
            blocks.append(nn.Sequential(*parts))
            channels = cout
        self.model = nn.Sequential(*blocks)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.model(x).mean((2, 3)))


class TimmSeparable(nn.Module):
    """conv_dw, bn1, conv_pw, bn2; in V1 with an activation behind both and never a sum."""

    def __init__(
        self, cin: int, cout: int, kernel: int, stride: int, v1: bool, same: bool, epsilon: float
    ) -> None:
        super().__init__()
        self.v1, self.skip = v1, not v1 and stride == 1 and cin == cout
        self.conv_dw = convolution(cin, cin, kernel, stride, cin, same)
        self.bn1 = nn.BatchNorm2d(cin, epsilon)
        self.conv_pw = convolution(cin, cout, 1, same=same)
        self.bn2 = nn.BatchNorm2d(cout, epsilon)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu6(self.bn1(self.conv_dw(x)))
        y = self.bn2(self.conv_pw(y))
        y = functional.relu6(y) if self.v1 else y
        return x + y if self.skip else y


class TimmResidual(nn.Module):
    """conv_pw, bn1, conv_dw, bn2, conv_pwl, bn3."""

    def __init__(
        self, cin: int, cout: int, kernel: int, stride: int, same: bool, epsilon: float
    ) -> None:
        super().__init__()
        self.skip, hidden = stride == 1 and cin == cout, 6 * cin
        self.conv_pw = convolution(cin, hidden, 1, same=same)
        self.bn1 = nn.BatchNorm2d(hidden, epsilon)
        self.conv_dw = convolution(hidden, hidden, kernel, stride, hidden, same)
        self.bn2 = nn.BatchNorm2d(hidden, epsilon)
        self.conv_pwl = convolution(hidden, cout, 1, same=same)
        self.bn3 = nn.BatchNorm2d(cout, epsilon)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu6(self.bn1(self.conv_pw(x)))
        y = functional.relu6(self.bn2(self.conv_dw(y)))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.skip else y


class Timm(nn.Module):
    """Stem, stages of blocks, head: MobileNetV1, V2, their variants and EfficientNet-Lite.

    Parameters
    ----------
    stages
        (expansion, channels, repeats, stride) of each; expansion 0 is a block of V1.
    head
        Channels of the last 1x1 convolution; 0 for none.
    """

    def __init__(
        self,
        stages: Sequence[tuple[int, int, int, int]],
        classes: int,
        *,
        stem: int,
        head: int,
        kernels: Sequence[int] = (3,) * 7,
        same: bool = False,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.conv_stem = convolution(3, stem, 3, 2, same=same)
        self.bn1 = nn.BatchNorm2d(stem, epsilon)
        channels, blocks = stem, []
        for (expansion, count, repeats, stride), kernel in zip(stages, kernels, strict=False):
            stage: list[nn.Module] = []
            for repeat in range(repeats):
                step = 1 if repeat else stride
                if expansion > 1:
                    block: nn.Module = TimmResidual(channels, count, kernel, step, same, epsilon)
                else:
                    v1 = expansion == 0
                    block = TimmSeparable(channels, count, kernel, step, v1, same, epsilon)
                stage.append(block)
                channels = count
            blocks.append(nn.Sequential(*stage))
        self.blocks = nn.Sequential(*blocks)
        if head:
            self.conv_head = convolution(channels, head, 1, same=same)
            self.bn2 = nn.BatchNorm2d(head, epsilon)
        self.head = head
        self.classifier = nn.Linear(head or channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(functional.relu6(self.bn1(self.conv_stem(x))))
        if self.head:
            x = functional.relu6(self.bn2(self.conv_head(x)))
        return self.classifier(x.mean((2, 3)))


def timm_v1(alpha: float, classes: int, head: int = 0) -> Timm:
    repeats = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))
    stages = [(0, divisible(count * alpha), n, stride) for count, n, stride in repeats]
    return Timm(stages, classes, stem=divisible(32 * alpha), head=head)


def timm_v2(alpha: float, classes: int, deeper: int = 0) -> Timm:
    """Put `deeper` blocks more in the middle stages, and fix the width of stem and head."""
    stages = [
        (t, divisible(count * alpha), n + deeper * (0 < i < 6), stride)
        for i, (t, count, n, stride) in enumerate(V2)
    ]
    stem = 32 if deeper else divisible(32 * alpha)
    head = 1280 if deeper else divisible(1280 * max(1.0, alpha))
    return Timm(stages, classes, stem=stem, head=head)


def timm_lite(alpha: float, classes: int, converted: bool) -> Timm:
    stages = [(t, divisible(count * alpha), n, stride) for t, count, n, stride in LITE0]
    epsilon = 1e-3 if converted else 1e-5
    return Timm(
        stages, classes, stem=32, head=1280, kernels=LITE_KERNELS, same=converted, epsilon=epsilon
    )


def with_random_statistics(network: nn.Module, seed: int = 0) -> nn.Module:
    """Draw weights that keep maps alive and tell every mistake, for evaluation.

    Variances are small, so that epsilon counts; gamma is such that maps keep their size.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            deviation = (2 / module.weight[0].numel()) ** 0.5
            module.weight.data.normal_(0, deviation, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.1, 0.5, generator=generator)
            module.bias.data.normal_(0, 1, generator=generator)
            module.running_mean.normal_(0, 1, generator=generator)
            module.running_var.uniform_(0.01, 1, generator=generator)
            module.num_batches_tracked.fill_(7)
        elif isinstance(module, nn.Linear):
            module.weight.data.normal_(0, 0.1, generator=generator)
            module.bias.data.normal_(0, 1, generator=generator)
    return network.eval()


def wrapped(network: nn.Module, prefix: str) -> OrderedDict[str, torch.Tensor]:
    """Return the state dict as DataParallel and others save it."""
    return OrderedDict((prefix + name, value) for name, value in network.state_dict().items())
