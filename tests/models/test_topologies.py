"""The networks: every documented count to the integer, their outputs, and bad arguments."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from dsconv import models
from dsconv.counts.counters import COUNTERS
from dsconv.counts.published import TABLES
from dsconv.graph import Graph

EXTRAS = ("extra*", "boxes*", "scores*")

COUNTS: list[tuple[str, dict[str, Any], dict[str, int]]] = [  # name, arguments, count by counter
    ("mobilenet_v1", {}, {
        "exact": 568_740_352, "weights": 4_209_088, "trainable": 4_231_976}),
    ("mobilenet_v1", {"alpha": 0.75}, {"exact": 325_400_448}),
    ("mobilenet_v1", {"alpha": 0.5}, {"exact": 149_497_088}),
    ("mobilenet_v1", {"alpha": 0.25}, {"exact": 41_030_272}),
    ("mobilenet_v1", {"resolution": 192}, {"exact": 418_121_728}),
    ("mobilenet_v1", {"resolution": 160}, {"exact": 290_675_200}),
    ("mobilenet_v1", {"resolution": 128}, {"exact": 186_400_768}),
    ("mobilenet_v1", {"alpha": 0.5, "resolution": 160}, {
        "exact": 76_524_800, "weights": 1_319_648}),
    ("mobilenet_v1_standard", {}, {
        "exact": 4_867_293_184, "without fully connected layers": 4_866_269_184}),
    ("mobilenet_v1_shallow", {}, {"exact": 307_323_392, "weights": 2_875_328}),
    ("mobilenet_v2", {}, {"exact": 300_774_272, "trainable": 3_504_872}),
    ("mobilenet_v2", {"alpha": 1.4}, {"exact": 582_195_824, "trainable": 6_108_776}),
    ("mobilenet_v2", {"alpha": 1.3}, {"trainable": 5_386_792}),
    ("mobilenet_v2", {"alpha": 0.75}, {"trainable": 2_636_424}),
    ("mobilenet_v2", {"alpha": 0.5}, {"trainable": 1_968_680}),
    ("mobilenet_v2", {"alpha": 0.35}, {"trainable": 1_677_128}),
    ("googlenet", {}, {"exact": 1_582_671_872, "trainable": 6_998_552}),
    ("vgg16", {}, {
        "exact": 15_470_264_320, "without fully connected layers": 15_346_630_656,
        "trainable": 138_357_544}),
    ("vgg19", {}, {"exact": 19_632_062_464, "trainable": 143_667_240}),
    ("squeezenet", {}, {"exact": 832_667_936, "trainable": 1_248_424}),
    ("squeezenet", {"conv10_padding": 1}, {"exact": 861_339_936}),
    ("squeezenet", {"resolution": 224}, {"exact": 818_924_576}),
    ("alexnet", {}, {"exact": 724_406_816, "weights": 60_954_656, "trainable": 60_965_224}),
    ("resnet34", {}, {"exact": 3_663_761_408, "trainable": 21_797_672}),
    ("resnet50", {}, {"exact": 3_857_973_248, "trainable": 25_557_032}),
    ("resnet50", {"stride_on": "3x3"}, {"exact": 4_089_184_256, "trainable": 25_557_032}),
    ("resnet101", {}, {"exact": 7_570_194_432, "trainable": 44_549_160}),
    ("resnet101", {"stride_on": "3x3"}, {"exact": 7_801_405_440, "trainable": 44_549_160}),
    ("shufflenet", {}, {"exact": 137_460_672}),
    ("shufflenet", {"width": 1.5}, {"exact": 292_443_552}),
    ("shufflenet", {"width": 2.0}, {"exact": 524_045_184}),
    ("ssdlite_mobilenet_v2", {}, {
        "exact": 788_830_144, "weights": 4_283_456, "weights and biases": 4_286_261,
        "trainable": 4_337_013}),
    ("deeplab_v3_mobilenet_v2", {}, {"exact": 2_740_709_056, "trainable": 2_113_557}),
    ("deeplab_v3_mobilenet_v2", {"aspp": True}, {
        "exact": 5_363_508_928, "trainable": 4_523_541}),
    ("yolo_v2", {"passthrough": None}, {"exact": 17_500_980_224}),
]  # fmt: skip

PARTS = [  # name, patterns of layer names, count by counter
    ("mobilenet_v1", ("*/pointwise",), {"exact": 539_492_352}),
    ("mobilenet_v1", ("*/depthwise",), {"exact": 17_385_984}),
    ("mobilenet_v1", ("conv0",), {"exact": 10_838_016}),
    ("mobilenet_v1", ("logits",), {"exact": 1_024_000}),
    ("ssd_mobilenet_v2", EXTRAS, {"weights and biases": 14_773_173}),
    ("ssdlite_mobilenet_v2", EXTRAS, {"weights and biases": 2_096_501}),
]

ROUNDED = [  # name, arguments, counter, patterns, count, digits: where no integer is documented
    ("mobilenet_v1", {"alpha": 0.75}, "weights", ("*",), 2.6e6, 2),
    ("mobilenet_v1", {"alpha": 0.25}, "weights", ("*",), 0.5e6, 1),
    ("mobilenet_v1_standard", {}, "weights", ("*",), 29.3e6, 3),
    ("ssd_mobilenet_v2", {}, "exact", EXTRAS, 1.2591e9, 5),
    ("ssdlite_mobilenet_v2", {}, "exact", EXTRAS, 0.1776e9, 4),
    ("ssd300_vgg16", {}, "exact", ("*",), 34.36e9, 4),
    ("ssd300_vgg16", {}, "weights and biases", ("*",), 34.30e6, 4),
    ("ssd512_vgg16", {}, "exact", ("*",), 98.63e9, 4),
    ("ssd512_vgg16", {}, "trainable", ("*",), 36.04e6, 4),
    ("yolo_v2", {"classes": 20}, "exact", ("*",), 14.68e9, 4),
    ("yolo_v2", {"classes": 20}, "trainable", ("*",), 50.7e6, 3),
    ("yolo_v2", {"passthrough": None}, "weights", ("*",), 67.4e6, 3),
    ("shufflenet", {"width": 2.0, "stem": 24}, "exact", ("*",), 507.6e6, 4),
    ("deeplab_v3_resnet101", {}, "trainable", ("*",), 58.16e6, 4),
    ("ssdlite_mobilenet_v1", {}, "exact", ("*",), 1.3e9, 2),
    ("ssdlite_mobilenet_v1", {}, "trainable", ("*",), 5.1e6, 2),
]


def count(graph: Graph, counter: str, patterns: tuple[str, ...] = ("*",)) -> int:
    names = [n for n in graph.nodes if any(fnmatchcase(n, pattern) for pattern in patterns)]
    return COUNTERS[counter].function(graph, names)


@pytest.mark.parametrize(("name", "arguments", "expected"), COUNTS)
def test_documented_counts(name: str, arguments: dict, expected: dict[str, int]) -> None:
    graph = models.get(name, **arguments)
    assert {counter: count(graph, counter) for counter in expected} == expected
    cost = graph.cost()
    totals = {
        "exact": cost.mult_adds,
        "weights": cost.weights,
        "trainable": cost.trainable_parameters,
    }
    assert all(totals[key] == value for key, value in expected.items() if key in totals)


@pytest.mark.parametrize(("name", "patterns", "expected"), PARTS)
def test_counts_of_parts(name: str, patterns: tuple[str, ...], expected: dict[str, int]) -> None:
    graph = models.get(name)
    assert {counter: count(graph, counter, patterns) for counter in expected} == expected


@pytest.mark.parametrize("name, arguments, counter, patterns, expected, digits", ROUNDED)
def test_documented_counts_in_few_digits(
    name: str,
    arguments: dict,
    counter: str,
    patterns: tuple[str, ...],
    expected: float,
    digits: int,
) -> None:
    exact = count(models.get(name, **arguments), counter, patterns)
    assert f"{exact:.{digits - 1}e}" == f"{expected:.{digits - 1}e}"


def test_no_documented_integer_is_left_out() -> None:
    shared = os.environ.get("DSCONV_SHARED")
    if shared is None:
        pytest.skip("DSCONV_SHARED is not set, so the documented counts cannot be read")
    text = (Path(shared) / "facts" / "published_costs.md").read_text()
    documented = {int(n.replace(",", "")) for n in re.findall(r"\d{1,3}(?:,\d{3}){2,}", text)}
    asserted = {n for *_, expected in (*COUNTS, *PARTS) for n in expected.values()}
    assert documented and documented == asserted


# Every network


@pytest.mark.parametrize("name", models.names())
def test_graphs_are_whole(name: str) -> None:
    graph = models.get(name)
    graph.validate()
    again = Graph.from_json(graph.to_json())
    assert again.nodes == graph.nodes and again.outputs == graph.outputs
    assert graph.name == name


@pytest.mark.parametrize("name", models.names())
def test_smaller_inputs_and_other_classes(name: str) -> None:
    """Take any picture that keeps every map above nothing, square or not."""
    height, width = (320, 544) if "vgg16" in name else (192, 256)
    graph = models.get(name, resolution=(height, width), classes=7)
    shapes = {output: graph.shape(output) for output in graph.outputs}
    if name.startswith("ssd"):
        assert set(shapes) == {"boxes", "scores"}
        assert [shape[1] for shape in shapes.values()] == [4, 7]
    elif name.startswith("deeplab"):
        assert shapes == {"resized": (height, width, 7)}
    else:
        assert shapes == {"logits": (6, 8, 5 * (5 + 7)) if name == "yolo_v2" else (7,)}


@pytest.mark.parametrize("name", models.names())
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"resolution": 0}, ValueError, "resolution must be at least 1, got 0"),
        ({"resolution": 3.5}, TypeError, "resolution must be an integer"),
        ({"classes": 0}, ValueError, "classes must be at least 1, got 0"),
        ({"classes": True}, TypeError, "classes must be an integer"),
    ],
)
def test_bad_resolutions_and_classes(name: str, options: dict, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        models.get(name, **options)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("alexnet", {"resolution": 32}, ValueError, "layer 'pool2': the output height"),
        ("vgg16", {"resolution": 16}, ValueError, "layer 'pool5': the output height"),
        ("squeezenet", {"resolution": 8}, ValueError, "layer 'pool1': the output height"),
        ("ssd300_vgg16", {"resolution": 200}, ValueError, "layer 'conv11_2': the output height"),
        ("yolo_v2", {"resolution": 400}, ValueError, "layer 'passthrough': block 2 must divide"),
        ("alexnet", {"groups": 5}, ValueError, "layer 'conv2': groups 5 must divide"),
        ("squeezenet", {"conv10_padding": -1}, ValueError, "conv10_padding must be at least 0"),
        ("resnet50", {"stride_on": "2x2"}, ValueError, 'stride_on must be "1x1" or "3x3", got'),
        ("shufflenet", {"width": 0}, ValueError, "width must be above 0, got 0"),
        ("shufflenet", {"width": "1x"}, TypeError, "width must be a number"),
        ("shufflenet", {"groups": 5}, ValueError, "groups must be one of 1, 2, 3, 4, 8, got 5"),
        ("shufflenet", {"groups": [3]}, TypeError, "groups must be an integer"),
        ("shufflenet", {"width": 0.25, "groups": 2}, ValueError, "layer 'stage3/unit1/reduce'"),
        ("shufflenet", {"stem": 0}, ValueError, "layer 'conv1': filters must be at least 1"),
        ("ssdlite_mobilenet_v2", {"alpha": 0}, ValueError, "alpha must be above 0, got 0"),
        ("yolo_v2", {"passthrough": 0}, ValueError, "passthrough must be at least 1, got 0"),
        ("deeplab_v3_mobilenet_v2", {"output_stride": 32}, ValueError, "must be 16 or 8, got 32"),
        ("deeplab_v3_mobilenet_v2", {"aspp": 1}, TypeError, "aspp must be True or False, got 1"),
        ("deeplab_v3_resnet101", {"output_stride": 4}, ValueError, "must be 16 or 8, got 4"),
    ],
)
def test_bad_arguments(name: str, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        models.get(name, **options)


def test_published_rows_name_networks_and_layers() -> None:
    for rows in TABLES.values():
        for row in rows:
            graph = models.get(row.model, **row.arguments)
            assert count(graph, "weights", row.layers) > 0
