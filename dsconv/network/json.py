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
from dsconv.network.structure import Structure, run_order

FORMAT, VERSION = "dsconv graph", 1

_INFINITIES = {"inf": math.inf, "-inf": -math.inf}
_JSON_TYPES: dict[type, str] = {list: "a JSON array", str: "a string", dict: "a JSON object"}

G = TypeVar("G", bound=Structure)


def to_json(graph: Structure) -> str:
    """Return the graph as JSON text, one node a line."""
    nodes = ",\n  ".join(
        json.dumps({"name": name, "inputs": inputs, **_encode(layer)}, allow_nan=False)
        for name, layer, inputs in graph.nodes.values()
    )
    return (
        f'{{"format": {json.dumps(FORMAT)}, "version": {VERSION}, '
        f'"name": {json.dumps(graph.name)},\n "nodes": [\n  {nodes}],\n'
        f' "outputs": {json.dumps(graph.outputs)}}}\n'
    )


def from_json(text: str, kinds: Mapping[str, type[Layer]] = KINDS, *, cls: type[G]) -> G:
    """Build the graph that a JSON text describes.

    Parameters
    ----------
    text
        As `to_json` writes it; nodes may come in any order.
    kinds
        Kinds of layers by name.
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
            layer = _layer(nodes[name], kinds)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"layer {name!r}: {error}") from None
        graph.add(layer, *nodes[name]["inputs"], name=name)
    graph.output(*data["outputs"])
    graph.validate()
    return graph


def _layer(description: Mapping[str, Any], kinds: Mapping[str, type[Layer]]) -> Layer:
    kind, attributes = description["kind"], description["attributes"]
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"unknown kind {kind!r}, known are {', '.join(sorted(kinds))}")
    cls = kinds[kind]
    required = tuple(f.name for f in fields(cls) if f.default is MISSING)
    optional = tuple(f.name for f in fields(cls) if f.default is not MISSING)
    _check_keys(attributes, required, f"the attributes of a {kind}", optional)
    return cls(**{key: _decode(value, kinds) for key, value in attributes.items()})


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
    if hasattr(value, "_asdict"):  # a stage of a fused layer
        return {key: _encode(item) for key, item in value._asdict().items()}
    if isinstance(value, (tuple, list)):
        return [_encode(item) for item in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, Layer):
        attributes = {key: _encode(item) for key, item in vars(value).items()}
        return {"kind": value.kind, "attributes": attributes}
    return value


def _decode(value: Any, kinds: Mapping[str, type[Layer]]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item, kinds) for item in value)
    if isinstance(value, dict) and "kind" in value:
        _check_keys(value, ("kind", "attributes"), "a layer")
        return _layer(value, kinds)
    if isinstance(value, dict):  # a stage of a fused layer; its strings are names
        return {k: v if isinstance(v, str) else _decode(v, kinds) for k, v in value.items()}
    return _INFINITIES.get(value, value) if isinstance(value, str) else value
