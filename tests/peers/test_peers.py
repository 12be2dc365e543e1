"""benchmarks/peers: files for other engines, worker processes, the report, what is kept of it.

Engines that are not installed are skipped; everything else runs on dsconv alone.
"""

from __future__ import annotations

import json
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

from benchmarks.peers import cold, plot, rounds, sizes
from benchmarks.peers.__main__ import main
from benchmarks.peers.engines import NAMES, installed
from benchmarks.peers.folding import folded
from benchmarks.peers.ncnn_writer import write_ncnn
from benchmarks.peers.networks import NETWORKS, SEED, Network, Reference, pictures
from benchmarks.peers.process import Worker, WorkerError
from benchmarks.peers.report import render
from benchmarks.peers.results import (
    Cold,
    Comparison,
    Results,
    Times,
    Timing,
    Turn,
    read_runs,
    write_runs,
)
from benchmarks.peers.rounds import Files
from benchmarks.peers.summary import tables
from dsconv import models
from dsconv.bench.check import TOLERANCE
from dsconv.bench.watch import Watch
from dsconv.graph import Graph
from dsconv.interpreter import interpret
from dsconv.models.topologies.blocks import classifier, conv_bn
from dsconv.models.topologies.resnet import bottleneck
from dsconv.text.peak import FOOTNOTE
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


# Report


def made_up() -> Results:
    """Return results with 100 GFLOP/s on each of two threads: 1 G mult-adds in 10 ms."""
    comparison = Comparison("net", "A network", 4, 2, 10**9, 100.0)
    comparison.timings = [
        Timing("dsconv", 1e-6, "", Times(0.018, 0.025, 2)),
        Timing("litert", 2e-6, "", Times(0.016, 0.029, 2)),
        Timing("ncnn", 3e-6, "ncnn ended: exit status -9", Times(0.008, 0.050, 1)),
        Timing("torch", 0.5, "error 5.0e-01 is above the tolerance 1e-04"),
    ]
    starts = [
        Cold("dsconv", Times(0.1, 0.2, 3), Times(0.03, 0.04, 3), 2 * 2**20, 10**6, 4 * 10**6),
        Cold("torch", failure="it is {cold}\n\n"),
    ]
    engines = {"dsconv": "1.0: plain", "litert": "2.0: as it is"}
    empty, without = Times(0.01, 0.012, 3), Times(0.025, 0.03, 3)
    return Results(
        {"machine": "abacus"}, engines, ["openvino"], 2, [comparison], starts, empty, without
    )


def test_times_in_short() -> None:
    assert Times.of([3.0, 1.0, 2.0, 8.0]) == (1.0, 2.5, 4)


def test_ratios_and_per_cent_of_peak() -> None:
    comparison = made_up().comparisons[0]
    ours, litert, ncnn = comparison.timed
    assert comparison.ratio(ours, "minimum") == pytest.approx(18 / 8)
    assert comparison.ratio(ours, "median") == pytest.approx(25 / 29)
    assert comparison.ratio(ncnn, "minimum") == comparison.ratio(litert, "median") == 1
    assert comparison.percents(ours) == pytest.approx((100 * 10 / 18, 40))
    assert comparison.pairs(ours) is comparison.pairs(ncnn) is None  # as in older files


def with_turns() -> Results:
    """Return results of eight rounds: in the last two the clock is half as fast."""
    results = made_up()
    comparison = results.comparisons[0]
    comparison.timings = [Timing("dsconv", 1e-6), Timing("litert", 1e-6), Timing("ncnn", 1e-6)]
    for slow in [1, 1, 1, 1, 1, 1, 2, 2]:
        for timing, seconds in zip(comparison.timings, (0.020, 0.025, 0.016), strict=True):
            timing.add(Turn(0.5 * seconds * slow, seconds * slow, 200 / slow))
    results.conditions = Conditions(2, 1.0, 50.0, 100.0, 20)
    results.warn()
    return results


def test_ratios_of_the_rounds_and_the_peak_beside_each_turn() -> None:
    comparison = with_turns().comparisons[0]
    ours, litert, ncnn = comparison.timed
    assert ours.times == (0.010, 0.020, 8)
    for timing in comparison.timed:  # the clock does not change them
        by_minimum, by_median = comparison.percents(timing)
        assert by_minimum == pytest.approx(2 * by_median)
    assert comparison.percents(ours) == pytest.approx((100, 50))
    assert comparison.pairs(ours) is None
    assert comparison.pairs(litert) == pytest.approx((0.8, 0.8, 0.8))
    # Eight rounds leave out nothing: 2 * (1 + 8) of 256 outcomes are more than 5 %.
    ncnn.turns[3] = Turn(0.01, 0.010, 200)
    assert comparison.pairs(ncnn) == pytest.approx((1.25, 1.25, 2.0))
    # An engine that failed is compared in the rounds that it finished.
    del litert.turns[2:]
    litert.turns[1] = Turn(0.01, 0.010, 200)
    assert comparison.pairs(litert) == pytest.approx((1.4, 0.8, 2.0))


