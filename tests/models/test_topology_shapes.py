"""Shapes inside the networks, as their papers print them."""

from __future__ import annotations

import pytest

from dsconv import models
from dsconv.layers import Conv2D, DepthwiseConv2D, L2Normalize


def test_alexnet_shapes() -> None:
    graph = models.alexnet()
    assert [graph.shape(f"conv{i}")[0] for i in range(1, 6)] == [55, 27, 13, 13, 13]
    assert graph.shape("flatten") == (9216,)
    assert graph.parameters()["conv2/weight"] == (5, 5, 48, 256)


def test_vgg_shapes() -> None:
    graph = models.vgg19()
    assert [graph.shape(f"pool{i}")[0] for i in range(1, 6)] == [112, 56, 28, 14, 7]
    convolutions = [n for n, node in graph.nodes.items() if isinstance(node.layer, Conv2D)]
    assert len(convolutions) == 16 and convolutions[-1] == "conv5_4"


def test_googlenet_shapes() -> None:
    graph = models.googlenet()
    modules = {n[10:12]: graph.shape(n) for n in graph.nodes if n.endswith("/concat")}
    assert modules == {
        "3a": (28, 28, 256), "3b": (28, 28, 480), "4a": (14, 14, 512), "4b": (14, 14, 512),
        "4c": (14, 14, 512), "4d": (14, 14, 528), "4e": (14, 14, 832), "5a": (7, 7, 832),
        "5b": (7, 7, 1024),
    }  # fmt: skip


def test_squeezenet_shapes() -> None:
    graph = models.squeezenet()
    fires = [graph.shape(f"fire{i}/concat") for i in range(2, 10)]
    assert [shape[2] for shape in fires] == [128, 128, 256, 256, 384, 384, 512, 512]
    assert [shape[0] for shape in fires] == [55, 55, 55, 27, 27, 27, 27, 13]
    assert models.squeezenet(conv10_padding=1).shape("conv10") == (15, 15, 1000)


@pytest.mark.parametrize(
    ("name", "depth", "channels"),
    [("resnet34", 34, 64), ("resnet50", 50, 256), ("resnet101", 101, 256)],
)
def test_resnet_shapes(name: str, depth: int, channels: int) -> None:
    graph = models.get(name)
    last = {n.partition("/")[0]: graph.shape(n) for n in graph.nodes if n.endswith("/relu")}
    sizes = {f"stage{i + 2}": (56 >> i, 56 >> i, channels << i) for i in range(4)}
    assert {n: last[n] for n in sizes} == sizes
    with_weights = [n for n in graph.parameters() if n.endswith("/weight") and "shortcut" not in n]
    assert len(with_weights) == depth


@pytest.mark.parametrize(("stride_on", "conv"), [("1x1", "conv1"), ("3x3", "conv2")])
def test_resnet_strides(stride_on: str, conv: str) -> None:
    graph = models.resnet50(stride_on=stride_on)
    halving = {
        n
        for n, node in graph.nodes.items()
        if isinstance(node.layer, Conv2D) and node.layer.stride == (2, 2)
    }
    blocks = [f"stage{i}/block1" for i in (3, 4, 5)]
    assert halving == {"conv1", *(f"{b}/{part}" for b in blocks for part in (conv, "shortcut"))}


@pytest.mark.parametrize(("groups", "channels"), [(1, 144), (2, 200), (3, 240), (4, 272), (8, 384)])
def test_shufflenet_shapes(groups: int, channels: int) -> None:
    graph = models.shufflenet(groups=groups)
    assert [graph.shape(f"stage{i}/unit4/relu") for i in (2, 3, 4)] == [
        (28, 28, channels), (14, 14, 2 * channels), (7, 7, 4 * channels),
    ]  # fmt: skip
    first, second = (graph.nodes[f"stage2/unit{i}/reduce"].layer for i in (1, 2))
    assert isinstance(first, Conv2D) and first.groups == 1
    assert isinstance(second, Conv2D) and second.groups == groups
    assert [models.shufflenet(w).shape("conv1")[2] for w in (0.5, 1, 1.5, 2)] == [12, 24, 24, 48]


