"""benchmarks/peers: files for other engines, worker processes, rounds and the command.

Engines that are not installed are skipped; everything else runs on dsconv alone.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2]))  # for the package `benchmarks`

from benchmarks.peers import cold, rounds
from benchmarks.peers.__main__ import main
from benchmarks.peers.engines import NAMES, installed
from benchmarks.peers.folding import folded
from benchmarks.peers.ncnn_writer import write_ncnn
from benchmarks.peers.networks import NETWORKS, SEED, Network, Reference, pictures
from benchmarks.peers.process import Worker, WorkerError
from benchmarks.peers.report import render
from benchmarks.peers.results import (
    Comparison,
    Results,
    read_runs,
)
from benchmarks.peers.rounds import Files
from dsconv import models
from dsconv.bench.check import TOLERANCE
from dsconv.bench.watch import Watch
from dsconv.graph import Graph
from dsconv.interpreter import interpret
from dsconv.models.topologies.blocks import classifier, conv_bn
from dsconv.models.topologies.resnet import bottleneck
from dsconv.text.trust import Conditions

ROOT = Path(__file__).parents[2]


def residual() -> Graph:
    """Return a network like ResNet-50: 7x7 at stride 2, a padded max pool, both shortcuts."""
    graph = Graph("residual")
    x = graph.input((24, 20, 3))
    x = conv_bn(graph, x, 8, 7, stride=2, padding=3, activation="relu", epsilon=1e-5, name="conv1")
    x = graph.max_pool(x, 3, 2, padding=1, name="pool1")
    x = bottleneck(graph, x, 4, name="a")
    x = bottleneck(graph, x, 4, name="b")
    x = bottleneck(graph, x, 8, stride=2, name="c")
    classifier(graph, x, 7, softmax=False)
    return graph


GRAPHS: dict[str, Callable[[], Graph]] = {
    "v1": lambda: models.mobilenet_v1(alpha=0.25, resolution=(32, 45), classes=9),
    "v1 symmetric": lambda: models.mobilenet_v1(0.25, 33, classes=9, padding="symmetric"),
    "v1 standard": lambda: models.mobilenet_v1_standard(alpha=0.1, resolution=32, classes=9),
    "v2": lambda: models.mobilenet_v2(alpha=0.35, resolution=32, classes=9),
    "v2 same": lambda: models.mobilenet_v2(0.35, (35, 32), classes=9, padding="same"),
    "residual": residual,
}


# Files for the engines


@pytest.mark.parametrize("name", NAMES)
def test_engines_agree_with_the_interpreter(name: str, tmp_path: Path) -> None:
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    if name in ("onnxruntime", "openvino") and find_spec("onnx") is None:
        pytest.skip("onnx is not installed, which writes the file")
    with Worker(name) as worker:
        for number, (title, build) in enumerate(GRAPHS.items()):
            graph, batch = build(), 1 + number % 3
            x = pictures(graph, batch)
            stem = tmp_path / str(number)
            stem.with_suffix(".graph").write_text(graph.to_json())
            np.save(stem.with_suffix(".npy"), x)
            path = worker.call(
                "write", graph=str(stem.with_suffix(".graph")), batch=batch, stem=str(stem)
            )
            logits = worker.call("load", path=path, threads=1, x=str(stem.with_suffix(".npy")))
            error = Reference(graph, x).error(np.load(logits))
            assert error is not None and error < TOLERANCE, title


@pytest.mark.parametrize("title", GRAPHS)
def test_ncnn_text_is_consistent(title: str, tmp_path: Path) -> None:
    """Check that every blob is made once and read once, and that sizes are those of the weights."""
    graph = GRAPHS[title]()
    weights = graph.init_weights(SEED)
    write_ncnn(graph, weights, tmp_path / "net.param")
    magic, counts, *lines = (tmp_path / "net.param").read_text().splitlines()
    made: list[str] = []
    read: list[str] = []
    values = 0
    for line in lines:
        words = line.split()
        inputs, outputs = int(words[2]), int(words[3])
        read += words[4 : 4 + inputs]
        made += words[4 + inputs : 4 + inputs + outputs]
        keys = dict(word.split("=") for word in words[4 + inputs + outputs :])
        size = {"Convolution": "6", "ConvolutionDepthWise": "6", "InnerProduct": "2"}.get(words[0])
        if size:
            values += 1 + int(keys["0"]) + int(keys[size])  # the word before, biases, weights
    assert magic == "7767517"
    assert counts == f"{len(lines)} {len(made)}"
    assert set(Counter(made).values()) == set(Counter(read).values()) == {1}
    assert set(made) - set(read) == set(graph.outputs)
    assert (tmp_path / "net.bin").stat().st_size == 4 * values


def test_folded_operations_name_what_they_do_not_know() -> None:
    graph = Graph()
    x = graph.conv2d(graph.input((8, 8, 3)), 4, 3)
    graph.output(graph.leaky_relu(x, name="leak"))
    with pytest.raises(ValueError, match="'leak'.*'leaky_relu'"):
        folded(graph, graph.init_weights(0))


@pytest.mark.skipif(not installed("litert"), reason="ai-edge-litert is not installed")
def test_tflite_refuses_zeros_around_negative_numbers(tmp_path: Path) -> None:
    from benchmarks.peers.tflite_writer import write_tflite

    graph = Graph()
    x = graph.max_pool(graph.input((8, 8, 3)), 3, 2, padding=1, name="first")
    classifier(graph, x, 2, softmax=False)
    with pytest.raises(ValueError, match="'first'.*ReLU"):
        write_tflite(graph, graph.init_weights(0), tmp_path / "net.tflite")


def test_activations_are_neither_large_nor_subnormal() -> None:
    graph = NETWORKS["v1-small"].build()
    weights, x = graph.init_weights(SEED), pictures(graph, 1)
    graph.output(*graph.nodes)
    for name, values in zip(graph.nodes, interpret(graph, weights, x), strict=True):
        sizes_ = np.abs(values[values != 0])
        assert sizes_.min() > np.finfo(np.float32).tiny, name
        assert 0.05 < sizes_.mean() < 20, name


def test_reference_error() -> None:
    graph = GRAPHS["v1"]()
    x = pictures(graph, 3)
    reference = Reference(graph, x)
    (logits,) = interpret(graph, graph.init_weights(SEED), x)
    assert reference.error(logits) == pytest.approx(0, abs=1e-12)
    off = logits.copy()
    off[2, 4] += 0.5 * np.abs(logits[[0, 2]]).max()
    assert reference.error(off) == pytest.approx(0.5)
    off[0, 0] = np.nan
    assert reference.error(off) is None
    assert reference.error(logits[:2]) is None


# Worker processes


def test_a_failing_engine_is_reported_and_its_worker_goes_on(tmp_path: Path) -> None:
    x = str(tmp_path / "x.npy")
    with Worker("dsconv") as worker:
        path = _written(worker, tmp_path)
        with pytest.raises(WorkerError, match=r"^dsconv: FileNotFoundError: .*nothing"):
            worker.call("load", path=str(tmp_path / "nothing"), threads=1, x=x)
        with pytest.raises(WorkerError, match="load first"):
            worker.call("turn", warm=0, timed=0)
        logits = worker.call("load", path=path, threads=1, x=x)
        assert np.load(logits).shape == (1, 9)
        minimum, median = worker.call("turn", warm=0, timed=0.01)
        assert 0 < minimum <= median


def test_a_dead_engine_is_reported() -> None:
    with Worker("dsconv") as worker:
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="dsconv ended: exit status -9"):
            worker.call("turn", warm=0, timed=0)


def test_the_last_words_of_an_engine_that_cannot_start() -> None:
    with Worker("abacus") as worker, pytest.raises(WorkerError, match="unknown engine 'abacus'"):
        worker.call("turn", warm=0, timed=0)


def test_a_hanging_engine_is_reported(tmp_path: Path) -> None:
    with Worker("dsconv") as worker:
        path = _written(worker, tmp_path)
        worker.call("load", path=path, threads=1, x=str(tmp_path / "x.npy"))
        with pytest.raises(WorkerError, match="no answer in 0.2 seconds"):
            worker.call("turn", patience=0.2, warm=60, timed=60)
        with pytest.raises(WorkerError, match="ended"):
            worker.call("turn", warm=0, timed=0)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_an_idle_worker_is_stopped(tmp_path: Path) -> None:
    with Worker("dsconv") as worker:
        _written(worker, tmp_path)
        state = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0]
        assert state == "T"


def _written(worker: Worker, folder: Path) -> str:
    """Write the file of a small network, with x.npy beside it."""
    graph = GRAPHS["v1"]()
    (folder / "graph").write_text(graph.to_json())
    np.save(folder / "x.npy", pictures(graph, 1))
    path = worker.call("write", graph=str(folder / "graph"), batch=1, stem=str(folder / "net"))
    assert isinstance(path, str)
    return path


# Rounds


def test_rounds_without_engines_that_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "TIMED", 0.01)
    files = Files("small", Network("a small V1", GRAPHS["v1"]), tmp_path)
    files._written["ncnn"] = str(tmp_path / "nothing.param")
    comparison = Comparison("small", "a small V1", 1, 1, files.mult_adds)
    watch = Watch(Conditions())
    rounds.measure(comparison, files, ["ncnn", "dsconv"], 2, watch, lambda text: None)
    failed, ours = comparison.timings
    assert failed.failure.startswith("ncnn: ") and not failed.times
    assert not ours.failure and ours.times.rounds == 2
    assert 0 < ours.times.minimum <= ours.times.median
    assert ours.error is not None and ours.error < TOLERANCE
    assert comparison.timed == [ours] and comparison.ratio(ours, "minimum") is None
    assert [turn.minimum for turn in ours.turns].index(ours.times.minimum) in (0, 1)
    assert comparison.peak == max(turn.peak for turn in ours.turns) > 0  # on one thread
    assert comparison.peak <= watch.conditions.highest


def test_an_engine_that_disagrees_is_not_timed(tmp_path: Path) -> None:
    files = Files("small", Network("a small V1", GRAPHS["v1"]), tmp_path)
    files.reference.logits += 0.01 * np.abs(files.reference.logits).max()
    comparison = Comparison("small", "a small V1", 1, 1, files.mult_adds)
    rounds.measure(comparison, files, ["dsconv"], 1, Watch(Conditions()), lambda text: None)
    (timing,) = comparison.timings
    assert "above the tolerance" in timing.failure and not timing.times
    assert timing.error == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("wrong", [False, True])
def test_what_disagrees_does_not_start(
    wrong: bool, tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check a cold start of V1, and of the same with trained weights that are right as they are."""
    monkeypatch.setattr(cold, "ROUNDS", 1)
    monkeypatch.setenv("DSCONV_SHARED", str(shared))
    files = Files("v1", NETWORKS["v1"], tmp_path)
    files.reference.logits += wrong * np.abs(files.reference.logits).max()
    results = Results({}, {"dsconv": ""}, [], 1)
    cold.measure(results, files, lambda text: None)
    ours, of_weights = results.cold
    assert ("above the tolerance" in ours.failure) == wrong and bool(ours.start) != wrong
    assert of_weights.start and not of_weights.failure


