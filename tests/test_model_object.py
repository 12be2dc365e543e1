"""The compiled model as an object: its inputs, its errors, threads, pickles, profiles, weights."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from random_graphs import RandomGraph, random_graphs, random_weights
from tolerance import assert_close

import dsconv
from dsconv import _dispatch, models
from dsconv.compiler.model import CHUNK_BYTES, Model
from dsconv.graph import Graph
from dsconv.interpreter import interpret, interpret_with_bounds
from dsconv.layers import Add

Arrays = tuple[np.ndarray, ...]


def two_inputs() -> Graph:
    """A map and a vector in, two tensors out."""
    graph = Graph("two inputs")
    x, gate = graph.input((6, 5, 4), name="map"), graph.input((4,), name="gate")
    y = graph.relu6(graph.batch_norm(graph.conv2d(x, 4, 3, name="conv"), name="conv/bn"))
    y = graph.mul(graph.add(Add(), x, graph.depthwise_conv2d(y, name="depthwise")), gate)
    graph.output(y, graph.softmax(graph.dense(gate, 3, name="dense"), name="classes"))
    return graph


def one_input() -> Graph:
    graph = Graph("one input")
    x = graph.input((6, 5, 4), name="map")
    graph.output(graph.relu(graph.conv2d(x, 3, 3, name="conv"), name="relu"))
    return graph


def arrays(graph: Graph, images: int = 2, seed: int = 0) -> Arrays:
    random = np.random.default_rng(seed)
    return tuple(
        random.normal(size=(images, *graph.shape(name))).astype(np.float32) for name in graph.inputs
    )


def assert_bits(actual: Any, expected: Any) -> None:
    """Arrays or tuples of arrays, bit for bit."""
    assert isinstance(actual, tuple) == isinstance(expected, tuple)
    pairs = (
        zip(actual, expected, strict=True) if isinstance(actual, tuple) else [(actual, expected)]
    )
    for a, b in pairs:
        assert a.shape == b.shape and a.dtype == b.dtype == np.float32
        np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


# Inputs and outputs


def test_what_a_model_says_of_itself() -> None:
    model = two_inputs().compile(threads=2)
    assert isinstance(model, Model)
    assert (model.name, model.threads) == ("two inputs", 2)
    assert model.inputs == {"map": (6, 5, 4), "gate": (4,)}
    assert model.outputs == {"mul_1": (6, 5, 4), "classes": (3,)}
    assert "two inputs" in repr(model)


def test_inputs_by_position_and_by_name() -> None:
    graph = two_inputs()
    model = graph.compile()
    x, gate = arrays(graph)
    y = model((x, gate))
    assert isinstance(y, tuple) and [a.shape for a in y] == [(2, 6, 5, 4), (2, 3)]
    assert_bits(model({"map": x, "gate": gate}), y)
    assert_bits(model({"gate": gate, "map": x}), y)


def test_one_input_alone_in_a_tuple_or_by_name() -> None:
    model = one_input().compile()
    (x,) = arrays(one_input())
    y = model(x)
    assert isinstance(y, np.ndarray) and y.shape == (2, 6, 5, 3)
    assert_bits(model((x,)), y)
    assert_bits(model({"map": x}), y)


def test_one_example_has_no_batch_axis_in_the_result() -> None:
    graph = two_inputs()
    model = graph.compile()
    x, gate = arrays(graph)
    y = model((x[1], gate[1]))
    assert [a.shape for a in y] == [(6, 5, 4), (3,)]
    assert_bits(y, tuple(a[1] for a in model((x, gate))))


def test_an_empty_batch() -> None:
    graph = two_inputs()
    y = graph.compile()(arrays(graph, images=0))
    assert [a.shape for a in y] == [(0, 6, 5, 4), (0, 3)]


def test_inputs_that_are_not_contiguous_or_read_only() -> None:
    graph = one_input()
    model = graph.compile()
    (x,) = arrays(graph, images=4)
    expected = model(x[::-2].copy())
    assert_bits(model(x[::-2]), expected)
    turned = np.asfortranarray(x[::-2])
    turned.flags.writeable = False
    assert_bits(model(turned), expected)


def test_a_call_leaves_inputs_and_earlier_results_alone() -> None:
    graph = two_inputs()
    model = graph.compile()
    x, other = arrays(graph), arrays(graph, seed=1)
    copies = tuple(a.copy() for a in x)
    y = model(x)
    kept = tuple(a.copy() for a in y)
    model(other)
    assert_bits(x, copies)
    assert_bits(y, kept)


X, GATE = arrays(two_inputs())

BAD_INPUTS = [  # x, error, message
    ((X[:, :5], GATE), ValueError, r"'map' must have shape \(N, 6, 5, 4\) or .*\(2, 5, 5, 4\)"),
    ((X, GATE[:, :3]), ValueError, r"'gate' must have shape \(N, 4\) or \(4\), got \(2, 3\)"),
    ((X[0, 0], GATE[0]), ValueError, r"'map' must have shape .* got \(5, 4\)"),
    ((X, GATE[:1]), ValueError, "one batch size, got 2 and 1"),
    ((X,), ValueError, r"2 inputs \('map', 'gate'\), got 1"),
    ((X, GATE, GATE), ValueError, "2 inputs .* got 3"),
    (X, ValueError, "2 inputs .* got 1"),
    ({"map": X}, ValueError, r"inputs \('map', 'gate'\), got \('map',\)"),
    ({"map": X, "gates": GATE}, ValueError, "inputs .* got .*'gates'"),
    ((X, GATE.astype(np.float64)), TypeError, "'gate' must be float32, got float64"),
    ((X.astype(np.float16), GATE), TypeError, "'map' must be float32, got float16"),
    ((X, (9 * GATE).astype(np.int32)), TypeError, "'gate' must be float32, got int32"),
    ((X.astype(">f4"), GATE), TypeError, "'map' must be float32, got >f4"),
    ((X, None), TypeError, "'gate' must be float32"),
]


@pytest.mark.parametrize(("x", "error", "message"), BAD_INPUTS)
def test_bad_inputs(x: Any, error: type[Exception], message: str) -> None:
    model = two_inputs().compile()
    with pytest.raises(error, match=message):
        model(x)
    with pytest.raises(error, match=message):
        model.profile(x, repeats=1)


def test_an_example_beside_a_batch_is_refused() -> None:
    """(6, 5, 4) beside (2, 4): two images or one?"""
    with pytest.raises(ValueError, match="batch"):
        two_inputs().compile()((X[0], GATE))


# Threads and batches


def test_python_threads_may_share_a_model() -> None:
    """Eight at once, each with its own input, batch size and OpenMP threads in turn."""
    graph = two_inputs()
    weights = graph.init_weights(1)
    shared = [graph.compile(weights, threads) for threads in (1, 2)]
    x = [arrays(graph, images=1 + i % 3, seed=i) for i in range(8)]
    expected = [shared[0](each) for each in x]
    failures: list[BaseException] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        try:
            start.wait()
            for repeat in range(20):
                assert_bits(shared[repeat % 2](x[number]), expected[number])
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


def test_a_batch_larger_than_one_run() -> None:
    """An arena of 4 MB for each image and 17 images: the second run has one."""
    graph = Graph()
    x = graph.input((1, 1, 1))
    wide = graph.sigmoid(graph.conv2d(x, 2**20))
    graph.output(graph.global_average_pool(graph.reshape(wide, (2**10, 2**10, 1))))
    model = graph.compile()
    images = CHUNK_BYTES // model.arena_bytes[1] + 1
    assert images == 17
    (x_,) = arrays(graph, images)
    y = model(x_)
    for part in (slice(0, 1), slice(3, 9), slice(16, 17)):
        assert_bits(model(x_[part]), y[part])
    with pytest.raises(ValueError, match="x must have 1 to 16 examples for a profile, got 17"):
        model.profile(x_, repeats=1)


# Pickles


@given(case=random_graphs())
def test_pickles(isa: Any, case: RandomGraph) -> None:
    model = case.graph.compile(case.weights, threads=2)
    copy = pickle.loads(pickle.dumps(model))
    assert (copy.name, copy.threads) == (model.name, 2)
    assert (copy.inputs, copy.outputs) == (model.inputs, model.outputs)
    assert copy.arena_bytes == model.arena_bytes
    assert_bits(copy(case.x), model(case.x))
    assert_bits(deepcopy(copy)(case.x), model(case.x))


@pytest.mark.parametrize(
    "kind", ["convolution", "groups", "depthwise groups", "depthwise", "dense"]
)
@pytest.mark.parametrize("channels", [1, 7, 8, 9, 16, 17, 33, 64, 70])
def test_pickles_hold_weights_of_any_width(isa: Any, kind: str, channels: int) -> None:
    graph = Graph()
    x = graph.input((3, 4, 2 if kind in ("convolution", "groups") else channels))
    if kind == "convolution":
        y = graph.conv2d(x, channels, (2, 3))
    elif kind == "groups":
        y = graph.conv2d(x, 2 * channels, 3, groups=2)
    elif kind == "depthwise groups":
        y = graph.conv2d(x, 3 * channels, 3, groups=channels)
    elif kind == "depthwise":
        y = graph.depthwise_conv2d(x, multiplier=2)
    else:
        y = graph.dense(graph.global_average_pool(x), channels)
    graph.output(y)
    model = graph.compile()
    x_ = arrays(graph)
    assert_bits(pickle.loads(pickle.dumps(model))(x_), model(x_))


def test_a_pickle_from_one_instruction_set_runs_on_another() -> None:
    graph = models.mobilenet_v2(0.35, 32, classes=5)
    weights = random_weights(graph, np.random.default_rng(0))
    x = arrays(graph, 1)
    available = _dispatch.available()
    saved = {}
    for name in available:
        with _dispatch.use(name):
            saved[name] = pickle.dumps(graph.compile(weights)), graph.compile(weights)(x)
    for data, _ in saved.values():
        for name in available:
            with _dispatch.use(name):
                # folded weights are kept, not packed ones: the bits are those of a compilation here
                assert_bits(pickle.loads(data)(x), saved[name][1])


def test_a_model_stays_on_its_instruction_set() -> None:
    """Whatever is in use when it is called or saved."""
    graph = models.mobilenet_v2(0.35, 32, classes=5)
    (x,) = arrays(graph)
    with _dispatch.use("baseline"):
        model = graph.compile()
        expected = model(x)
    for name in _dispatch.available():
        with _dispatch.use(name):
            assert_bits(model(x), expected)
            data = pickle.dumps(model)
    with _dispatch.use("baseline"):
        assert_bits(pickle.loads(data)(x), expected)


@given(case=random_graphs())
def test_a_random_pickle_on_the_baseline(case: RandomGraph) -> None:
    data = pickle.dumps(case.graph.compile(case.weights))
    with _dispatch.use("baseline"):
        y = pickle.loads(data)(case.x)
    expected = interpret_with_bounds(case.graph, case.weights, case.x)
    for result, (value, bound) in zip(y if isinstance(y, tuple) else (y,), expected, strict=True):
        assert_close(result, value, bound)


def test_a_batch_norm_named_like_a_parameter() -> None:
    """ "norm/scale" is a parameter of the L2 normalisation "norm", and a layer's name."""
    graph = Graph()
    x = graph.l2_normalize(graph.input((2, 3, 4)), name="norm")
    graph.output(graph.batch_norm(x, name="norm/scale"))
    model = graph.compile()
    x_ = arrays(graph)
    assert_bits(pickle.loads(pickle.dumps(model))(x_), model(x_))


