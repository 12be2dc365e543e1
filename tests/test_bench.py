"""`python -m dsconv.bench`: arguments, tables from made-up times, JSON, tiny runs, Ctrl-C."""

from __future__ import annotations

import contextlib
import io
import json
import math
from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dsconv
from dsconv import _dispatch, models
from dsconv.bench import machine
from dsconv.bench.__main__ import INTERRUPTED, ProgressLine, main
from dsconv.bench.blocks import blocks
from dsconv.bench.peak import Peak
from dsconv.bench.report import render
from dsconv.bench.results import Comparison, Packing, Results, Step, Timed
from dsconv.bench.table import plain, table
from dsconv.bench.timing import calls_for, rounds

TINY = ["--alpha", "0.25", "--resolution", "32", "--repeats", "1", "--threads", "1"]


def made_up() -> Results:
    """Two blocks and the network with easy numbers: 100 GFLOP/s x 2 threads."""
    return Results(
        "mobilenet_v1",
        {"alpha": 1.0, "resolution": 224},
        batch=1,
        threads=2,
        repeats=3,
        machine={"machine": "abacus"},
        peak=100.0,
        peak_samples=7,
        blocks=[
            Comparison(
                "1",
                "8x8x4 -> 2 /1",
                0.611,
                Timed(1_000_000_000, [0.020, 0.010, 0.016]),
                Timed(200_000_000, [0.004, 0.004, 0.003]),
            ),
            Comparison("2", "4x4x2 -> 2 /2", 0.611, Timed(10**9, [0.02]), Timed(10**8, [0.002])),
            Comparison("3", "2x2x2 -> 2 /1", 0.611, Timed(10**9), Timed(10**8)),
        ],
        networks=[Comparison("", "whole", 0.5, Timed(10**9, [0.04]), Timed(5 * 10**8, [0.01]))],
        packing=[Packing("conv2d", 2, 28_300_000, 0.0605), Packing("depthwise")],
    )


def made_up_model() -> Results:
    steps = [
        Step(name="a", kind="conv 1x1", mult_adds=3 * 10**8, parameters=30, seconds=[0.006, 0.008]),
        Step(name="b", kind="pool", mult_adds=0, parameters=0, seconds=[0.001]),
        Step(name="c", kind="conv 1x1", mult_adds=10**8, parameters=10, seconds=[0.002]),
    ]
    layers = [Step(name="d", kind="dense", mult_adds=4 * 10**8, parameters=40, seconds=[0.01])]
    return Results(
        "tiny",
        {},
        1,
        1,
        2,
        {},
        100.0,
        1,
        steps=steps,
        layers=layers,
        whole=Timed(4 * 10**8, [0.02]),
    )


