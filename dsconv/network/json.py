"""Write graphs as JSON text and read them; every fault of a text is a ValueError that names it.

The text is one object: "format", "version", "name", "nodes" (each with "name", "kind", "inputs"
and "attributes", the fields of the layer), "outputs". Infinite bounds are the strings "inf" and
"-inf". Nodes may come in any order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from dsconv.layers import KINDS, Layer
from dsconv.network.structure import Node, Structure, run_order

FORMAT, VERSION = "dsconv graph", 1

_INFINITIES = {"inf": math.inf, "-inf": -math.inf}
_JSON_TYPES: dict[type, str] = {list: "a JSON array", str: "a string", dict: "a JSON object"}

G = TypeVar("G", bound=Structure)


def to_json(graph: Structure) -> str:
    """Return the graph as JSON text, one node a line."""
    nodes = ",\n  ".join(
        json.dumps(_description(node), allow_nan=False) for node in graph.nodes.values()
    )
    return (
        f'{{"format": {json.dumps(FORMAT)}, "version": {VERSION}, '
        f'"name": {json.dumps(graph.name)},\n "nodes": [\n  {nodes}],\n'
        f' "outputs": {json.dumps(graph.outputs)}}}\n'
    )


def from_json(text: str, cls: type[G]) -> G:
    """Build the graph that a JSON text describes.

    Parameters
    ----------
    text
        As `to_json` writes it; nodes may come in any order.
    cls
        The class of the graph.

    Raises
    ------
    ValueError
        For text that is not JSON or not a graph, unknown kinds, wrong or missing fields, attributes
        out of range, missing tensors, cycles, nodes that lead to no output.
    """
    try:
        data = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"the graph is not JSON: {error}") from None
    _check_keys(data, ("format", "version", "name", "nodes", "outputs"), "the graph")
    if (data["format"], data["version"]) != (FORMAT, VERSION):
        raise ValueError(
            f"the graph must have the format {FORMAT!r} version {VERSION}, "
            f"got {data['format']!r} version {data['version']!r}"
        )
    _check_type(data["nodes"], list, "the graph's nodes")
    nodes: dict[str, dict[str, Any]] = {}
    for i, node in enumerate(data["nodes"]):
        _check_keys(node, ("name", "kind", "inputs", "attributes"), f"node {i}")
        _check_type(node["name"], str, f"node {i}: the name")
        if node["name"] in nodes:
            raise ValueError(f"layer {node['name']!r}: the name is taken already")
        _check_strings(node["inputs"], f"layer {node['name']!r}: the inputs")
        nodes[node["name"]] = node
    _check_strings(data["outputs"], "the graph's outputs")

    graph = cls(data["name"])
    for name in run_order({name: tuple(node["inputs"]) for name, node in nodes.items()}):
        try:
            layer = _layer(nodes[name])
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"layer {name!r}: {error}") from None
        graph.add(layer, *nodes[name]["inputs"], name=name)
    graph.output(*data["outputs"])
    graph.validate()
    return graph


def _description(node: Node) -> dict[str, Any]:
    attributes = {key: _encode(value) for key, value in vars(node.layer).items()}
    head = {"name": node.name, "inputs": node.inputs}
    return {**head, "kind": node.layer.kind, "attributes": attributes}


def _layer(description: Mapping[str, Any]) -> Layer:
    kind, attributes = description["kind"], description["attributes"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}, known are {', '.join(sorted(KINDS))}")
    cls = KINDS[kind]
    required = tuple(f.name for f in fields(cls) if f.default is MISSING)
    optional = tuple(f.name for f in fields(cls) if f.default is not MISSING)
    _check_keys(attributes, required, f"the attributes of a {kind}", optional)
    return cls(**{key: _decode(value) for key, value in attributes.items()})


def _check_keys(
    value: Any, required: tuple[str, ...], what: str, optional: tuple[str, ...] = ()
) -> None:
    _check_type(value, dict, what)
    for key in required:
        if key not in value:
            raise ValueError(f"{what} must have the field {key!r}")
    for key in value:
        if key not in required + optional:
            raise ValueError(f"{what} must not have the field {key!r}")


def _check_strings(value: Any, what: str) -> None:
    _check_type(value, list, what)
    for item in value:
        _check_type(item, str, f"{what}: each")


def _check_type(value: Any, kind: type, what: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{what} must be {_JSON_TYPES[kind]}, got {type(value).__name__}")


def _encode(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_encode(item) for item in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_decode, value))
    return _INFINITIES.get(value, value) if isinstance(value, str) else value