# Profiles


def test_profile() -> None:
    graph = models.mobilenet_v2(0.35, 64, classes=5)
    model = graph.compile()
    profile = model.profile(arrays(graph, images=2)[0], repeats=3)
    assert profile.images == 2
    assert profile.arena_bytes == 2 * model.arena_bytes[1]
    assert len(profile.total) == 3
    cost = graph.cost()
    assert sum(step.mult_adds for step in profile.steps) == cost.mult_adds
    assert sum(step.parameters for step in profile.steps) == cost.weights
    names = [step.name for step in profile.steps]
    assert len(set(names)) == len(names) and set(names) <= graph.nodes.keys()
    assert (names[0], names[-1]) == ("conv0/relu6", "logits")
    assert profile.steps[0].kind == "conv 3x3"
    for step in profile.steps:
        assert len(step.times) == 3 and all(0 <= t < math.inf for t in step.times)
    # the steps follow each other without gaps, between the same stamps of one clock
    for repeat, total in enumerate(profile.total):
        assert math.isclose(sum(step.times[repeat] for step in profile.steps), total, rel_tol=1e-6)


def test_profile_of_layers_of_several_steps() -> None:
    """Pad and concat take two steps each; an input that is an output is copied."""
    graph = Graph()
    x = graph.input((3, 4, 2))
    y = graph.concat(graph.pad(x, 1, name="pad"), graph.pad(x, 1), name="concat")
    graph.output(graph.conv2d(y, 3, name="conv"), x)
    profile = graph.compile().profile(arrays(graph)[0], repeats=1)
    kinds = {step.name: step.kind for step in profile.steps}
    assert kinds == {
        "pad": "pad", "pad_1": "pad", "concat": "concat", "conv": "conv 1x1", "input": "copy"
    }  # fmt: skip