def test_report() -> None:
    text = render(made_up())
    lines = text.splitlines()
    assert "missing  openvino: not installed, not compared" in lines
    rows = [line.split() for line in lines]
    ours = ["dsconv", "1.0e-06", "18.000", "25.000", "4.500", "2.250", "0.862", "111.1"]
    assert [*ours, "55.6", "40.0"] in rows
    names = [row[0] for row in rows if len(row) == 10 and "e-" in row[1]]
    assert names == ["ncnn", "litert", "dsconv"]  # the quickest first
    assert "ncnn: ncnn ended: exit status -9" in lines
    assert "torch: error 5.0e-01 is above the tolerance 1e-04" in lines
    assert ["dsconv", "100.0", "200.0", "75.0", "20.0", "2.0", "1.0", "4.0"] in rows
    assert ["Python", "alone", "10.0", "12.0"] in rows
    assert "torch: it is {cold}" in lines
    assert all(line == line.rstrip() and len(line) <= 120 for line in lines)
    assert "Interrupted" not in text


def test_report_with_turns() -> None:
    results = with_turns()
    text = render(results)
    lines = text.splitlines()
    rows = {line.split()[0]: line.split() for line in lines if "e-06" in line}
    assert rows["litert"][-4:] == ["80.0", "40.0", "0.800", "0.800-0.800"]
    assert rows["dsconv"][-2:] == ["100.0", "50.0"]
    (peak,) = (line for line in lines if line.startswith("FMA peak"))
    assert peak.endswith("50.0 to 100.0 GFLOP/s a thread, 20 samples beside the measurements")
    assert any(line.startswith("dsconv/it ") for line in lines)
    moved, above = results.warnings
    assert "moved from 50.0 to 100.0" in moved and "125.0 %" in above  # ncnn by its minimum
    assert lines[-2:] == results.warnings
    assert all(line == line.rstrip() and len(line) <= 120 for line in lines)


def test_figures_above_the_peak_are_marked() -> None:
    results = made_up()
    (row,) = (line.split() for line in render(results).splitlines() if line.startswith("ncnn "))
    assert row[-2:] == ["125.0*", "20.0"] and render(results).count(FOOTNOTE) == 1
    results.comparisons[0].timings.pop(2)
    assert FOOTNOTE not in render(results)


def test_report_of_an_interrupted_run() -> None:
    results = made_up()
    results.comparisons[0].timings = []
    results.cold = []
    results.interrupted = True
    assert render(results).splitlines()[-1].startswith("Interrupted")


def test_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    results = made_up()
    results.engines |= {"ncnn": "", "torch": ""}
    plot.save(results, tmp_path / "plot.svg")
    assert "FMA limit" in (tmp_path / "plot.svg").read_text()
    with pytest.raises(ValueError, match="nothing was measured"):
        plot.save(Results({}, {}, [], 1), tmp_path / "empty.svg")


def test_sizes_add_up() -> None:
    assert sizes.needs("dsconv") == {"dsconv", "numpy"}
    own, everything = sizes.installed("dsconv")
    assert 0 < own and everything == own + sizes.installed("numpy")[0]


# What is kept


def test_runs_come_back_from_their_file(tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    assert read_runs(file) == []  # there is none yet
    exact = made_up()
    exact.comparisons[0].peak = 100 / 3
    write_runs([exact, Results({}, {}, [], 1)], file)
    first, second = read_runs(file)
    assert second == Results({}, {}, [], 1)
    assert first.comparisons[0].peak == 33.3333333
    first.comparisons[0].peak = exact.comparisons[0].peak
    assert first == exact
    lines = [line for line in file.read_text().splitlines() if '"engine"' in line]
    assert len(lines) == 6 and '"times": [ 0.018, 0.025, 2 ]' in lines[0]
    for text in ("{", "[1]", '{"machine": {}}', '[{"machine": {}, "engine": {}}]'):
        file.write_text(text)
        with pytest.raises(ValueError, match="runs.json has other contents"):
            read_runs(file)


def test_summary() -> None:
    plain = made_up()
    plain.machine = {"machine": "abacus, 2 CPUs, load 0.1 before the run", "kernels": "beads"}
    plain.comparisons[0].network = "resnet50"
    (table,) = tables([plain, plain])
    title, _, *rows = table.splitlines()
    assert title == "**abacus, 2 CPUs, beads**"
    cells = [cell.strip() for cell in rows[2].strip("|").split("|")]
    ours, best, beside = ["4.500", "55.6"], ["litert 4.000", "1.125", "0.862"], ["ncnn 2.000"]
    assert cells == ["A network, per image", "2", *ours, *best, *beside]
    plain.comparisons[0].network = "net"  # here ncnn counts as well
    assert "| ncnn 2.000 | 2.250 | 0.862 |" in tables([plain])[0]
    plain.comparisons[0].timings = plain.comparisons[0].timings[:1]
    assert len(tables([plain])[0].splitlines()) == 4  # nobody to compare with


def test_turns_conditions_and_warnings_come_back(tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    write_runs([with_turns()], file)
    assert json.loads(file.read_text())[0]["warnings"] == with_turns().warnings
    (run,) = read_runs(file)
    assert run == with_turns() and render(run) == render(with_turns())
    assert isinstance(run.comparisons[0].timings[0].turns[0], Turn)


@pytest.mark.parametrize("file", sorted((ROOT / "benchmarks/results").glob("*.json")), ids=str)
def test_kept_runs_are_shown(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--show", str(file)]) == 0
    out = capsys.readouterr().out
    for run in read_runs(file):
        for comparison in run.comparisons:
            assert f"{comparison.title}: threads {comparison.threads}, " in out


def test_the_tables_of_the_performance_page_come_from_the_kept_runs() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    files = re.findall(r"\]\(\.\./(benchmarks/results/\S+\.json)\)", page)
    kept = tables([run for file in files for run in read_runs(ROOT / file)])
    assert kept and all(table in page for table in kept)


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
