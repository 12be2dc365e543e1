"""Graphs of compiled models in files that no compiler made: chains of any stages."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from bounds import interpret_with_bounds
from compiled import assert_bits
from compiled_files import (
    Content,
    description,
    layers,
    own_widths,
    refused,
    refused_graph,
    refused_layers,
    runs,
    widths_of,
    write,
)
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import random_inputs
from tolerance import assert_close

from dsconv.compiler.fused import Fused, Stage
from dsconv.compiler.packings import packings_of
from dsconv.compiler.stored import Recipe, restore
from dsconv.files.compiled import _step_lines
from dsconv.files.load import load
from dsconv.files.save import save
from dsconv.graph import Graph
from dsconv.kernels.packing import unpack, unpack_bias
from dsconv.layers import (
    KINDS,
    Add,
    Clip,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Layer,
    LocalResponseNorm,
    Slice,
)
from dsconv.network.json import _encode, from_json, to_json
from dsconv.text.lines import shape_lines

Shape = tuple[int, ...]


def graph_of(stages: Any, residual: Any, *shapes: Shape) -> dict[str, Any]:
    """As JSON has it: inputs of these shapes, and a layer behind them."""
    nodes = [
        {"name": f"x{i}", "inputs": [], "kind": "input", "attributes": {"shape": list(shape)}}
        for i, shape in enumerate(shapes)
    ]
    fused = {"kind": "fused", "attributes": {"stages": stages, "residual": residual}}
    nodes.append({"name": "y", "inputs": [node["name"] for node in nodes], **fused})
    head = {"format": "dsconv graph", "version": 1, "name": "chain", "outputs": ["y"]}
    return {**head, "nodes": nodes}


# Any stages


class Chain(NamedTuple):
    stages: list[Stage]
    residual: bool
    shapes: list[Shape]


@st.composite
def chains(draw: Any) -> Chain:
    """Mostly of kinds that fit each other."""

    def one_of(*values: Any) -> Any:
        return draw(st.sampled_from(values))

    def layer(kind: str) -> Layer:
        options = {"bias": one_of(True, False), "clip": one_of(None, (0.0, 6.0), (-1.0, math.inf))}
        if kind == "dense":
            return Dense(one_of(5, 17, 33), **options)
        if kind == "clip":
            return Clip(0.0, 1.0)
        options["stride"] = one_of(1, 1, 1, 2) if kind != "pointwise" else one_of(1, 1, 1, 1, 1, 2)
        if kind == "pointwise":
            return Conv2D(one_of(2, 6, 9, 16, 17, 33), **options)
        options["padding"] = one_of("same", "same", "valid", ((0, 1), (1, 0)))
        if kind == "depthwise":
            return DepthwiseConv2D(one_of(3, (2, 3), 5), multiplier=one_of(1, 1, 2), **options)
        groups = one_of(1, 1, 2, 6)
        return Conv2D(groups * one_of(1, 3, 8, 9, 17), one_of(3, (2, 3)), groups=groups, **options)

    kinds = one_of(
        ("convolution",), ("pointwise",), ("depthwise",), ("dense",), ("depthwise", "pointwise"),
        ("pointwise", "depthwise", "pointwise"), ("pointwise", "depthwise", "pointwise"), None,
    )  # fmt: skip
    any_kind = st.sampled_from(["convolution", "pointwise", "depthwise", "dense", "clip"])
    kinds = kinds or draw(st.lists(any_kind, min_size=1, max_size=3))
    stages = [Stage(f"s{i}", layer(kind), one_of(None, "bn")) for i, kind in enumerate(kinds)]
    shape = (
        one_of((8,), (24,)) if kinds[0] == "dense" else one_of((5, 6, 6), (4, 7, 2), (9, 17, 24))
    )
    other = shape
    if one_of(True, True, True, False):
        for stage in stages:
            try:
                (other,) = stage.layer.infer([other])
            except ValueError:
                break
    residual = one_of(True, False)
    return Chain(stages, residual, [shape, other] if residual else [shape])


@given(
    case=chains(),
    widths=st.one_of(st.none(), st.tuples(st.integers(1, 40), st.integers(1, 40))),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_chain(
    isa: Any, tmp_path: Path, case: Chain, widths: tuple[int, int] | None, seed: int
) -> None:
    """Refused, or the same as its layers one by one; whatever the widths that it is packed for."""
    path, random = tmp_path / "model.dsconv", np.random.default_rng(seed)
    lanes, block = widths or (isa.lanes, isa.block)
    text = json.dumps(graph_of([_encode(s) for s in case.stages], case.residual, *case.shapes))
    try:
        graph = from_json(text, {**KINDS, "fused": Fused}, cls=Graph)
        packings = packings_of(graph)
    except ValueError:
        write(path, description(**widths_of(lanes, block)), text, {})
        if own_widths() == widths_of(lanes, block):
            refused_layers(path, "")
        else:
            refused(path)
        return
    recipe, arrays = Recipe(graph, {}, (lanes, block)), {}
    for name, packing in packings.items():  # numbers also where rows are filled up
        for what, size in (("weight", packing.floats), ("bias", packing.bias_floats)):
            values = random.normal(size=size(recipe.widths) + int(random.integers(3)))
            arrays[f"{name}:{what}"] = values.astype(np.float32)
    lowered = restore(recipe, arrays)
    fields = description(
        **widths_of(lanes, block), input=shape_lines(lowered.inputs),
        output=shape_lines(lowered.outputs), step=_step_lines(lowered, list(arrays)),
    )  # fmt: skip
    write(path, fields, text, arrays)
    x = random_inputs(graph, 3, random)
    ((value, bound),) = interpret_with_bounds(*one_by_one(case, recipe, arrays), x)
    model = load(path)
    assert_close(model(x), value, bound)
    assert to_json(layers(model, path).graph) == graph.to_json()
    save(model, path)  # packed for the kernels in use
    assert_bits(load(path)(x), model(x))


def one_by_one(
    case: Chain, recipe: Recipe, arrays: dict[str, np.ndarray]
) -> tuple[Graph, dict[str, np.ndarray]]:
    """The stages as layers of their own, and the weights unpacked."""
    graph, weights = Graph(), {}
    y, *rest = (graph.input(s, name=f"x{i}") for i, s in enumerate(case.shapes))
    found = packings_of(recipe.graph)
    for name, layer, *_ in case.stages:
        packing = found[name]
        weight = arrays[f"{name}:weight"][: packing.floats(recipe.widths)]
        bias = arrays[f"{name}:bias"][: packing.bias_floats(recipe.widths)]
        shape = layer.parameters([graph.shape(y)])["weight"]
        weights[f"{name}/weight"] = unpack(weight, *packing, recipe.widths).reshape(shape)
        weights[f"{name}/bias"] = unpack_bias(bias, *packing)
        last = case.residual and name == case.stages[-1].name
        y = graph.add(replace(layer, bias=True, clip=None if last else layer.clip), y, name=name)
    if case.residual:
        y = graph.add(Add(case.stages[-1].layer.clip), y, *rest)
    graph.output(y)
    return graph, weights


# What no compiler makes

MAP = (4, 4, 4)


def conv(**attributes: Any) -> dict[str, Any]:
    return {"kind": "conv2d", "attributes": {"filters": 4, "bias": False, **attributes}}


def depthwise(**attributes: Any) -> dict[str, Any]:
    return {"kind": "depthwise_conv2d", "attributes": {"bias": False, **attributes}}


def stages(*layers: Any) -> list[Any]:
    return [{"name": f"s{i}", "layer": layer} for i, layer in enumerate(layers)]


@pytest.mark.parametrize(
    ("chain", "residual", "shapes", "message"),
    [
        ([], False, [MAP], "no kernel runs these stages"),
        (None, False, [MAP], "layer 'y': "),
        (5, False, [MAP], "layer 'y': "),
        ("inf", False, [MAP], "layer 'y': "),
        ("ab", False, [MAP], "layer 'y': "),
        ({}, False, [MAP], "no kernel runs these stages"),
        ([[]], False, [MAP], "layer 'y': "),
        ([{}], False, [MAP], "layer 'y': "),
        ([5], False, [MAP], "layer 'y': "),
        ([conv()], False, [MAP], "layer 'y': "),
        ([{"name": "a", "layer": conv(), "other": 1}], False, [MAP], "layer 'y': "),
        ([{"name": "a", "layer": None}], False, [MAP], "no kernel runs"),
        ([{"name": "a", "layer": {"x": {"y": {}}}}], False, [MAP], "no kernel runs"),
        ([{"name": 5, "layer": conv()}], False, [MAP], "names must be strings, got 5"),
        ([["inf", conv()]], False, [MAP], "names must be strings, got inf"),
        ([{"name": "a:weight", "layer": conv()}], False, [MAP], 'must not contain ":"'),
        ([{"name": "a", "layer": conv(), "norm": {}}], False, [MAP], "names must be strings"),
        ([{"name": "a", "layer": conv(), "epsilon": "b"}], False, [MAP], "epsilon must be"),
        ([{"name": "a", "layer": conv(), "epsilon": math.nan}], False, [MAP], "epsilon must be"),
        (stages({"kind": "relu", "attributes": {}}), False, [MAP], "unknown kind 'relu'"),
        (stages({"kind": [], "attributes": {}}), False, [MAP], "unknown kind"),
        (stages({"kind": "input", "attributes": {"shape": [4]}}), False, [], "no kernel runs"),
        (stages({"kind": "fused", "attributes": {"stages": stages(conv())}}), False, [MAP], "no ke"),
        (stages(conv()), 1, [MAP], "residual must be True or False"),
        (stages(conv()), False, [], "layer 'y': takes 1 inputs, got 0"),
        (stages(conv()), False, [MAP, MAP], "layer 'y': takes 1 inputs, got 2"),
        (stages(conv()), True, [MAP], "layer 'y': takes 2 inputs, got 1"),
        (stages(conv()), True, [MAP, (4, 4, 5)], "do not fit conv 1x1"),
        (stages(conv(groups=4)), True, [MAP, MAP], "no kernel runs"),
        (stages(depthwise()), True, [MAP, MAP], "no kernel runs"),
        (stages(conv(), conv()), False, [MAP], "no kernel runs"),
        (stages(depthwise(), conv(kernel=3)), False, [MAP], "no kernel runs"),
        (stages(depthwise(), conv(stride=2)), False, [MAP], "no kernel runs"),
        (stages(depthwise(), conv(padding=1)), False, [MAP], "no kernel runs"),
        (stages(depthwise(), conv(groups=2)), False, [MAP], "no kernel runs"),
        (stages(conv(), depthwise(multiplier=2), conv()), False, [MAP], "no kernel runs"),
        (stages(conv(stride=2), depthwise(), conv()), False, [MAP], "no kernel runs"),
        (stages(conv(), depthwise(), conv(), conv()), False, [MAP], "no kernel runs"),
        (stages(conv(filters=2**40)), False, [(1, 1, 1)], "more than 2147483647 values"),
        (stages(conv(filters=2**31 - 1)), False, [(1, 1, 1)], "array 's0:weight' is missing"),
        (stages(conv(kernel=60001, padding=30000)), False, [MAP], "array 's0:weight' is missing"),
        (stages(conv(kernel=2**31 - 1, padding=2**30)), False, [MAP], "array 's0:weight' is mis"),
        (stages(depthwise(multiplier=10**30), conv()), False, [MAP], "more than 2147483647 values"),
        (stages(depthwise(padding=9999, multiplier=9), conv(filters=1)), False, [(1, 1, 3)],
         r"the map \(19997, 19997, 27\) between stages has more than 2147483647 values"),
        ([{"name": "a", "layer": L} for L in (depthwise(), conv())], False, [MAP],
         "two stages have the name 'a'"),
    ],
)  # fmt: skip
def test_graphs(
    tmp_path: Path, chain: Any, residual: Any, shapes: list[Shape], message: str
) -> None:
    text = json.dumps(graph_of(chain, residual, *shapes))
    refused_graph(tmp_path / "model.dsconv", text, message)


@pytest.mark.parametrize("layer", [Conv2D(4), DepthwiseConv2D(1), Dense(4)], ids=str)
def test_layers_that_are_not_fused(tmp_path: Path, layer: Layer) -> None:
    graph = Graph()
    graph.output(graph.add(layer, graph.input((4,) if layer.kind == "dense" else MAP), name="y"))
    arrays = {"y:weight": np.ones(16, np.float32), "y:bias": np.ones(4, np.float32)}
    message = "layer 'y' must be one of kind 'fused'"
    refused_graph(tmp_path / "model.dsconv", graph.to_json(), message, arrays)


@pytest.mark.parametrize(
    "layer", [LocalResponseNorm(2**40 + 1), Slice((0, 0, 0), (1, 4, 4), (10**30, 1, 1))], ids=str
)
def test_numbers_beyond_those_of_the_kernels(tmp_path: Path, layer: Layer) -> None:
    graph = Graph()
    graph.output(graph.add(layer, graph.input(MAP)))
    refused_graph(tmp_path / "model.dsconv", graph.to_json(), "too")


@pytest.mark.parametrize("name", ["inf", "-inf", "", "a/b", "é", " a  b ", "a\nb\\n", "x" * 1000])
def test_names(tmp_path: Path, name: str) -> None:
    """Any string without ":" names a stage."""
    path = tmp_path / "model.dsconv"
    fields = description(input=["4,4,4 x0"], output=["4,4,4 y"])
    for norm in (None, name):
        stage = {"name": name, "layer": conv(), "norm": norm, "epsilon": 0.5}
        arrays = {f"{name}:weight": np.ones(16, np.float32), f"{name}:bias": np.ones(4, np.float32)}
        write(path, fields, json.dumps(graph_of([stage], False, MAP)), arrays)
        model = load(path)
        runs(model, path)
        save(model, path)
        assert Content(path).graph["nodes"][1]["attributes"]["stages"][0]["name"] == name
        assert_bits(load(path)(np.ones(MAP, np.float32)), model(np.ones(MAP, np.float32)))