@pytest.mark.parametrize("repeats", [0, -1])
def test_profile_repeats(repeats: int) -> None:
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        one_input().compile().profile(X, repeats)


def test_profile_of_an_empty_batch() -> None:
    with pytest.raises(ValueError, match="x must have 1 to .* got 0"):
        one_input().compile().profile(X[:0])


# Weights


class Recorded(Mapping[str, np.ndarray]):
    """Weights that write down what is read of them."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.weights, self.read = weights, list[str]()

    def __getitem__(self, name: str) -> np.ndarray:
        self.read.append(name)
        return self.weights[name].copy()

    def __iter__(self) -> Iterator[str]:
        return iter(self.weights)

    def __len__(self) -> int:
        return len(self.weights)


@pytest.mark.parametrize("build", [two_inputs, lambda: models.mobilenet_v2(0.35, 32, classes=5)])
def test_weights_are_read_once_and_layer_by_layer(build: Any) -> None:
    graph = build()
    weights = Recorded(graph.init_weights(0))
    model = graph.compile(weights)
    assert sorted(weights.read) == sorted(graph.parameters())
    # all of a convolution and its batch norm, before anything of the next layer
    owners = [name.rpartition("/")[0].removesuffix("/bn") for name in weights.read]
    changes = [a for a, b in zip(owners, [None, *owners], strict=False) if a != b]
    assert len(changes) == len(set(changes))
    x = arrays(graph)
    assert_bits(model(x), graph.compile(weights.weights)(x))
    assert len(weights.read) == len(graph.parameters())  # calls read nothing


def test_a_model_does_not_follow_its_weights() -> None:
    graph = Graph()
    x = graph.l2_normalize(graph.batch_norm(graph.input((6, 5, 4))))
    graph.output(graph.depthwise_conv2d(x), graph.conv2d(x, 3), graph.conv2d(x, 3, bias=False))
    weights = graph.init_weights(0)
    model = graph.compile(weights)
    before = model(X)
    for array in weights.values():
        array[...] = 7
    assert_bits(model(X), before)
    assert_bits(pickle.loads(pickle.dumps(model))(X), before)


def test_missing_and_left_over_weights() -> None:
    graph = two_inputs()
    weights = graph.init_weights(0)
    del weights["conv/bn/beta"]
    with pytest.raises(ValueError, match="'two inputs': 1 missing: 'conv/bn/beta'"):
        graph.compile(weights)
    weights |= {"conv/bn/beta": np.zeros(4, np.float32), "conv/weights": np.zeros(3, np.float32)}
    with pytest.raises(ValueError, match="1 left over: 'conv/weights'"):
        graph.compile(weights)
    recorded = Recorded(weights)
    with pytest.raises(ValueError, match="left over"):
        graph.compile(recorded)
    assert recorded.read == []


@pytest.mark.parametrize("name", list(two_inputs().parameters()))
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda a: a[..., :-1], ValueError, "must have the shape"),
        (lambda a: a[np.newaxis], ValueError, "must have the shape"),
        (lambda a: a.astype(np.float64), TypeError, "must be an array of native float32, got <f8"),
        (lambda a: a.astype(">f4"), TypeError, "must be an array of native float32, got >f4"),
        (lambda a: a.tolist(), TypeError, "must be an array of native float32, got list"),
    ],
)
def test_bad_weights(name: str, change: Any, error: type[Exception], message: str) -> None:
    graph = two_inputs()
    weights: dict[str, Any] = graph.init_weights(0)
    weights[name] = change(weights[name])
    with pytest.raises(error, match=f"weight {name!r} {message}"):
        graph.compile(weights)


@pytest.mark.parametrize("variance", [-0.001, -1.0, math.nan, -math.inf])
@pytest.mark.parametrize("norm", ["folded", "apart"])
def test_bad_variances(norm: str, variance: float) -> None:
    """gamma / sqrt(variance + epsilon) must be a number."""
    graph = Graph()
    x = graph.input((2, 2, 3))
    folded = graph.batch_norm(graph.conv2d(x, 3), 1e-3, name="folded")
    graph.output(folded, graph.batch_norm(x, 1e-3, name="apart"))
    weights = graph.init_weights(0)
    weights[f"{norm}/variance"][1] = variance
    for run in (graph.compile, lambda w: interpret(graph, w, np.ones((1, 2, 2, 3)))):
        with pytest.raises(ValueError, match=f"weight '{norm}/variance'"):
            run(weights)


def test_weights_that_are_no_mapping() -> None:
    with pytest.raises(TypeError, match="weights must map names to arrays, got list"):
        one_input().compile([1, 2])


def test_weights_that_fail_while_they_are_read() -> None:
    """The error of the mapping itself comes through."""

    class Broken(Recorded):
        def __getitem__(self, name: str) -> np.ndarray:
            raise OSError(f"the disk that holds {name} is gone")

    graph = one_input()
    with pytest.raises(OSError, match="conv/weight is gone"):
        graph.compile(Broken(graph.init_weights(0)))


def test_read_only_and_strided_weights() -> None:
    graph = two_inputs()
    weights = graph.init_weights(0)
    expected = graph.compile(weights)((X, GATE))
    for name, array in weights.items():
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), np.float32)
        wide[..., ::2] = array
        weights[name] = wide[..., ::2]
        weights[name].flags.writeable = False
    assert_bits(graph.compile(weights)((X, GATE)), expected)


def test_the_default_number_of_threads_is_that_of_the_call(set_num_threads: Any) -> None:
    """It changes nothing but time."""
    model = one_input().compile()
    assert model.threads is None
    results = []
    for threads in (1, 3):
        set_num_threads(threads)
        assert dsconv.get_num_threads() == threads
        results.append(model(X))
    assert_bits(*results)