# The command


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "peers.json"
    arguments = ["--engines", "dsconv", "--networks", "v1-small", "--threads", "1"]
    for rounds_ in ("1", "2"):  # the second run is added to the first
        assert main([*arguments, "--rounds", rounds_, "--no-cold", "--json", str(file)]) == 0
        assert "MobileNetV1 0.25-128: threads 1, 13.6 M mult-adds" in capsys.readouterr().out
    timings = [run.comparisons[0].timings for run in read_runs(file)]
    assert [(t.engine, t.times.rounds) for (t,) in timings] == [("dsconv", 1), ("dsconv", 2)]
    assert main(["--show", str(file)]) == 0
    assert capsys.readouterr().out == "\n\n\n".join(map(render, read_runs(file))) + "\n"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--engines", "abacus"], "unknown name 'abacus', known are dsconv, dsconv_winograd"),
        (["--networks", "v1,v9"], "unknown name 'v9', known are v1, v2"),
        (["--rounds", "0"], "must be a whole number from 1 on, got '0'"),
        (["--threads", "1,9999"], "at most"),
        (["--json", "/nowhere/peers.json"], "cannot write '/nowhere/peers.json'"),
        (["--json", __file__], "argument --json: .* has other contents"),
        (["--show", "/nowhere/peers.json"], "argument --show: there are no runs in"),
        (["--show", "a", "--json", "b"], "not allowed with"),
    ],
)
def test_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*arguments, "--no-cold"])
    assert re.search(message, capsys.readouterr().err)
