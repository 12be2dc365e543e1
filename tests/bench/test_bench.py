"""`python -m dsconv.bench` and `benchmarks/`: timing, arguments, tiny runs, Ctrl-C."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import dsconv
from dsconv import models
from dsconv.bench import check, machine
from dsconv.bench.__main__ import INTERRUPTED, main
from dsconv.bench.blocks import blocks
from dsconv.bench.timing import calls_for, rounds
from dsconv.bench.watch import Watch
from dsconv.kernels import dispatch
from dsconv.kernels.peak import Peak
from dsconv.text.trust import Conditions

ROOT = Path(__file__).parents[2]
TINY = ["--alpha", "0.25", "--resolution", "32", "--repeats", "1", "--threads", "1"]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the program; return (exit status, JSON, stdout, stderr)."""

    def run(*arguments: str, progress: Any = None) -> tuple[int, Any, str, str]:
        file = tmp_path / "bench.json"
        status = main([*arguments, "--json", str(file)], progress)
        return status, json.loads(file.read_text()), *capsys.readouterr()

    return run


# Measuring


def test_rounds_take_turns() -> None:
    calls: list[str] = []
    functions = [lambda: calls.append("a"), lambda: calls.append("b")]
    result = list(rounds(functions, repeats=3, least=0))
    # Two calls each for the calibration; then, in turn, one that warms up and one that is timed.
    assert calls == ["a", "a", "b", "b"] * 4
    assert [len(times) for times in result] == [2, 2, 2]
    assert all(time >= 0 for times in result for time in times)
    calls.clear()
    taken = rounds(functions, repeats=3, least=0)
    assert calls == ["a", "a", "b", "b"]  # a caller can sample the peak before the first round
    assert len(list(islice(taken, 1))) == 1
    assert calls == ["a", "a", "b", "b"] * 2  # the other rounds do not run


def test_quick_functions_are_called_more_than_once() -> None:
    calls: list[int] = []
    number = calls_for(lambda: calls.append(0), least=1e-3)
    assert 1 <= number < len(calls)


def test_peak_keeps_the_best_sample() -> None:
    peak = Peak(dispatch.kernels)
    assert peak.samples == 1
    first = peak.gflops
    now = peak.sample()
    assert peak.samples == 2 and now > 0
    assert peak.gflops == max(first, now)


def test_the_watch_keeps_the_extremes() -> None:
    conditions = Conditions()
    watch = Watch(conditions)
    assert conditions.samples == 1
    samples = [conditions.highest, watch.sample(), watch.sample()]
    assert conditions.samples == 3 and conditions.processors == os.cpu_count()
    # The result is the larger of two samples, so the extremes enclose it.
    assert 0 < conditions.lowest <= min(samples) and max(samples) == conditions.highest


def test_machine_facts() -> None:
    facts = machine.facts()
    assert list(facts) == ["machine", "system", "kernels", "versions", "date"]
    assert f"dsconv {dsconv.__version__}, Python 3." in facts["versions"]
    assert facts["kernels"].startswith(dispatch.isa)
    assert machine.processor()


def test_blocks_are_those_of_the_paper() -> None:
    found = blocks({})
    assert [block.name for block in found] == [str(number) for number in range(1, 14)]
    # table 1 without its first convolution and without its classifier
    stem = 112 * 112 * 32 * 27
    assert sum(block.standard for block in found) == 4_867_293_184 - stem - 1_024_000
    assert sum(block.separable for block in found) == 568_740_352 - stem - 1_024_000
    for block in found:
        ratio = Fraction(1, block.filters) + Fraction(1, math.prod(block.kernel))
        assert block.standard * ratio == block.separable


# The program