def rows_of(text: str, header: str) -> list[list[str]]:
    """The cells of the rows below the line that starts with `header`, to the next empty line."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(header))
    end = lines.index("", start) if "" in lines[start:] else len(lines)
    return [line.split() for line in lines[start + 1 : end] if set(line) != {"-"}]


# Tables


def test_comparison_table() -> None:
    text = render(made_up())
    assert rows_of(text, "#") == [
        "1 8x8x4 -> 2 /1 1000.0 200.0 0.611 0.250 0.300 "
        "16.000 10.000 125.0 62.5 4.000 3.000 100.0 50.0".split(),
        "2 4x4x2 -> 2 /2 1000.0 100.0 0.611 0.100 0.100 "
        "20.000 20.000 100.0 50.0 2.000 2.000 100.0 50.0".split(),
        # the sums of the rows above: 36 and 6 ms, 30 and 5 ms
        "sum of 2 blocks 2000.0 300.0 0.150 0.167 0.167 "
        "36.000 30.000 111.1 55.6 6.000 5.000 100.0 50.0".split(),
        "whole 1000.0 500.0 0.500 0.250 0.250 "
        "40.000 40.000 50.0 25.0 10.000 10.000 100.0 50.0".split(),
    ]
    assert rows_of(text, "packing") == [["conv2d", "2", "28.3", "60.5"]]
    assert "FMA peak  100.0 GFLOP/s a thread (the best of 7 samples" in text
    assert "x 2 = 200.0 GFLOP/s" in text
    assert "network   mobilenet_v1, alpha 1.0, resolution 224, batch 1, threads 2, rep" in text
    assert "Interrupted" not in text


def test_every_line_fits_and_every_column_is_explained() -> None:
    for results in (made_up(), made_up_model()):
        text = render(results)
        assert max(map(len, text.splitlines())) <= 120
    for column in (
        "std., sep.",
        "mult-adds",
        "pred.",
        "median, min",
        "ms, min",
        "GFLOP/s",
        "%peak",
    ):
        assert f"\n{column} " in render(made_up())
    for column in ("mult-adds", "ms, min", "GFLOP/s", "%peak", "%time", "whole call"):
        assert f"\n{column} " in render(made_up_model())


def test_step_tables() -> None:
    text = render(made_up_model())
    assert rows_of(text, "step") == [
        "a conv 1x1 300.0 7.000 6.000 85.7 85.7 70.00".split(),
        "b pool 1.000 1.000 10.00".split(),
        "c conv 1x1 100.0 2.000 2.000 100.0 100.0 20.00".split(),
        "sum of the steps 400.0 10.000 9.000 80.0 80.0 100.00".split(),
        "whole call 400.0 20.000 20.000 40.0 40.0 200.00".split(),
    ]
    assert rows_of(text, "kind of step") == [
        "conv 1x1 2 100.00 100.00 90.00 9.000".split(),
        "pool 1 0.00 0.00 10.00 1.000".split(),
    ]
    assert rows_of(text, "kind of layer") == ["dense 1 100.00 100.00 100.00 10.000".split()]


def test_results_without_any_times() -> None:
    empty = Results("mobilenet_v1", {}, 1, 1, 1, {"machine": "abacus"}, interrupted=True)
    assert render(empty).splitlines() == [
        "network  mobilenet_v1, batch 1, threads 1, repeats 1",
        "machine  abacus",
        "",
        "Interrupted: this is what was measured until then.",
    ]


def test_table_layout() -> None:
    groups = [("", ["name"]), ("a wide title", ["x", "y"])]
    assert table(groups, [[["a", "1", "22"]], [], [["bcdef", "333", "4"]]]).splitlines() == [
        "       a wide title"[:5] + "  a wide title"[:0] + "  a wide title",
        "name     x  y",
        "-------------",
        "a        1 22",
        "-------------",
        "bcdef  333  4",
    ]
    assert plain(["a", "b"], [["x", "1"]]) == "a  b\n----\nx  1"


# JSON

times = st.lists(st.floats(1e-9, 1e3), max_size=5)


@given(times, times, st.integers(0, 10**12), st.booleans())
def test_json_round_trip(
    standard: list[float], separable: list[float], mult_adds: int, interrupted: bool
) -> None:
    for results in (made_up(), made_up_model()):
        results.interrupted = interrupted
        sides = Timed(mult_adds, standard), Timed(7, separable)
        results.blocks.append(Comparison("4", "", 0.1, *sides))
        again = Results.from_json(results.to_json())
        assert again == results
        assert render(again) == render(results)


def test_json_holds_what_follows_from_the_times() -> None:
    block = json.loads(made_up().to_json())["blocks"][0]["standard"]
    assert block == {
        "mult_adds": 1_000_000_000,
        "seconds": [0.020, 0.010, 0.016],
        "median": 0.016,
        "minimum": 0.010,
        "gflops": 125.0,
        "percent_of_peak": 62.5,
    }


# Measuring


def test_rounds_take_turns() -> None:
    calls: list[str] = []
    functions = [lambda: calls.append("a"), lambda: calls.append("b")]
    result = list(rounds(functions, repeats=3, least=0))
    assert calls == ["a", "a", "b", "b"] + ["a", "b"] * 3  # warm-up and calibration come first
    assert [len(times) for times in result] == [2, 2, 2]
    assert all(time >= 0 for times in result for time in times)
    calls.clear()
    assert len(list(islice(rounds(functions, repeats=3, least=0), 1))) == 1
    assert calls == ["a", "a", "b", "b", "a", "b"]  # the other rounds do not run


def test_quick_functions_are_called_more_than_once() -> None:
    calls: list[int] = []
    number = calls_for(lambda: calls.append(0), least=1e-3)
    assert 1 <= number < len(calls)


def test_peak_keeps_the_best_sample() -> None:
    peak = Peak(_dispatch.kernels)
    assert peak.samples == 1
    first = peak.gflops
    peak.sample()
    assert peak.samples == 2
    assert peak.gflops >= first > 0


def test_machine_facts() -> None:
    facts = machine.facts()
    assert list(facts) == ["machine", "system", "kernels", "versions", "date"]
    assert f"dsconv {dsconv.__version__}, Python 3." in facts["versions"]
    assert facts["kernels"].startswith(_dispatch.isa)
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
    ("arguments", "named"),
    [
        (["--alpha", "0"], "--alpha"),
        (["--alpha", "nan"], "--alpha"),
        (["--alpha", "wide"], "--alpha"),
        (["--alpha", "1e9"], "--alpha"),
        (["--resolution", "0"], "--resolution"),
        (["--resolution", "99999999999"], "--resolution"),
        (["--threads", "0"], "--threads"),
        (["--threads", "999999"], "--threads"),
        (["--batch", "-1"], "--batch"),
        (["--repeats", "1.5"], "--repeats"),
        (["--repeats", "٣"], "--repeats"),
        (["--model", "nothing"], "--model"),
        (["--model", "vgg16", "--alpha", "0.5"], "--alpha"),
        (["--model", "squeezenet", "--resolution", "3"], "--resolution"),
        (["--model", "vgg16", "--blocks-only"], "--blocks-only"),
        (["--json", "."], "--json"),
        (["--json", "no/such/folder/file.json"], "--json"),
        (["surplus"], "surplus"),
    ],
)
def test_bad_arguments(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    moves: list[str] = []
    with pytest.raises(SystemExit) as end:
        main(arguments, moves.append)
    assert end.value.code == 2
    output = capsys.readouterr()
    assert named in output.err.splitlines()[-1]
    assert not output.out and not moves


def test_bad_arguments_leave_the_json_file(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("kept")
    for file in (old, new):
        with pytest.raises(SystemExit):
            main(["--json", str(file), "--model", "vgg16", "--alpha", "1"])
    assert old.read_text() == "kept"
    assert not new.exists()


def test_too_large_a_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # 999,999,999 maps of 112 x 112 x 32: more bytes than a process can address
    assert main(["--batch", "999999999", "--json", str(tmp_path / "b.json")]) == 1
    assert "argument --batch: " in capsys.readouterr().err
    assert Results.from_json((tmp_path / "b.json").read_text()).interrupted


def test_blocks_and_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bench.json"
    assert main([*TINY, "--batch", "2", "--json", str(file)]) == 0
    output = capsys.readouterr()
    assert output.err == ""  # no progress where nobody looks
    results = Results.from_json(file.read_text())
    assert output.out == render(results) + "\n"
    assert len(results.blocks) == 13 and len(results.networks) == 1
    for item in results.blocks + results.networks:
        assert len(item.standard.seconds) == len(item.separable.seconds) == 1
    whole = results.networks[0]
    options = {"alpha": 0.25, "resolution": 32}
    assert whole.standard.mult_adds == 2 * models.mobilenet_v1_standard(**options).cost().mult_adds
    assert whole.separable.mult_adds == 2 * models.mobilenet_v1(**options).cost().mult_adds
    assert not results.interrupted and results.threads == 1
    weights = sum(item.weights for item in results.packing if item.what in ("conv2d",))
    standard = models.mobilenet_v1_standard(**options).cost().by_layer()
    assert weights == sum(c.weights for name, c in standard.items() if name.endswith("/conv"))
    assert [item.layers for item in results.packing[:3]] == [13, 13, 13]
    assert {item.what for item in results.packing[3:]} == {
        "compile mobilenet_v1_standard", "compile mobilenet_v1",
    }  # fmt: skip


def test_blocks_only(capsys: pytest.CaptureFixture[str]) -> None:
    moves: list[str] = []
    assert main([*TINY, "--blocks-only"], moves.append) == 0
    output = capsys.readouterr().out
    assert "sum of 13 blocks" in output and "whole network" not in output
    assert "block 13, round 1 of 1" in moves


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_one_network(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bench.json"
    assert main([*TINY, "--batch", "2", "--model", name, "--json", str(file)]) == 0
    results = Results.from_json(file.read_text())
    assert capsys.readouterr().out == render(results) + "\n"
    cost = models.get(name, alpha=0.25, resolution=32).cost()
    assert results.whole is not None
    assert results.whole.mult_adds == 2 * cost.mult_adds
    for steps in (results.steps, results.layers):
        assert all(len(step.seconds) == 1 for step in steps)
        assert sum(step.mult_adds for step in steps) == 2 * cost.mult_adds
        assert sum(step.parameters for step in steps) == cost.weights
    kinds: dict[str, list[int]] = {}
    for step in results.layers:
        if step.parameters:
            kinds.setdefault(step.kind, []).append(step.mult_adds)
    assert {kind: sum(counts) // 2 for kind, counts in kinds.items()} == {
        kind: part.mult_adds for kind, part in cost.by_kind().items() if part.weights
    }


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
    extra: list[str],
    moment: str,
    blocks_left: int,
    steps_left: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(text: str) -> None:
        if text == moment:
            raise KeyboardInterrupt

    file = tmp_path / "bench.json"
    assert main([*TINY, *extra, "--json", str(file)], interrupt) == INTERRUPTED
    results = Results.from_json(file.read_text())
    output = capsys.readouterr().out
    assert output == render(results) + "\n"
    assert output.endswith("Interrupted: this is what was measured until then.\n")
    assert results.interrupted
    assert sum(item.measured for item in results.blocks) == blocks_left
    assert not any(item.measured for item in results.networks)
    assert [len(step.seconds) for step in results.steps] == [1] * steps_left
    assert (f"sum of {blocks_left} blocks" in output) == bool(blocks_left)


def test_progress_line() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with contextlib.redirect_stderr(Terminal()) as terminal:
        line = ProgressLine()
        line.show("block 10")
        line.show("whole")
        line.clear()
    assert terminal.getvalue() == "\rblock 10\rwhole   \r     \r"
    with contextlib.redirect_stderr(io.StringIO()) as file:
        line = ProgressLine()
        line.show("block 10")
        line.clear()
    assert file.getvalue() == ""