@pytest.mark.parametrize(
    ("name", "sizes", "anchors", "per_pixel"),
    [
        ("ssd300_vgg16", [38, 19, 10, 5, 3, 1], 8732, [4, 6, 6, 6, 4, 4]),
        ("ssd512_vgg16", [64, 32, 16, 8, 4, 2, 1], 24564, [4, 6, 6, 6, 6, 4, 4]),
        ("ssdlite_mobilenet_v1", [20, 10, 5, 3, 2, 1], 2034, [3, 6, 6, 6, 6, 6]),
        ("ssdlite_mobilenet_v2", [20, 10, 5, 3, 2, 1], 2034, [3, 6, 6, 6, 6, 6]),
        ("ssd_mobilenet_v2", [20, 10, 5, 3, 2, 1], 2034, [3, 6, 6, 6, 6, 6]),
    ],
)
def test_ssd_anchors(name: str, sizes: list[int], anchors: int, per_pixel: list[int]) -> None:
    graph = models.get(name, classes=21)
    assert graph.shape("boxes") == (anchors, 4) and graph.shape("scores") == (anchors, 21)
    heads = [graph.nodes[f"scores{i + 1}/reshape"].inputs[0] for i in range(len(sizes))]
    assert [graph.shape(head) for head in heads] == [
        (size, size, 21 * count) for size, count in zip(sizes, per_pixel, strict=True)
    ]


def test_ssd_feature_maps() -> None:
    on_v2 = models.ssdlite_mobilenet_v2()
    assert on_v2.nodes["scores1/depthwise"].inputs == ("block14/expand/relu6",)
    assert on_v2.nodes["scores2/depthwise"].inputs == ("conv_last/relu6",)
    on_v1 = models.ssdlite_mobilenet_v1()
    assert on_v1.nodes["boxes1/depthwise"].inputs == ("block11/pointwise/relu6",)
    assert on_v1.nodes["boxes2/depthwise"].inputs == ("block13/pointwise/relu6",)
    on_vgg = models.ssd300_vgg16()
    assert isinstance(on_vgg.nodes[on_vgg.nodes["boxes1"].inputs[0]].layer, L2Normalize)
    narrow = models.ssdlite_mobilenet_v2(alpha=0.1)
    assert [narrow.shape(f"extra{i}/pointwise")[2] for i in (1, 4)] == [51, 16]


def test_yolo_v2_shapes() -> None:
    graph = models.yolo_v2()
    assert graph.shape("conv18") == (13, 13, 1024) and graph.shape("conv13") == (26, 26, 512)
    assert graph.shape("passthrough/concat") == (13, 13, 256 + 1024)
    assert graph.shape("logits") == (13, 13, 425)
    assert models.yolo_v2(passthrough=None).shape("passthrough/concat") == (13, 13, 2048 + 1024)


@pytest.mark.parametrize("output_stride", [16, 8])
def test_deeplab_on_v2(output_stride: int) -> None:
    graph = models.deeplab_v3_mobilenet_v2(output_stride=output_stride, aspp=True)
    size = 512 // output_stride + 1
    assert graph.shape("aspp/concat") == (size, size, 5 * 256)
    assert graph.shape("logits") == (size, size, 21) and graph.shape("resized") == (513, 513, 21)
    dilations = [
        node.layer.dilation[0] for n, node in graph.nodes.items()
        if n.startswith("aspp/rate") and isinstance(node.layer, Conv2D)
    ]  # fmt: skip
    assert dilations == ([6, 12, 18] if output_stride == 16 else [12, 24, 36])
    last = graph.nodes["block17/depthwise"].layer
    assert isinstance(last, DepthwiseConv2D) and last.dilation[0] == 32 // output_stride
    plain = models.deeplab_v3_mobilenet_v2(output_stride=output_stride)
    assert plain.shape("aspp/concat") == (size, size, 2 * 256)


@pytest.mark.parametrize("output_stride, dilations", [(16, [1, 1, 2, 4, 8]), (8, [1, 2, 4, 8, 16])])
def test_deeplab_on_resnet101(output_stride: int, dilations: list[int]) -> None:
    graph = models.deeplab_v3_resnet101(output_stride=output_stride)
    size = 512 // output_stride + 1
    assert graph.shape("stage5/block3/relu") == (size, size, 2048)
    blocks = ["stage3/block4", "stage4/block23", *(f"stage5/block{i}" for i in (1, 2, 3))]
    layers = [graph.nodes[f"{block}/conv2"].layer for block in blocks]
    assert [layer.dilation[0] for layer in layers if isinstance(layer, Conv2D)] == dilations