@pytest.mark.parametrize(
    "arguments",
    [
        "--alpha 0", "--alpha nan", "--alpha wide", "--alpha 1e9", "--resolution 0",
        "--resolution 99999999999", "--threads 0", "--threads 999999", "--batch -1",
        "--repeats 1.5", "--repeats ٣", "--model nothing", "--alpha 0.5 --model vgg16",
        "--resolution 3 --model squeezenet", "--blocks-only --model vgg16", "--json .",
        "--json no/such/folder/file.json", "surplus",
    ],
)  # fmt: skip
def test_bad_arguments(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that the first argument is named, and that nothing is measured."""
    moves: list[str] = []
    with pytest.raises(SystemExit) as end:
        main(arguments.split(), moves.append)
    assert end.value.code == 2
    output = capsys.readouterr()
    assert arguments.split()[0] in output.err.splitlines()[-1]
    assert not output.out and not moves


def test_bad_arguments_leave_the_json_file(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("kept")
    for file in (old, new):
        with pytest.raises(SystemExit):
            main(["--json", str(file), "--model", "vgg16", "--alpha", "1"])
    assert old.read_text() == "kept"
    assert not new.exists()


def test_too_large_a_batch(run: Any) -> None:
    # 999,999,999 maps of 112 x 112 x 32: more bytes than a process can address
    status, results, _, err = run("--batch", "999999999")
    assert status == 1 and "argument --batch: " in err and results["interrupted"]


def test_blocks_and_networks(run: Any) -> None:
    status, results, out, err = run(*TINY, "--batch", "2")
    assert (status, err) == (0, "")  # no progress where nobody looks
    assert "sum of 13 blocks" in out and "whole network" in out
    assert len(results["blocks"]) == 13
    (whole,) = results["networks"]
    for item in [*results["blocks"], whole]:
        assert len(item["standard"]["seconds"]) == len(item["separable"]["seconds"]) == 1
        assert len(item["standard"]["peaks"]) == len(item["separable"]["peaks"]) == 1
    options = {"alpha": 0.25, "resolution": 32}
    standard, separable = models.mobilenet_v1_standard(**options), models.mobilenet_v1(**options)
    assert whole["standard"]["mult_adds"] == 2 * standard.cost().mult_adds
    assert whole["separable"]["mult_adds"] == 2 * separable.cost().mult_adds
    assert not results["interrupted"] and results["threads"] == 1
    assert [item["layers"] for item in results["packing"]] == [13, 13, 13]
    layers = standard.cost().by_layer().items()
    convolutions = sum(part.weights for name, part in layers if name.endswith("/conv"))
    assert results["packing"][0]["weights"] == convolutions
    compiled = [item["what"] for item in results["compiling"]]
    assert compiled == ["compile mobilenet_v1_standard", "compile mobilenet_v1"]


@pytest.mark.parametrize(
    ("extra", "what"),
    [([], "block 1, standard"), (["--model", "mobilenet_v1"], "mobilenet_v1")],
)
def test_a_wrong_result_is_not_timed(
    extra: list[str], what: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "TOLERANCE", 0.0)  # so that every rounding error is a wrong result
    status, results, _, err = run(*TINY, *extra)
    assert status == 1 and f"error: {what} computes wrong values and is not timed: error " in err
    assert results["interrupted"] and results["blocks"] == [] and results["whole"] is None


def test_blocks_only(run: Any) -> None:
    moves: list[str] = []
    status, _, out, _ = run(*TINY, "--blocks-only", progress=moves.append)
    assert status == 0 and "block 13, round 1 of 1" in moves
    assert "sum of 13 blocks" in out and "whole network" not in out


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_one_network(name: str, run: Any) -> None:
    status, results, out, _ = run(*TINY, "--batch", "2", "--model", name)
    assert status == 0 and "whole call" in out
    cost = models.get(name, alpha=0.25, resolution=32).cost()
    assert results["whole"]["mult_adds"] == 2 * cost.mult_adds
    for steps in (results["steps"], results["layers"]):
        assert all(len(step["seconds"]) == 1 for step in steps)
        assert sum(step["mult_adds"] for step in steps) == 2 * cost.mult_adds
        assert sum(step["parameters"] for step in steps) == cost.weights
    kinds: dict[str, int] = {}
    for step in results["layers"]:
        if step["parameters"]:
            kinds[step["kind"]] = kinds.get(step["kind"], 0) + step["mult_adds"] // 2
    assert kinds == {kind: part.mult_adds for kind, part in cost.by_kind().items() if part.weights}


@pytest.mark.parametrize(
    ("extra", "moment", "blocks_left", "steps_left"),
    [
        ([], "block 1", 0, 0),
        ([], "block 3", 2, 0),
        ([], "whole networks", 13, 0),
        (["--model", "mobilenet_v1"], "mobilenet_v1: compiling", 0, 0),
        (["--model", "mobilenet_v1", "--repeats", "9"], "mobilenet_v1, round 1 of 9", 0, 16),
    ],
)
def test_interrupt_leaves_what_was_measured(
    extra: list[str], moment: str, blocks_left: int, steps_left: int, run: Any
) -> None:
    def interrupt(text: str) -> None:
        if text == moment:
            raise KeyboardInterrupt

    status, results, out, _ = run(*TINY, *extra, progress=interrupt)
    assert status == INTERRUPTED and results["interrupted"]
    assert out.endswith("Interrupted: this is what was measured until then.\n")
    timed = [item["separable"]["seconds"] for item in results["blocks"] + results["networks"]]
    assert sum(map(bool, timed)) == blocks_left
    assert [len(step["seconds"]) for step in results["steps"]] == [1] * steps_left
    assert (f"sum of {blocks_left} blocks" in out) == bool(blocks_left)


def test_the_benchmark_of_single_layers_runs() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "kernels.py"), "--repeats", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "FMA peak" in done.stdout
    shapes = (ROOT / "benchmarks" / "shapes.txt").read_text().splitlines()[1:]
    assert done.stdout.count(" -> ") == len(shapes)


def test_the_benchmark_of_rooflines_runs() -> None:
    command = [sys.executable, "-m", "benchmarks.roofline", "mobilenet_v1", "--repeats", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "block13/pointwise/relu6 " in done.stdout and "maps of 7 pixels" in done.stdout
