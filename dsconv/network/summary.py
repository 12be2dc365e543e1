"""What a graph costs, and the table of its layers as text, Markdown and JSON.

Mult-adds are those of convolutions and fully connected layers for one example, from shapes alone,
taps that fall on padding included (MobileNetV1, arXiv 1704.04861, section 3.1).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from dsconv.layers.base import NOT_TRAINED
from dsconv.text.tables import markdown_table, text_table

if TYPE_CHECKING:
    from dsconv.graph import Graph, Node


class LayerCost(NamedTuple):
    """Cost of one layer or of several together."""

    mult_adds: int
    weights: int  # values in the kernels of convolutions and fully connected layers
    trainable_parameters: int  # weights, biases, gamma, beta and learned scales


class GraphCost:
    """Cost of a whole graph.

    Attributes
    ----------
    mult_adds, weights, trainable_parameters
        Totals, defined as in `LayerCost`.
    """

    def __init__(self, graph: Graph) -> None:
        self._layers = {name: _layer_cost(graph, node) for name, node in graph.nodes.items()}
        self._labels = {name: node.layer.label for name, node in graph.nodes.items()}
        self.mult_adds, self.weights, self.trainable_parameters = _total(self._layers.values())

    def by_layer(self) -> dict[str, LayerCost]:
        """Cost of each layer, in the order of the graph."""
        return dict(self._layers)

    def by_kind(self) -> dict[str, LayerCost]:
        """Cost of each kind that costs anything, the most mult-adds first.

        Kinds are those of the MobileNetV1 paper's table 2 ("conv 1x1", "depthwise 3x3",
        "conv 3x3", "fully connected"), and of every other kernel size and layer.
        """
        kinds: dict[str, list[LayerCost]] = {}
        for name, cost in self._layers.items():
            if any(cost):
                kinds.setdefault(self._labels[name], []).append(cost)
        totals = {kind: _total(costs) for kind, costs in kinds.items()}
        return dict(sorted(totals.items(), key=lambda item: -item[1].mult_adds))

    def __repr__(self) -> str:
        return (
            f"GraphCost(mult_adds={self.mult_adds:,}, weights={self.weights:,}, "
            f"trainable_parameters={self.trainable_parameters:,})"
        )


class Summary:
    """The table of a graph's layers: ``print(graph.summary())``.

    Parameters are the trained ones; the mean and variance of batch norms stand in the totals.
    """

    _HEADER = (
        "layer", "kind", "output shape", "kernel/stride/padding", "parameters", "mult-adds",
        "% of mult-adds",
    )  # fmt: skip
    _NUMBERS = (4, 5, 6)  # columns

    def __init__(self, graph: Graph) -> None:
        cost = graph.cost()
        layers = cost.by_layer()
        self._name = graph.name
        self._rows = [
            {
                "layer": name,
                "kind": node.layer.label,
                "inputs": list(node.inputs),
                "output_shapes": [list(graph.shape(tensor)) for tensor in graph.tensors(name)],
                **_window(node),
                "parameters": layers[name].trainable_parameters,
                "mult_adds": layers[name].mult_adds,
                "percent_of_mult_adds": _percent(layers[name].mult_adds, cost.mult_adds),
            }
            for name, node in graph.nodes.items()
        ]
        statistics = sum(
            math.prod(shape)
            for name, shape in graph.parameters().items()
            if name.rpartition("/")[2] in NOT_TRAINED
        )
        self._totals = {
            "mult_adds": cost.mult_adds,
            "trainable_parameters": cost.trainable_parameters,
            "weights": cost.weights,
            "batch_norm_statistics": statistics,
        }
        self._padding = _padding_rule(graph)

    def __str__(self) -> str:
        table = text_table(self._HEADER, list(map(_cells, self._rows)), right=self._NUMBERS)
        rule = "=" * table.index("\n")
        footer = (f"{what}: {value}" for what, value in self._footer())
        return "\n".join([f"Model: {self._name}", rule, table, rule, *footer])

    __repr__ = __str__

    def to_markdown(self) -> str:
        """Return the table and the totals in Markdown."""
        table = markdown_table(self._HEADER, list(map(_cells, self._rows)), right=self._NUMBERS)
        footer = (f"- {what}: {value}" for what, value in self._footer())
        return "\n".join([f"**{self._name}**", "", table, "", *footer])

    def to_json(self) -> str:
        """The rows, the totals and the padding rule as JSON; shapes without the batch."""
        return json.dumps(
            {
                "name": self._name,
                "layers": self._rows,
                "totals": self._totals,
                "padding": self._padding,
            },
            indent=1,
        )

    def _footer(self) -> list[tuple[str, str]]:
        totals = [
            (what.replace("_", " ").capitalize(), f"{value:,}")
            for what, value in self._totals.items()
        ]
        totals[0] = ("Mult-adds", totals[0][1])
        return [*totals, ("Padding", self._padding)]


def _layer_cost(graph: Graph, node: Node) -> LayerCost:
    shapes = graph.input_shapes(node.name)
    sizes = {
        name: math.prod(shape)
        for name, shape in node.layer.parameters(shapes).items()
        if name not in NOT_TRAINED
    }
    return LayerCost(node.layer.mult_adds(shapes), sizes.get("weight", 0), sum(sizes.values()))


def _total(costs: Iterable[LayerCost]) -> LayerCost:
    total = LayerCost(0, 0, 0)
    for cost in costs:
        total = LayerCost(*(a + b for a, b in zip(total, cost, strict=True)))
    return total


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _window(node: Node) -> dict[str, Any]:
    """The attributes of a sliding window, as far as the layer has them and they say something."""
    silent = {"dilation": (1, 1), "groups": 1, "multiplier": 1, "ceil": False}
    keys = ("kernel", "stride", "padding", *silent)
    values = vars(node.layer)
    return {key: values[key] for key in keys if key in values and values[key] != silent.get(key)}


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table as text."""
    shapes = ", ".join(f"(N, {', '.join(map(str, shape))})" for shape in row["output_shapes"])
    window = [_pair(row["kernel"])] if "kernel" in row else []
    window += [f"/{_short(row['stride'])}"] if "stride" in row else []
    if "padding" in row and (row.get("kernel"), row["padding"]) != ((1, 1), "same"):
        window.append(_padding(row["padding"]))
    window += [
        f"{key} {_pair(row[key])}" for key in ("dilation", "groups", "multiplier") if key in row
    ]
    window += ["ceil"] if "ceil" in row else []
    return (
        row["layer"],
        row["kind"],
        shapes,
        " ".join(window),
        f"{row['parameters']:,}",
        f"{row['mult_adds']:,}",
        f"{row['percent_of_mult_adds']:.2f}",
    )


