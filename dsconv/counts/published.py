"""Figures that papers and READMEs print, and the rule that links each to an exact count.

Data only: `dsconv.counts.table` counts and compares. A rule is a counter of `dsconv.counts.counters` and a
rounding. Where the rounding is `UNMATCHED`, no rule gives the printed figure, and the note says
what is known; the counter is then the nearest one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

ROUNDED, TRUNCATED, UNMATCHED = "rounded", "truncated", "not reproduced"
TO_TENS, TO_HUNDREDS = "rounded to tens", "rounded to hundreds"


class Figure(NamedTuple):
    """One printed number."""

    printed: str
    counter: str  # a key of dsconv.counts.counters.COUNTERS
    rounding: str
    unit: str  # "M" (10^6), "G" (10^9) or "%" of the whole network
    note: str


class Row(NamedTuple):
    """A row of a published table: a network, or the layers of it that match `layers`."""

    network: str  # as the source calls it
    model: str  # the builder's name
    arguments: dict[str, Any]
    figures: tuple[Figure, ...]
    layers: tuple[str, ...] = ("*",)  # patterns of layer names


def _mult_adds(
    printed: str,
    rounding: str = ROUNDED,
    counter: str = "exact",
    unit: str = "M",
    note: str = "",
) -> Figure:
    return Figure(printed, counter, rounding, unit, note)


def _parameters(
    printed: str,
    counter: str = "weights",
    rounding: str = ROUNDED,
    unit: str = "M",
    note: str = "",
) -> Figure:
    return Figure(printed, counter, rounding, unit, note)


def _row(
    network: str,
    model: str,
    arguments: dict[str, Any],
    *figures: Figure,
    layers: tuple[str, ...] = ("*",),
) -> Row:
    return Row(network, model, arguments, figures, layers)


def _share(kind: str, layers: str, mult_adds: Figure, weights: str) -> Row:
    figures = mult_adds, _parameters(weights, unit="%")
    return Row(kind, "mobilenet_v1", {}, figures, (layers,))


_V1, _V2 = "mobilenet_v1", "mobilenet_v2"
_NO_FC = "without fully connected layers"

_V1_README = {  # alpha: mult-adds at 224, 192, 160, 128; parameters
    1.0: ("569", "418", "291", "186", "4.24"),
    0.75: ("317", "233", "162", "104", "2.59"),
    0.5: ("150", "110", "77", "49", "1.34"),
    0.25: ("41", "34", "21", "14", "0.47"),
}
_V1_README_NOTES = {
    (0.5, 224): "149.497 rounds to 149; rounded twice, by way of 149.5, it becomes 150",
    (0.25, 192): "neither 30.2 nor any other count of this network is near 34",
}
_V2_README = {  # alpha: parameters; mult-adds at 224, 192, 160, 128, 96
    1.4: ("6.06", "582"),
    1.3: ("5.34", "509"),
    1.0: ("3.47", "300", "221", "154", "99", "56"),
    0.75: ("2.61", "209", "153", "107", "69", "39"),
    0.5: ("1.95", "97", "71", "50", "32", "18"),
    0.35: ("1.66", "59", "43", "30", "20", "11"),
}


def _v1_readme_cell(alpha: float, resolution: int, printed: str) -> Figure:
    note = _V1_README_NOTES.get((alpha, resolution), "")
    counter = "without the first convolution" if alpha == 0.75 else "exact"
    return _mult_adds(printed, UNMATCHED if note else ROUNDED, counter, note=note)


TABLES: dict[str, tuple[Row, ...]] = {
    "MobileNetV1 (arXiv 1704.04861), table 2: shares by kind of layer": (
        _share("Conv 1x1", "*/pointwise", _mult_adds("94.86", unit="%"), "74.59"),
        _share("Conv DW 3x3", "*/depthwise", _mult_adds("3.06", unit="%"), "1.06"),
        _share(
            "Conv 3x3",
            "conv0",
            _mult_adds("1.19", UNMATCHED, unit="%", note="a slip for 1.91"),
            "0.02",
        ),
        _share("Fully connected", "logits", _mult_adds("0.18", unit="%"), "24.33"),
    ),
    "MobileNetV1, table 3: one layer, 512 channels at 14x14": (
        _row("Convolution", "mobilenet_v1_standard", {}, _mult_adds("462"),
             _parameters("2.36"), layers=("block7/*",)),
        _row("Depthwise separable", _V1, {}, _mult_adds("52.3"),
             _parameters("0.27"), layers=("block7/*",)),
        _row("alpha = 0.75", _V1, {"alpha": 0.75}, _mult_adds("29.6"),
             _parameters("0.15"), layers=("block7/*",)),
        _row("rho = 0.714", _V1, {"alpha": 0.75, "resolution": 160}, _mult_adds("15.1"),
             _parameters("0.15"), layers=("block7/*",)),
    ),
    "MobileNetV1, table 4: full against separable convolutions": (
        _row("Conv MobileNet", "mobilenet_v1_standard", {},
             _mult_adds("4866", TRUNCATED, _NO_FC, note="the row below has the classifier"),
             _parameters("29.3")),
        _row("MobileNet", _V1, {}, _mult_adds("569"), _parameters("4.2")),
    ),
    "MobileNetV1, table 5: narrow against shallow": (
        _row("0.75 MobileNet", _V1, {"alpha": 0.75}, _mult_adds("325"), _parameters("2.6")),
        _row("Shallow MobileNet", "mobilenet_v1_shallow", {}, _mult_adds("307"),
             _parameters("2.9")),
    ),
    "MobileNetV1, table 6: width multiplier": (
        _row("1.0 MobileNet-224", _V1, {}, _mult_adds("569"), _parameters("4.2")),
        _row("0.75 MobileNet-224", _V1, {"alpha": 0.75}, _mult_adds("325"), _parameters("2.6")),
        _row("0.5 MobileNet-224", _V1, {"alpha": 0.5}, _mult_adds("149"), _parameters("1.3")),
        _row("0.25 MobileNet-224", _V1, {"alpha": 0.25}, _mult_adds("41"), _parameters("0.5")),
    ),
    "MobileNetV1, table 7: resolution": (
        _row("1.0 MobileNet-224", _V1, {}, _mult_adds("569"), _parameters("4.2")),
        _row("1.0 MobileNet-192", _V1, {"resolution": 192}, _mult_adds("418"),
             _parameters("4.2")),
        _row("1.0 MobileNet-160", _V1, {"resolution": 160}, _mult_adds("290", TRUNCATED),
             _parameters("4.2")),
        _row("1.0 MobileNet-128", _V1, {"resolution": 128}, _mult_adds("186"),
             _parameters("4.2")),
    ),
    "MobileNetV1, table 8: popular networks": (
        _row("1.0 MobileNet-224", _V1, {}, _mult_adds("569"), _parameters("4.2")),
        _row("GoogleNet", "googlenet", {},
             _mult_adds("1550", UNMATCHED,
                        note="the rows of GoogLeNet's own table 1 add up to 1502 M, with 34 M "
                        "for the first convolution, which costs 118 M"),
             _parameters("6.8", "trainable", UNMATCHED,
                         note="the rows of GoogLeNet's own table 1 add up to 6.80 M, with "
                         "2.7 K for the first convolution, which has 9.4 K")),
        _row("VGG 16", "vgg16", {}, _mult_adds("15300", TO_HUNDREDS, _NO_FC),
             _parameters("138", "trainable")),
    ),
    "MobileNetV1, table 9: smaller networks": (
        _row("0.50 MobileNet-160", _V1, {"alpha": 0.5, "resolution": 160},
             _mult_adds("76", TRUNCATED), _parameters("1.32")),
        _row("Squeezenet", "squeezenet", {}, _mult_adds("1700", TO_HUNDREDS, "FLOPs"),
             _parameters("1.25", "trainable")),
        _row("AlexNet", "alexnet", {}, _mult_adds("720", TO_TENS),
             _parameters("60", rounding=TRUNCATED)),
    ),
    "TF-slim README of MobileNetV1": tuple(
        _row(f"MobileNet_v1_{alpha}_{resolution}", _V1, {"alpha": alpha, "resolution": resolution},
             _v1_readme_cell(alpha, resolution, printed),
             _parameters(cells[-1], "batch norm without gamma"))
        for alpha, cells in _V1_README.items()
        for resolution, printed in zip((224, 192, 160, 128), cells, strict=False)
    ),
    "TF-slim README of MobileNetV2": tuple(
        _row(f"mobilenet_v2_{alpha}_{resolution}", _V2, {"alpha": alpha, "resolution": resolution},
             _mult_adds(printed, TRUNCATED), _parameters(cells[0]))
        for alpha, cells in _V2_README.items()
        for resolution, printed in zip((224, 192, 160, 128, 96), cells[1:], strict=False)
    ),
    "MobileNetV2 (arXiv 1801.04381), table 4: ImageNet": (
        _row("MobileNetV1", _V1, {},
             _mult_adds("575", UNMATCHED, "bias adds", note="573.8 is the nearest"),
             _parameters("4.2")),
        _row("ShuffleNet (1.5)", "shufflenet", {"width": 1.5}, _mult_adds("292"),
             _parameters("3.4")),
        _row("ShuffleNet (x2)", "shufflenet", {"width": 2.0},
             _mult_adds("524", note="needs a first convolution of 48 filters, not the table's 24"),
             _parameters("5.4")),
        _row("MobileNetV2", _V2, {}, _mult_adds("300", TRUNCATED),
             _parameters("3.4", rounding=TRUNCATED)),
        _row("MobileNetV2 (1.4)", _V2, {"alpha": 1.4},
             _mult_adds("585", UNMATCHED, note="the TF-slim README prints 582"),
             _parameters("6.9", "trainable", UNMATCHED, note="the TF-slim README prints 6.06")),
    ),
    "MobileNetV2, table 5: SSD against SSDLite, extra maps and heads alone": (
        _row("SSD", "ssd_mobilenet_v2", {}, _mult_adds("1.25", TRUNCATED, unit="G"),
             _parameters("14.8", "weights and biases"), layers=("extra*", "boxes*", "scores*")),
        _row("SSDLite", "ssdlite_mobilenet_v2", {},
             _mult_adds("0.35", TRUNCATED, "FLOPs", unit="G",
                        note="twice the count, though the row above is not"),
             _parameters("2.1", "weights and biases"), layers=("extra*", "boxes*", "scores*")),
    ),
    "MobileNetV2, table 6: object detection on COCO": (
        _row("SSD300", "ssd300_vgg16", {},
             _mult_adds("35.2", UNMATCHED, unit="G", note="34.4 at 81 classes, 31.4 at 21"),
             _parameters("36.1", "trainable", UNMATCHED, note="SSD512's figure once more")),
        _row("SSD512", "ssd512_vgg16", {},
             _mult_adds("99.5", UNMATCHED, unit="G", note="98.6 at 81 classes, 90.2 at 21"),
             _parameters("36.1", "trainable", UNMATCHED, note="36.04, which rounds to 36.0")),
        _row("YOLOv2", "yolo_v2", {"passthrough": None},
             _mult_adds("17.5", unit="G",
                        note="without the 64 filters in the passthrough: a network of 67.4 M "
                        "parameters")),
        _row("YOLOv2", "yolo_v2", {"classes": 20},
             _parameters("50.7", "trainable",
                         note="with the 64 filters and for Pascal VOC: a network of 14.7 G "
                         "mult-adds")),
        _row("MNet V1 + SSDLite", "ssdlite_mobilenet_v1", {}, _mult_adds("1.3", unit="G"),
             _parameters("5.1", "trainable")),
        _row("MNet V2 + SSDLite", "ssdlite_mobilenet_v2", {}, _mult_adds("0.8", unit="G"),
             _parameters("4.3")),
    ),
    "MobileNetV2, table 7: semantic segmentation, output stride 16": (
        _row("MNet V2, ASPP", "deeplab_v3_mobilenet_v2", {"aspp": True},
             _mult_adds("5.8", ROUNDED, "space-to-batch", unit="G"),
             _parameters("4.52", "trainable")),
        _row("MNet V2", "deeplab_v3_mobilenet_v2", {},
             _mult_adds("2.75", ROUNDED, "space-to-batch", unit="G",
                        note="at 513 x 513; the plain count is 2.74"),
             _parameters("2.11", "trainable")),
        _row("ResNet-101, ASPP", "deeplab_v3_resnet101", {},
             _mult_adds("81.0", UNMATCHED, "space-to-batch", unit="G",
                        note="80.8 with atrous maps rounded up is the nearest"),
             _parameters("58.16", "trainable",
                         note="only with three 3x3 convolutions in place of the first 7x7")),
    ),
    "ResNet (arXiv 1512.03385), table 1 and figure 3": (
        _row("VGG-19", "vgg19", {}, _mult_adds("19.6", unit="G")),
        _row("34-layer", "resnet34", {}, _mult_adds("3.6", TRUNCATED, unit="G")),
        _row("50-layer", "resnet50", {}, _mult_adds("3.8", TRUNCATED, unit="G")),
        _row("101-layer", "resnet101", {}, _mult_adds("7.6", unit="G")),
    ),
    "torchvision's table of weights": (
        _row("ResNet34", "resnet34", {}, _mult_adds("3.66", unit="G"),
             _parameters("21.8", "trainable")),
        _row("ResNet50", "resnet50", {"stride_on": "3x3"}, _mult_adds("4.09", unit="G"),
             _parameters("25.6", "trainable")),
        _row("ResNet101", "resnet101", {"stride_on": "3x3"}, _mult_adds("7.80", unit="G"),
             _parameters("44.5", "trainable")),
        _row("SqueezeNet1_0", "squeezenet", {"resolution": 224}, _mult_adds("0.82", unit="G"),
             _parameters("1.2", "trainable")),
        _row("VGG16", "vgg16", {}, _mult_adds("15.47", unit="G"),
             _parameters("138.4", "trainable")),
        _row("VGG19", "vgg19", {}, _mult_adds("19.63", unit="G"),
             _parameters("143.7", "trainable")),
        _row("MobileNet_V2", _V2, {}, _mult_adds("0.30", unit="G"),
             _parameters("3.5", "trainable")),
    ),
    "VGG (arXiv 1409.1556), table 2": (
        _row("D", "vgg16", {}, _parameters("138", "trainable")),
        _row("E", "vgg19", {}, _parameters("144", "trainable")),
    ),
    "ShuffleNet (arXiv 1707.01083), table 1": tuple(
        _row(f"1x, {groups} group{'s' if groups > 1 else ''}", "shufflenet", {"groups": groups},
             _mult_adds(printed, ROUNDED, _NO_FC))
        for groups, printed in {1: "143", 2: "140", 3: "137", 4: "133", 8: "137"}.items()
    ),
}  # fmt: skip
