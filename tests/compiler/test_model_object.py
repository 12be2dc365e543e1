"""The compiled model as an object: its inputs, its errors, threads, pickles, profiles, weights."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest
from compiled import assert_bits
from random_graphs import random_inputs
from small_models import GATE, MAP, one_input, two_inputs

import dsconv
from dsconv import models
from dsconv.compiler.model import CHUNK_BYTES, Model
from dsconv.graph import Graph

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
    x, gate = random_inputs(graph, 2)
    y = model((x, gate))
    assert isinstance(y, tuple) and [a.shape for a in y] == [(2, 6, 5, 4), (2, 3)]
    assert_bits(model({"map": x, "gate": gate}), y)
    assert_bits(model({"gate": gate, "map": x}), y)


def test_one_input_alone_in_a_tuple_or_by_name() -> None:
    model = one_input().compile()
    (x,) = random_inputs(one_input(), 2)
    y = model(x)
    assert isinstance(y, np.ndarray) and y.shape == (2, 6, 5, 3)
    assert_bits(model((x,)), y)
    assert_bits(model({"map": x}), y)


def test_one_example_has_no_batch_axis_in_the_result() -> None:
    graph = two_inputs()
    model = graph.compile()
    x, gate = random_inputs(graph, 2)
    y = model((x[1], gate[1]))
    assert [a.shape for a in y] == [(6, 5, 4), (3,)]
    assert_bits(y, tuple(a[1] for a in model((x, gate))))


def test_an_empty_batch() -> None:
    graph = two_inputs()
    y = graph.compile()(random_inputs(graph, 0))
    assert [a.shape for a in y] == [(0, 6, 5, 4), (0, 3)]


def test_inputs_that_are_not_contiguous_or_read_only() -> None:
    graph = one_input()
    model = graph.compile()
    (x,) = random_inputs(graph, 4)
    expected = model(x[::-2].copy())
    assert_bits(model(x[::-2]), expected)
    turned = np.asfortranarray(x[::-2])
    turned.flags.writeable = False
    assert_bits(model(turned), expected)


def test_a_call_leaves_inputs_and_earlier_results_alone() -> None:
    graph = two_inputs()
    model = graph.compile()
    x, other = random_inputs(graph, 2), random_inputs(graph, 2, 1)
    copies = tuple(a.copy() for a in x)
    y = model(x)
    kept = tuple(a.copy() for a in y)
    model(other)
    assert_bits(x, copies)
    assert_bits(y, kept)


BAD_INPUTS = [  # x, error, message
    ((MAP[:, :5], GATE), ValueError, r"'map' must have shape \(N, 6, 5, 4\) or .*\(2, 5, 5, 4\)"),
    ((MAP, GATE[:, :3]), ValueError, r"'gate' must have shape \(N, 4\) or \(4\), got \(2, 3\)"),
    ((MAP[0, 0], GATE[0]), ValueError, r"'map' must have shape .* got \(5, 4\)"),
    ((MAP, GATE[:1]), ValueError, "one batch size, got 2 and 1"),
    ((MAP,), ValueError, r"2 inputs \('map', 'gate'\), got 1"),
    ((MAP, GATE, GATE), ValueError, "2 inputs .* got 3"),
    (MAP, ValueError, "2 inputs .* got 1"),
    ({"map": MAP}, ValueError, r"inputs \('map', 'gate'\), got \('map',\)"),
    ({"map": MAP, "gates": GATE}, ValueError, "inputs .* got .*'gates'"),
    (
        (MAP, GATE.astype(np.float64)),
        TypeError,
        "'gate' must be a NumPy array of float32, got float64",
    ),
    (
        (MAP.astype(np.float16), GATE),
        TypeError,
        "'map' must be a NumPy array of float32, got float16",
    ),
    (
        (MAP, (9 * GATE).astype(np.int32)),
        TypeError,
        "'gate' must be a NumPy array of float32, got int32",
    ),
    ((MAP.astype(">f4"), GATE), TypeError, "'map' must be a NumPy array of float32, got >f4"),
    ((MAP, None), TypeError, "'gate' must be a NumPy array of float32"),
]


@pytest.mark.parametrize(("x", "error", "message"), BAD_INPUTS)
def test_bad_inputs(x: Any, error: type[Exception], message: str) -> None:
    model = two_inputs().compile()
    with pytest.raises(error, match=message):
        model(x)
    with pytest.raises(error, match=message):
        model.profile(x, repeats=1)


def test_an_example_beside_a_batch_is_refused() -> None:
    """Refuse (6, 5, 4) beside (2, 4), which may be two images or one."""
    with pytest.raises(ValueError, match="batch"):
        two_inputs().compile()((MAP[0], GATE))


# Threads and batches


def test_python_threads_may_share_a_model() -> None:
    """Eight at once, each with its own input, batch size and threads in turn."""
    graph = two_inputs()
    weights = graph.init_weights(1)
    shared = [graph.compile(weights, threads) for threads in (1, 2)]
    x = [random_inputs(graph, 1 + i % 3, i) for i in range(8)]
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
    """Run two images of 4 MB of arena at a time: the last run has one."""
    graph = Graph()
    x = graph.input((1, 1, 1))
    wide = graph.sigmoid(graph.conv2d(x, 2**20))
    graph.output(graph.global_average_pool(graph.reshape(wide, (2**10, 2**10, 1))))
    model = graph.compile()
    assert CHUNK_BYTES // model.arena_bytes[1] == 2
    (x_,) = random_inputs(graph, 5)
    y = model(x_)
    for part in (slice(0, 1), slice(1, 5), slice(4, 5)):
        assert_bits(model(x_[part]), y[part])
    profile = model.profile(x_, repeats=1)
    assert profile.images == 5 and profile.arena_bytes == 2 * model.arena_bytes[1]


def test_the_default_number_of_threads_is_that_of_the_call(set_num_threads: Any) -> None:
    model = one_input().compile()
    assert model.threads is None
    results = []
    for threads in (1, 3):
        set_num_threads(threads)
        assert dsconv.get_num_threads() == threads
        results.append(model(MAP))
    assert_bits(*results)


# Profiles


def test_profile() -> None:
    graph = models.mobilenet_v2(0.35, 64, classes=5)
    model = graph.compile()
    profile = model.profile(random_inputs(graph, 2)[0], repeats=3)
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
    profile = graph.compile().profile(random_inputs(graph, 2)[0], repeats=1)
    kinds = {step.name: step.kind for step in profile.steps}
    assert kinds == {
        "pad": "pad", "pad_1": "pad", "concat": "concat", "conv": "conv 1x1", "input": "copy"
    }  # fmt: skip


@pytest.mark.parametrize("repeats", [0, -1])
def test_profile_repeats(repeats: int) -> None:
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        one_input().compile().profile(MAP, repeats)


def test_profile_of_an_empty_batch() -> None:
    with pytest.raises(ValueError, match="at least one example for a profile, got none"):
        one_input().compile().profile(MAP[:0])