def _pair(value: Any) -> str:
    """(3, 3) as "3x3", 2 as "2"."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _short(value: Any) -> str:
    """(2, 2) as "2", (2, 1) as "2x1"."""
    return str(value[0]) if value == (value[0],) * 2 else _pair(value)


def _padding(value: Any) -> str:
    """A padding as short as it can be told."""
    if isinstance(value, str):
        return value
    (top, bottom), (left, right) = value
    if top == bottom == left == right:
        return str(top)
    return f"{top},{bottom} x {left},{right}"


def _padding_rule(graph: Graph) -> str:
    """Which padding the graph's windows use: at stride 2 equal shapes hide different numbers."""
    rules = {
        "same": '"same" (the odd pixel goes to the bottom and right)',
        "symmetric": "symmetric (as many pixels before as after)",
        "explicit": "explicit (see the rows)",
        "valid": '"valid" (none)',
    }
    found = set()
    for node in graph.nodes.values():
        values = vars(node.layer)
        padding = values.get("padding")
        if padding is None or values.get("kernel") == (1, 1):
            continue
        if not isinstance(padding, str):
            sides = {top == bottom for top, bottom in padding}
            padding = "symmetric" if sides == {True} else "explicit"
        found.add(padding)
    return "; ".join(text for rule, text in rules.items() if rule in found) or "none"
