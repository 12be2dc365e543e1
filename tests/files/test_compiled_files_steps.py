"""Steps of compiled models in files that lie: a ValueError at once, or what is loaded runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_files import (
    JUNK,
    Content,
    attempt,
    description,
    line,
    own_widths,
    parsed,
    places,
    refused,
    repeat,
    runs,
    saved,
    write,
)
from hypothesis import given
from hypothesis import strategies as st

from dsconv.files.load import load
from dsconv.files.save import save
from dsconv.graph import Graph
from dsconv.kernels import dispatch

NETWORKS = ("two inputs", "pictures", "the rest")
LARGE = 2**31 - 1
Change = Callable[[Any], Any]


def the_rest() -> Graph:
    """Return a graph of the kernels that the other two networks do without."""
    graph = Graph("the rest")
    x = graph.input((6, 6, 4), name="x")
    y = graph.max_pool(graph.conv2d(x, 6, 3, dilation=2, groups=2), 3, stride=2, padding=1)
    y = graph.channel_shuffle(graph.average_pool(graph.sigmoid(y), 2, stride=1), 2)
    y = graph.resize(graph.conv2d(graph.depthwise_conv2d(y, (2, 3)), 5), 4, 4)
    z = graph.conv2d(graph.input((12, 12, 48), name="z"), 48, 3)
    graph.output(graph.pad(y, ((1, 0), (0, 1))), graph.conv2d(z, 3))
    return graph


class Tampered:
    """A sound file, and copies of it with other steps."""

    def __init__(self, network: str, folder: Path) -> None:
        self.path = folder / "model.dsconv"
        if network == "the rest":
            save(the_rest().compile(winograd=True), self.path)
        else:
            saved("Model" if network == "two inputs" else "Classifier", folder)
        content = Content(self.path)
        self._fields, self._floats = content.fields, content.floats
        self.good = [parsed(text) for text in content.fields["step"]]
        assert [line(step) for step in self.good] == content.fields["step"]
        runs(load(self.path), self.path)

    def __call__(self, change: Change) -> None:
        """Write the steps that `change` returns or has changed: they are refused, or they run."""
        steps = json.loads(json.dumps(self.good))
        steps = change(steps) or steps
        lines = [line(step) for step in steps]
        one = [f"{len(lines)} 0 0 any all"]
        fields = {key: value for key, value in self._fields.items() if key != "features"}
        write(self.path, {**fields, "layer": one, "step": lines}, self._floats)
        runs(attempt(self.path), self.path)

    def everywhere(self, change: Callable[[Any, Any], Any], *types: type) -> None:
        """Call `change(container, key)` of each value in turn, or of those of these types."""
        for index, (container, key) in enumerate(places(self.good)):
            if types and type(container[key]) not in types:
                continue
            self(lambda steps, index=index: change(*list(places(steps))[index]))

    def keep(self, op: str) -> None:
        """Keep one step and its weights: a short file is quickly tried."""
        self.good = [step for step in self.good if step[0] == op][:1]
        weights = self.good[0][3].values()
        parts = [self._floats[start : start + count] for count, start in weights]
        ends = np.cumsum([0, *map(len, parts)]).tolist()
        self._floats = np.concatenate([*parts, np.zeros(0, np.float32)])
        for weight, start in zip(weights, ends, strict=False):
            weight[1] = start


def test_every_kernel_is_there(tmp_path: Path) -> None:
    found = {step[0] for network in NETWORKS for step in Tampered(network, tmp_path).good}
    assert found == set(dispatch.kernels.OPS)


@pytest.mark.parametrize("op", dispatch.kernels.OPS)
def test_every_value_of_a_step(tmp_path: Path, op: str) -> None:
    for network in NETWORKS:
        tampered = Tampered(network, tmp_path)
        if op in (step[0] for step in tampered.good):
            break
    tampered.keep(op)
    for junk in JUNK:
        tampered.everywhere(lambda container, key, junk=junk: container.__setitem__(key, junk))


@pytest.mark.parametrize("network", NETWORKS)
def test_values_that_are_gone_or_there_twice(tmp_path: Path, network: str) -> None:
    tampered = Tampered(network, tmp_path)
    tampered.everywhere(lambda container, key: container.pop(key) and None)
    tampered.everywhere(repeat)


CHANGES: dict[str, Change] = {
    "+ 1": lambda n: n + 1,
    "- 1": lambda n: n - 1,
    "* 2": lambda n: n * 2,
    "negative": lambda n: -n,
    "+ 2^31": lambda n: n + 2**31,
    "+ 2^32": lambda n: n + 2**32,
    "+ 2^40": lambda n: n + 2**40,
    "+ 2^63": lambda n: n + 2**63,
    "- 2^63": lambda n: n - 2**63,
    "to 2^63 - 1": lambda n: 2**63 - 1,
    "to 2^62": lambda n: 2**62,
    "as text": str,
    "as a float": float,
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("change", CHANGES)
def test_other_numbers(tmp_path: Path, network: str, change: str) -> None:
    def other(container: Any, key: Any) -> None:
        container[key] = CHANGES[change](container[key])

    Tampered(network, tmp_path).everywhere(other, int, float)


@pytest.mark.parametrize("network", NETWORKS)
def test_other_orders(tmp_path: Path, network: str) -> None:
    """Try steps that are gone, there twice, elsewhere, or of another kind."""
    tampered = Tampered(network, tmp_path)
    count = len(tampered.good)
    tampered(lambda steps: steps[::-1])
    tampered(lambda steps: steps * 50)
    for i in range(count):
        tampered(lambda steps, i=i: steps[:i] + steps[i + 1 :] or [None])
        tampered(lambda steps, i=i: steps[:i])
        tampered(lambda steps, i=i: steps[i:])
        tampered(lambda steps, i=i: [*steps, steps[i]])
        for j in range(count):
            tampered(lambda steps, i=i, j=j: swapped(steps, i, j))
            for part in range(5):  # one of what describes a step
                tampered(lambda steps, i=i, j=j, part=part: taken(steps, i, j, part))
        for op in dispatch.kernels.OPS:
            tampered(lambda steps, i=i, op=op: steps[i].__setitem__(0, op))


def swapped(steps: list[Any], i: int, j: int) -> None:
    steps[i], steps[j] = steps[j], steps[i]


def taken(steps: list[Any], i: int, j: int, part: int) -> None:
    steps[i][part] = steps[j][part]


@pytest.mark.parametrize("network", NETWORKS)
def test_several_changes(tmp_path: Path, network: str) -> None:
    tampered = Tampered(network, tmp_path)

    @given(st.data())
    def check(data: st.DataObject) -> None:
        def change(steps: list[Any]) -> None:
            numbers = [(c, k) for c, k in places(steps) if type(c[k]) in (int, float)]
            for _ in range(data.draw(st.integers(2, 6))):
                container, key = data.draw(st.sampled_from(numbers))
                kind = data.draw(st.sampled_from([*CHANGES][:4]))
                container[key] = CHANGES[kind](container[key])

        tampered(change)

    check()


# What each check is for


def convolution(op: str, **geometry: Any) -> list[Any]:
    names = ("weight", "bias", "mid_weight", "mid_bias", "in_weight", "in_bias")
    if op == "inverted_residual":
        geometry = {"hidden": 1, **geometry}
    return [op, geometry, [[1, 0], [2, 0], None], {name: [512, 0] for name in names}, None]


def plain(op: str, geometry: Any, x: Any = (1, 0), y: Any = (2, 0), *rest: Any) -> list[Any]:
    residual, layout = (*rest, None, None)[:2]
    return [op, geometry, [x, y, residual], {}, layout]


def copy_of(sizes: Any, x: Any, y: Any, *shifts: int) -> list[Any]:
    layout = [[*sizes, 1, 1, 1, 1][:5], [*x, 0, 0, 0, 0][:5], [*y, 0, 0, 0, 0][:5], *shifts]
    return plain("copy", {"c": 16, "oc": 16}, (1, 0), (2, 0), None, layout)


def write_steps(path: Path, steps: list[Any]) -> None:
    """Write a file with an input and an output of 16 floats, and an array of 512."""
    lines = {"input": ["16 x0"], "output": ["16 y"], "step": [line(step) for step in steps]}
    write(path, description(**own_widths(), **lines), np.ones(512, np.float32))


FAR = {"left": LARGE - 1, "sw": LARGE}  # one output, far from the map, in all of its padding


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (convolution("nothing"), "op must be one of"),
        (convolution("standard", channels=1), "geometry has no .*channels"),
        (convolution("standard", c=0), "standard: c must be from 1 to"),
        (convolution("standard", kh=2), "height 1, kernel 2, .* got 1"),
        (convolution("standard", sh=0), "sh must be from 1 to"),
        (convolution("standard", sh=LARGE + 1), "sh must be from 1 to"),
        (convolution("standard", top=-1), "top must be from 0 to"),
        (convolution("standard", c=3, oc=3, groups=2), "2 groups must divide"),
        (convolution("standard", c=512), "standard takes .* floats of weight, got 512"),
        (convolution("pointwise", groups=2, c=2, oc=2), "groups must be 1, got 2"),
        (convolution("winograd", kh=3, kw=3, h=3, w=3), "tile must be 2 or 4"),
        (convolution("depthwise", multiplier=2), "times multiplier 2 must be"),
        (convolution("inverted_residual", hidden=0), "hidden must be at least 1"),
        (convolution("inverted_residual", hidden=513), "takes .* floats of"),
        *((convolution(op, **FAR), "too large for a map of 1 x 1") for op in
          ("standard", "depthwise", "separable", "inverted_residual")),
        (convolution("standard", multiplier=LARGE, c=2**40), "which has|too large|takes"),
        (convolution("standard", **FAR, kh=2, dh=LARGE, top=LARGE, bottom=2**28 - 1, oh=2**28, c=4),
         "too large for a map of 1 x 1"),
        (convolution("depthwise", kh=2, dh=LARGE, top=LARGE), "too large for a map of 1 x 1"),
        (plain("max_pool", {"kh": 2, "top": 2}), "windows outside of the map"),
        (plain("max_pool", {"oh": 2}, (1, 0), (0, 0)), "outside of the map for 2"),
        (plain("max_pool", {"oh": 2**32 + 5, "sh": LARGE, "kh": 2}, (1, 0), (0, 0)), "outside of"),
        (plain("average_pool", {"ow": 2**32 + 5, "sw": LARGE}, (1, 0), (0, 0)), "too large for"),
        (plain("add", {}), "add takes a second input"),
        (plain("mul", {}, (1, 0), (2, 0), (-1, 0)), "mul takes a second input"),
        (plain("mul", {}, (1, 0), (2, 0), (1, 16)), "which has"),
        (plain("mul", {"w": 16, "ow": 16}, (1, 0), (2, 0), (1, 1)), "which has"),
        (plain("add", {"c": 16, "oc": 16}, (1, 0), (2, 0), (0, 2**63 - 1)), "which has"),
        (plain("softmax", {"c": 17, "oc": 17}), "which has"),
        (plain("softmax", {}, (1, -1)), "which has"),
        (plain("softmax", {}, (3, 0)), "array 3; it must be 0, or from 1 to 2"),
        (plain("softmax", {}, (-1, 0)), "array -1; it must be 0, or from 1 to 2"),
        (plain("softmax", {}, (1, 0), (1, 0)), "array 1; it must be 0, or from 2 to 2"),
        (plain("zero", {"oc": 2**41}, (1, 0), (0, 0)), "oc must be from 1 to"),
        (plain("zero", {"oh": 2**21, "oc": 2**21}, (1, 0), (0, 0)), "which has"),
        (plain("zero", {"oh": 2**32, "oc": 2**32}, (1, 0), (0, 0)), "which has"),
        (plain("copy", {}), "the axes of a copy must be at least 1 long, got 0"),
        (copy_of([17], [1], [1], 0, 0), "a copy reaches beyond its map"),
        (copy_of([16], [1], [1], 1, 0), "a copy reaches beyond its map"),
        (copy_of([16], [1], [1], 0, -1), "a copy reaches beyond its map"),
        (copy_of([16], [-1], [1], 14, 0), "a copy reaches beyond its map"),
        (copy_of([0], [1], [1], 0, 0), "the axes of a copy must be at least 1 long"),
        (copy_of([3], [2**62], [1], -(2**63), 0), "a copy reaches beyond its map"),
        (copy_of([10**18], [0], [0], 0, 0), "a copy writes more"),
        (copy_of([17], [0], [0], 0, 0), "a copy writes more"),
    ],
)  # fmt: skip
def test_refused_steps(tmp_path: Path, step: list[Any], message: str) -> None:
    write_steps(tmp_path / "model.dsconv", [step])
    refused(tmp_path / "model.dsconv", f"compiled model: .*({message})")


def test_the_pieces_are_sound_before_they_are_spoilt(tmp_path: Path) -> None:
    ops = ("standard", "pointwise", "depthwise", "separable", "inverted_residual")
    good = [convolution(op) for op in ops]
    good += [plain("max_pool", {}), plain("softmax", {"c": 16, "oc": 16}), plain("zero", {})]
    good += [plain("mul", {}, (1, 0), (2, 0), (1, 15)), copy_of([16], [1], [1], 0, 0)]
    good += [copy_of([16], [-1], [1], 15, 0), copy_of([4, 4], [0, 1], [1, 4], 12, 0)]
    write_steps(tmp_path / "model.dsconv", good)
    runs(load(tmp_path / "model.dsconv"), tmp_path / "model.dsconv")
