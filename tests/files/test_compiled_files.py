"""Compiled models in files: what is loaded gives the bits of what was saved, whatever it is."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled import assert_bits
from compiled_files import through_a_file
from hypothesis import given
from layer_cases import graph_of
from processes import run
from random_graphs import RandomGraph, random_graphs, random_inputs, random_weights
from saved_networks import CLASSES, Saved
from small_models import GATE, MAP, one_input, two_inputs

from dsconv import models
from dsconv.files.load import load
from dsconv.files.save import save
from dsconv.graph import Graph
from dsconv.kernels import dispatch
from dsconv.layers import GlobalAveragePool, Layer, LeakyReLU, MaxPool, Softmax

# Graphs


@given(case=random_graphs())
def test_random_graphs(isa: Any, tmp_path: Path, case: RandomGraph) -> None:
    model = case.graph.compile(case.weights)
    again = through_a_file(model, tmp_path)
    assert_bits(again(case.x), model(case.x))
    assert_bits(again(case.x), through_a_file(pickle.loads(pickle.dumps(model)), tmp_path)(case.x))


@given(case=random_graphs())
def test_random_graphs_on_another_instruction_set(tmp_path: Path, case: RandomGraph) -> None:
    """Check the bits of a compilation there, and that a file saved there comes back as well."""
    first, *others = reversed(dispatch.available())
    with dispatch.use(first):
        save(case.graph.compile(case.weights), tmp_path / "model.dsconv")
    for other in others:
        with dispatch.use(other):
            again = load(tmp_path / "model.dsconv")
            assert_bits(again(case.x), case.graph.compile(case.weights)(case.x))
            save(again, tmp_path / "there.dsconv")
        with dispatch.use(first):
            save(load(tmp_path / "there.dsconv"), tmp_path / "back.dsconv")
        back, there = ((tmp_path / f"{n}.dsconv").read_bytes() for n in ("back", "model"))
        assert back == there


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mobilenet_v1", {"alpha": 0.25, "resolution": 32}),
        ("mobilenet_v2", {"alpha": 0.35, "resolution": 32}),
        ("mobilenet_v1_standard", {"alpha": 0.25, "resolution": 32}),
        ("shufflenet", {"resolution": 32}),
        ("squeezenet", {"resolution": 48}),
        ("ssdlite_mobilenet_v2", {"alpha": 0.35, "resolution": 96}),
        ("deeplab_v3_mobilenet_v2", {"resolution": 65}),
    ],
)
def test_topologies(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    graph = getattr(models, name)(**options)
    model = graph.compile(random_weights(graph, np.random.default_rng(0)))
    x = random_inputs(graph, 1)
    assert_bits(through_a_file(model, tmp_path)(x), model(x))


def odd_layers() -> Graph:
    """Return all that a stored array can be: norms, a learned scale, groups, multipliers."""
    graph = Graph("odd layers")
    x = graph.l2_normalize(graph.batch_norm(graph.input((7, 5, 6))), name="norm")
    y = graph.batch_norm(x, 0.01, name="norm/scale")  # the name of a parameter of the one before
    y = graph.conv2d(graph.conv2d(y, 9, 3, groups=3), 18, 3, groups=9, bias=False)
    y = graph.conv2d(graph.depthwise_conv2d(y, 3, multiplier=3), 17)
    y = graph.batch_norm(graph.dense(graph.flatten(y), 33, bias=False), name="inf")
    graph.output(graph.batch_norm(graph.relu6(y)), x)
    return graph


def test_odd_layers(isa: Any, tmp_path: Path) -> None:
    graph = odd_layers()
    model = graph.compile(random_weights(graph, np.random.default_rng(1)))
    assert [step.op for step in model._program.steps].count("scale") == 3
    x = random_inputs(graph, 3)
    for again in (through_a_file(model, tmp_path), pickle.loads(pickle.dumps(model))):
        assert_bits(again(x), model(x))


def test_winograd(isa: Any, tmp_path: Path) -> None:
    """Check transformed weights, of both tiles; on other instruction sets as well."""
    graph = Graph()
    x = graph.input((13, 12, 48))
    small = graph.conv2d(graph.max_pool(x), 65, 3)
    graph.output(graph.relu(graph.conv2d(x, 40, 3)), graph.conv2d(small, 7))
    model = graph.compile(winograd=True)
    assert {step.geometry.get("tile", 0) for step in model._program.steps} == {0, 2, 4}
    x_ = random_inputs(graph, 2)
    assert_bits(through_a_file(model, tmp_path)(x_), model(x_))
    for other in dispatch.available():
        with dispatch.use(other):
            again = load(tmp_path / "model.dsconv")
            assert_bits(again(x_), graph.compile(winograd=True)(x_))


@pytest.mark.parametrize(
    "layer", [Softmax(), MaxPool(2), GlobalAveragePool(), LeakyReLU(-0.0)], ids=repr
)
def test_no_weights(tmp_path: Path, layer: Layer) -> None:
    """Check layers without weights; the file keeps the sign of a zero, too."""
    graph = graph_of(layer, [(4, 5, 6)])
    model, x = graph.compile(), random_inputs(graph, 2)
    assert_bits(through_a_file(model, tmp_path)(x), model(x))


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    model = two_inputs().compile(threads=2)
    assert_bits(through_a_file(model, tmp_path)({"gate": GATE, "map": MAP}), model((MAP, GATE)))


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_a_model_stays_when_the_file_goes(tmp_path: Path, change: str) -> None:
    model = one_input().compile()
    again = through_a_file(model, tmp_path)
    if change == "deleted":
        (tmp_path / "model.dsconv").unlink()
    else:
        save(two_inputs().compile(), tmp_path / "model.dsconv")
    for same in (again, copy.deepcopy(again), pickle.loads(pickle.dumps(again))):
        assert_bits(same(MAP), model(MAP))


def test_copies_have_weights_of_their_own(tmp_path: Path) -> None:
    model = one_input().compile()
    again = through_a_file(model, tmp_path)
    copies = copy.deepcopy(again), pickle.loads(pickle.dumps(again))
    (tmp_path / "model.dsconv").write_bytes(b"")
    with pytest.raises(ValueError, match="model.dsconv: the file was changed after it was loaded"):
        again(MAP)
    for same in copies:
        assert_bits(same(MAP), model(MAP))


def test_a_file_may_be_replaced_by_its_own_model(tmp_path: Path) -> None:
    path = tmp_path / "model.dsconv"
    model = one_input().compile()
    save(model, path)
    again = load(path)
    for _ in range(2):
        save(again, path)
        assert_bits(again(MAP), model(MAP))
        assert_bits(load(path)(MAP), model(MAP))


# Options and errors


def test_options_of_load(tmp_path: Path) -> None:
    path = tmp_path / "model.dsconv"
    save(Saved("mobilenet_v1").load(tmp_path), path)
    assert load(path).threads is None and load(path, 2).threads == 2
    names = [f"class {i}" for i in range(CLASSES)]
    assert load(path, classes=CLASSES, labels=names).labels == tuple(names)
    (tmp_path / "labels.txt").write_text("\n".join(names))
    assert load(path, labels=tmp_path / "labels.txt").labels == tuple(names)
    for options, message in (
        ({"classes": 5}, f"model.dsconv: the classifier has {CLASSES} classes, not .* classes=5"),
        (
            {"labels": names[1:]},
            f"model.dsconv: the classifier has {CLASSES} classes, not .* 5 lab",
        ),
        ({"resolution": 32}, "model.dsconv: resolution does not apply to a compiled model"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            load(path, **options)
    for options in ({"threads": "2"}, {"threads": True}, {"classes": 6.0}, {"labels": 5}):
        with pytest.raises(TypeError, match=f"{next(iter(options))} must be"):
            load(path, **options)


def test_classes_of_a_network_that_is_no_classifier(tmp_path: Path) -> None:
    save(two_inputs().compile(), tmp_path / "model.dsconv")
    for options in ({"classes": 3}, {"labels": ["a", "b", "c"]}):
        with pytest.raises(ValueError, match="model.dsconv: .* given, but the weights hold no"):
            load(tmp_path / "model.dsconv", **options)


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    model = one_input().compile()
    save(model, tmp_path / "model.dsconv")
    (tmp_path / "model.dsconv").rename(tmp_path / "model.safetensors")
    assert_bits(load(tmp_path / "model.safetensors")(MAP), model(MAP))


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    path = tmp_path / "model.dsconv"
    graph = one_input()
    for thing, message in (
        (graph.init_weights(), "a .dsconv file holds a compiled model, not only weights"),
        (graph, "a graph without weights can be saved as .onnx only, got '.*model.dsconv'"),
    ):
        with pytest.raises(ValueError, match=message):
            save(thing, path)
    with pytest.raises(TypeError, match="model_or_weights must be a model, a graph or a mapping"):
        save(5, path)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_too_much_text(tmp_path: Path) -> None:
    graph = Graph("a" * (4 << 20))
    graph.output(graph.relu(graph.input((4,))))
    with pytest.raises(ValueError, match=r"the model takes \d+ bytes of text; at most 4194304 fit"):
        save(graph.compile(), tmp_path / "model.dsconv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "onnx"])
def test_unfolded_weights_are_not_there(tmp_path: Path, suffix: str) -> None:
    save(one_input().compile(), tmp_path / "model.dsconv")
    model = load(tmp_path / "model.dsconv")
    message = "'one input' has no unfolded weights: .* went through a pickle or a .dsconv file"
    with pytest.raises(ValueError, match=message):
        save(model, tmp_path / f"model.{suffix}")
    assert not (tmp_path / f"model.{suffix}").exists()


# What a start imports


def test_calls_need_no_graph(tmp_path: Path) -> None:
    """Check that a call imports no module that describes, compiles or lowers networks."""
    path = tmp_path / "model.dsconv"
    save(two_inputs().compile(), path)
    code = """
import sys
import numpy as np
import dsconv
model = dsconv.load(sys.argv[1])
model(tuple(np.ones(shape, np.float32) for shape in model.inputs.values()))
print(*(name for name in sys.modules if name.startswith("dsconv")))
"""
    done = run(code, str(path))
    modules = done.stdout.split()
    assert "dsconv.kernels.program_text" in modules, done.stderr
    for name in ("functional", "graph", "layers", "network", "compiler.lowering", "weights"):
        assert f"dsconv.{name}" not in modules
