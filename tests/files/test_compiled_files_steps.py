"""Steps of compiled models in files that lie: a ValueError at once, or what is loaded runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_files import (
    JUNK,
    Content,
    attempt,
    own_widths,
    refused,
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
from dsconv.kernels.packing import Widths, weights_of

NETWORKS = ("two inputs", "pictures", "the rest")
LARGE = 2**31 - 1
Step = list[str]  # words at even places, what separates them between
Change = Callable[[Step, int], Step]


def split(line: str) -> Step:
    return re.split("([ :=@,])", line)


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
        self.good = [split(line) for line in content.fields["step"]]
        runs(load(self.path), self.path)

    def __call__(self, steps: list[Step]) -> None:
        """Write these steps: they are refused, or they run."""
        fields = {key: lines for key, lines in self._fields.items() if key != "features"}
        fields |= {"layer": [f"{len(steps)} 0 any all"], "step": list(map("".join, steps))}
        write(self.path, fields, self._floats)
        runs(attempt(self.path), self.path)

    def everywhere(self, change: Change) -> None:
        """Change each word in turn."""
        for i, step in enumerate(self.good):
            for at in range(0, len(step), 2):
                if (new := change(step, at)) != step:
                    self([*self.good[:i], new, *self.good[i + 1 :]])

    def keep(self, op: str) -> None:
        """Keep one step and its weights: a short file is quickly tried."""
        parts = [np.zeros(0, np.float32)]

        def moved(match: re.Match[str]) -> str:
            count, start = map(int, match.groups())
            parts.append(self._floats[start : start + count])
            return f"={count}@{sum(map(len, parts[:-1]))}"

        line = next("".join(step) for step in self.good if step[0] == op)
        self.good = [split(re.sub(r"=(\d+)@(\d+)", moved, line))]
        self._floats = np.concatenate(parts)


def test_every_kernel_is_there(tmp_path: Path) -> None:
    found = {step[0] for network in NETWORKS for step in Tampered(network, tmp_path).good}
    assert found == set(dispatch.kernels.OPS)


@pytest.mark.parametrize("op", dispatch.kernels.OPS)
def test_every_word_of_a_step(tmp_path: Path, op: str) -> None:
    for network in NETWORKS:
        tampered = Tampered(network, tmp_path)
        if op in (step[0] for step in tampered.good):
            break
    tampered.keep(op)
    for junk in JUNK:
        tampered.everywhere(lambda step, at, junk=junk: [*step[:at], junk, *step[at + 1 :]])


@pytest.mark.parametrize("network", NETWORKS)
def test_words_that_are_gone_or_there_twice(tmp_path: Path, network: str) -> None:
    tampered = Tampered(network, tmp_path)
    tampered.everywhere(lambda step, at: step[:at] + step[at + 2 :])
    tampered.everywhere(lambda step, at: step[: at + 2] + step[at:])


CHANGES: dict[str, Callable[[Any], Any]] = {
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
    "as a float": float,
}


def with_number(change: str) -> Change:
    """Return the change of a word that is a number; other words stay."""

    def changed(step: Step, at: int) -> Step:
        try:
            number = int(step[at]) if step[at].lstrip("-").isdigit() else float(step[at])
        except ValueError:
            return step
        return [*step[:at], str(CHANGES[change](number)), *step[at + 1 :]]

    return changed


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("change", CHANGES)
def test_other_numbers(tmp_path: Path, network: str, change: str) -> None:
    Tampered(network, tmp_path).everywhere(with_number(change))


def parts_of(step: Step) -> list[list[str]]:
    """Return op, places, geometry, weights and layout of a step, in words."""
    op, *words = "".join(step).split(" ")
    weights, layout = ([word for word in words[3:] if mark in word] for mark in "@,")
    geometry = [word for word in words[3:] if word not in weights + layout]
    return [[op], words[:3], geometry, weights, layout]


@pytest.mark.parametrize("network", NETWORKS)
def test_other_orders(tmp_path: Path, network: str) -> None:
    """Try steps that are gone, there twice, elsewhere, or of another kind."""
    tampered = Tampered(network, tmp_path)
    good = tampered.good
    tampered(good[::-1])
    tampered(good * 50)
    for i, step in enumerate(good):
        for some in (good[:i] + good[i + 1 :], good[:i], good[i:], [*good, step]):
            tampered(some)
        for other in good:
            tampered([other if s is step else step if s is other else s for s in good])
            for part, words in enumerate(parts_of(other)):
                mixed = parts_of(step)
                mixed[part] = words
                tampered([*good[:i], split(" ".join(sum(mixed, []))), *good[i + 1 :]])
        for op in dispatch.kernels.OPS:
            tampered([*good[:i], [op, *step[1:]], *good[i + 1 :]])


@pytest.mark.parametrize("network", NETWORKS)
def test_several_changes(tmp_path: Path, network: str) -> None:
    tampered = Tampered(network, tmp_path)

    @given(st.data())
    def check(data: st.DataObject) -> None:
        steps = list(tampered.good)
        for _ in range(data.draw(st.integers(2, 6))):
            i = data.draw(st.integers(0, len(steps) - 1))
            at = data.draw(st.integers(0, len(steps[i]) // 2)) * 2
            steps[i] = with_number(data.draw(st.sampled_from([*CHANGES][:4])))(steps[i], at)
        tampered(steps)

    check()


# What each check is for; test_step_checks.py and test_records.py check them one by one


def convolution(op: str, **geometry: Any) -> str:
    names = ("weight", "bias", "mid_weight", "mid_bias", "in_weight", "in_bias")
    if op == "inverted_residual":
        geometry = {"hidden": 1, **geometry}
    words = [f"{field}={value}" for field, value in geometry.items()]
    return " ".join([op, "1:0 2:0 -", *words, *(f"{name}=512@0" for name in names)])


def sound(op: str) -> str:
    """Return a convolution of one float that has just the weights it takes."""
    kernels, words = dispatch.kernels, convolution(op).split(" ")
    fields = {"hidden": 1} if "hidden=1" in words else {}
    packings = weights_of(op, kernels.GEOMETRY | fields)
    counts = {name: packing.floats(Widths.of(kernels)) for name, packing in packings.items()}
    words = [word for word in words if not word.endswith("=512@0")]
    return " ".join([*words, *(f"{name}={count}@0" for name, count in counts.items())])


def copy_of(sizes: Any, x: Any, y: Any, *shifts: int) -> str:
    layout = [*[*sizes, 1, 1, 1, 1][:5], *[*x, 0, 0, 0, 0][:5], *[*y, 0, 0, 0, 0][:5], *shifts]
    return f"copy 1:0 2:0 - c=16 oc=16 layout={','.join(map(str, layout))}"


def write_steps(path: Path, steps: list[str]) -> None:
    """Write a file with an input and an output of 16 floats, and an array of 512."""
    fields = {
        "layer": [f"{len(steps)} 0 any all"], "class": ["Model"], "name": ["chain"],
        "unshared": ["0"], "input": ["16 x0"], "output": ["16 y"], "step": steps, **own_widths(),
    }  # fmt: skip
    write(path, fields, np.ones(512, np.float32))


FAR = {"left": LARGE - 1, "sw": LARGE}  # one output, far from the map, in all of its padding


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (convolution("nothing"), "op must be one of"),
        (convolution("standard", channels=1), "geometry has no .*channels"),
        (convolution("standard", c=0), "standard: c must be from 1 to"),
        (convolution("standard", kh=2), "height 1, kernel 2, .* got 1"),
        (convolution("standard", c=512), "standard takes .* floats of weight, got 512"),
        (convolution("inverted_residual", hidden=513), "takes .* floats of"),
        *((convolution(op, **FAR), "too large for a map of 1 x 1") for op in
          ("standard", "depthwise", "separable", "inverted_residual")),
        (convolution("standard", multiplier=LARGE, c=2**40), "which has|too large|takes"),
        (convolution("standard", **FAR, kh=2, dh=LARGE, top=LARGE, bottom=2**28 - 1, oh=2**28, c=4),
         "too large for a map of 1 x 1"),
        ("max_pool 1:0 0:0 - oh=2", "outside of the map for 2"),
        (f"average_pool 1:0 0:0 - ow={2**32 + 5} sw={LARGE}", "too large for"),
        ("mul 1:0 2:0 -1:0", "mul takes a second input"),
        ("mul 1:0 2:0 1:1 w=16 ow=16", "which has"),
        (f"add 1:0 2:0 0:{2**63 - 1} c=16 oc=16", "which has"),
        ("softmax 1:0 2:0 - c=17 oc=17", "which has"),
        ("softmax 3:0 2:0 -", "array 3; it must be 0, or from 1 to 2"),
        ("softmax 1:0 1:0 -", "array 1; it must be 0, or from 2 to 2"),
        (f"zero 1:0 0:0 - oh={2**21} oc={2**21}", "which has"),
        (f"zero 1:0 0:0 - oh={2**32} oc={2**32}", "which has"),
        ("copy 1:0 2:0 -", "the axes of a copy must be at least 1 long, got 0"),
        (copy_of([16], [1], [1], 1, 0), "a copy reaches beyond its map"),
        (copy_of([16], [-1], [1], 14, 0), "a copy reaches beyond its map"),
        (copy_of([3], [2**62], [1], -(2**63), 0), "a copy reaches beyond its map"),
        (copy_of([10**18], [0], [0], 0, 0), "a copy writes more"),
        (copy_of([17], [0], [0], 0, 0), "a copy writes more"),
    ],
)  # fmt: skip
def test_refused_steps(tmp_path: Path, step: str, message: str) -> None:
    write_steps(tmp_path / "model.dsconv", [step])
    refused(tmp_path / "model.dsconv", f"compiled model: .*({message})")


def test_the_pieces_are_sound_before_they_are_spoilt(tmp_path: Path) -> None:
    ops = ("standard", "pointwise", "depthwise", "separable", "inverted_residual")
    good = [sound(op) for op in ops]
    good += ["max_pool 1:0 2:0 -", "softmax 1:0 2:0 - c=16 oc=16", "zero 1:0 2:0 -"]
    good += ["mul 1:0 2:0 1:15", copy_of([16], [1], [1], 0, 0)]
    good += [copy_of([16], [-1], [1], 15, 0), copy_of([4, 4], [0, 1], [1, 4], 12, 0)]
    write_steps(tmp_path / "model.dsconv", good)
    runs(load(tmp_path / "model.dsconv"), tmp_path / "model.dsconv")
