"""The tables of `python -m dsconv.bench` from made-up times, and its JSON."""

from __future__ import annotations

import json

import pytest

from dsconv.bench.report import render
from dsconv.bench.results import Comparison, Packing, Results, Step, Timed, ratio
from dsconv.text.peak import FOOTNOTE
from dsconv.text.trust import Conditions


def timed(mult_adds: int, *seconds: float, peak: float = 200.0) -> Timed:
    return Timed(mult_adds, list(seconds), [peak] * len(seconds))


def step(name: str, kind: str, mult_adds: int, parameters: int, *seconds: float) -> Step:
    peaks = [100.0] * len(seconds)
    return Step(mult_adds, list(seconds), peaks, name=name, kind=kind, parameters=parameters)


def made_up() -> Results:
    """Return two blocks and the network with easy numbers: 100 GFLOP/s x 2 threads."""
    return Results(
        "mobilenet_v1", {"alpha": 1.0, "resolution": 224}, batch=1, threads=2, repeats=3,
        machine={"machine": "abacus"}, conditions=Conditions(2, 1.0, 100.0, 102.0, 7),
        blocks=[
            Comparison("1", "8x8x4 -> 2 /1", 0.611, timed(10**9, 0.020, 0.010, 0.016),
                       timed(2 * 10**8, 0.004, 0.004, 0.003)),
            Comparison("2", "4x4x2 -> 2 /2", 0.611, timed(10**9, 0.02), timed(10**8, 0.002)),
            Comparison("3", "2x2x2 -> 2 /1", 0.611, timed(10**9), timed(10**8)),
        ],
        networks=[Comparison("", "whole", 0.5, timed(10**9, 0.04), timed(5 * 10**8, 0.01))],
        packing=[
            Packing("conv2d", 2, 28_300_000, 0.0605),
            Packing("depthwise"),
            Packing("pointwise", 2, 1_000_000, 0.0095),
        ],
        compiling=[Packing("compile it", 4, 30_000_000, 0.2)],
    )  # fmt: skip


def made_up_model() -> Results:
    steps = [
        step("a", "conv 1x1", 3 * 10**8, 30, 0.006, 0.008),
        step("b", "pool", 0, 0, 0.001),
        step("c", "conv 1x1", 10**8, 10, 0.002),
    ]
    layers = [step("d", "dense", 4 * 10**8, 40, 0.01)]
    whole = timed(4 * 10**8, 0.02, peak=100.0)
    return Results("tiny", {}, 1, 1, 2, {}, steps=steps, layers=layers, whole=whole)


def rows_of(text: str, header: str) -> list[str]:
    """Return the rows, single-spaced, from the line that starts with `header` to an empty line."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(header))
    end = lines.index("", start) if "" in lines[start:] else len(lines)
    return [" ".join(line.split()) for line in lines[start + 1 : end] if set(line) != {"-"}]


# Tables


def test_comparison_table() -> None:
    text = render(made_up())
    assert rows_of(text, "#") == [
        # the ratios of the rounds: 0.2, 0.4 and 0.1875; fewer than six have no 95 % interval
        "1 8x8x4 -> 2 /1 1000.0 200.0 0.611 0.200 0.188-0.400 "
        "16.000 10.000 125.0 62.5 4.000 3.000 100.0 50.0",
        "2 4x4x2 -> 2 /2 1000.0 100.0 0.611 0.100 0.100-0.100 "
        "20.000 20.000 100.0 50.0 2.000 2.000 100.0 50.0",
        # the sums of the rows above: 36 and 6 ms, 30 and 5 ms; both have the first round, 6 / 40
        "sum of 2 blocks 2000.0 300.0 0.150 0.150 0.150-0.150 "
        "36.000 30.000 111.1 55.6 6.000 5.000 100.0 50.0",
        "whole 1000.0 500.0 0.500 0.250 0.250-0.250 40.000 40.000 50.0 25.0 10.000 10.000 100.0 50.0",
    ]
    assert rows_of(text, "packing") == [
        "conv2d 2 28.3 60.5",
        "pointwise 2 1.0 9.5",
        "all kinds 4 29.3 70.0",
        "compile it 4 30.0 200.0",
    ]
    assert "FMA peak  100.0 to 102.0 GFLOP/s a thread, 7 samples beside the" in text
    assert "network   mobilenet_v1, alpha 1.0, resolution 224, batch 1, threads 2, rep" in text
    assert "Interrupted" not in text


def test_every_line_fits_and_every_column_is_explained() -> None:
    for results in (made_up(), made_up_model()):
        text = render(results)
        assert max(map(len, text.splitlines())) <= 120
    rates = ("mult-adds", "ms, min", "GFLOP/s", "%peak")
    for column in ("std., sep.", "pred.", "ratio", "interval", *rates):
        assert f"\n{column} " in render(made_up())
    for column in (*rates, "%time", "whole call"):
        assert f"\n{column} " in render(made_up_model())


def test_step_tables() -> None:
    text = render(made_up_model())
    assert rows_of(text, "step") == [
        "a conv 1x1 300.0 7.000 6.000 85.7 85.7 70.00",
        "b pool 1.000 1.000 10.00",
        "c conv 1x1 100.0 2.000 2.000 100.0 100.0 20.00",
        "sum of the steps 400.0 10.000 9.000 80.0 80.0 100.00",
        "whole call 400.0 20.000 20.000 40.0 40.0 200.00",
    ]
    assert rows_of(text, "kind of step") == [
        "conv 1x1 2 100.00 100.00 90.00 9.000",
        "pool 1 0.00 0.00 10.00 1.000",
    ]
    assert rows_of(text, "kind of layer") == ["dense 1 100.00 100.00 100.00 10.000"]


def test_results_without_any_times() -> None:
    empty = Results("mobilenet_v1", {}, 1, 1, 1, {"machine": "abacus"}, interrupted=True)
    assert render(empty).splitlines() == [
        "network  mobilenet_v1, batch 1, threads 1, repeats 1",
        "machine  abacus",
        "",
        "Interrupted: this is what was measured until then.",
    ]


def test_figures_above_the_peak_are_marked() -> None:
    """Check the marks on times below 2 * mult-adds / peak, and one footnote for each table."""
    assert FOOTNOTE not in render(made_up_model()) + render(made_up())
    model = made_up_model()
    model.steps[0].add(1e-6, 100.0)  # 600,000 GFLOP/s in one of three rounds, not by the median
    model.steps[2].seconds = [0.0015]
    model.whole.seconds[:] = [0.001]
    text = render(model)
    assert text.count(FOOTNOTE) == 1
    assert rows_of(text, "step") == [
        "a conv 1x1 300.0 6.000 0.001* 100.0 100.0 70.59",
        "b pool 1.000 1.000 11.76",
        "c conv 1x1 100.0 1.500 1.500* 133.3 133.3* 17.65",
        "sum of the steps 400.0 8.500 2.501* 94.1 94.1 100.00",
        "whole call 400.0 1.000 1.000* 800.0 800.0* 11.76",
    ]
    for items, row in ((0, "1 8x8x4"), (1, "whole")):
        results = made_up()
        side = (results.blocks, results.networks)[items][0].separable
        side.seconds, side.peaks = [1e-4], [200.0]
        found = [line for line in rows_of(render(results), "#") if line.startswith(row)]
        assert found[0].split()[-4:-2] == ["0.100", "0.100*"] and found[0].endswith("*")
        assert render(results).count(FOOTNOTE) == 1
        assert max(map(len, render(results).splitlines())) <= 124


def test_json_holds_what_follows_from_the_times() -> None:
    data = json.loads(made_up().to_json())
    assert data["warnings"] == [] and data["conditions"]["samples"] == 7
    assert data["blocks"][0]["ratio"] == {"median": 0.2, "low": 0.1875, "high": 0.4}
    assert "ratio" not in data["blocks"][2]
    block = data["blocks"][0]["standard"]
    assert block == {
        "mult_adds": 1_000_000_000,
        "seconds": [0.020, 0.010, 0.016],
        "peaks": [200.0, 200.0, 200.0],
        "median": 0.016,
        "minimum": 0.010,
        "gflops": 125.0,
        "percent_of_peak": 62.5,
    }


# Trust


def test_per_cent_of_the_peak_beside_each_time() -> None:
    # Each round has 50 % of its own peak, whatever the clock does.
    item = Timed(10**9, [0.020, 0.010, 0.040], [200.0, 400.0, 100.0])
    assert item.speed.percents == pytest.approx((50, 50))
    assert item.speed.gflops == pytest.approx(100)
    item.add(0.005, 1000.0)  # 40 %
    assert item.speed.percents == pytest.approx((50, 40))


def test_ratios_are_those_of_the_rounds() -> None:
    # The machine slowed down after the third round; the ratio of each round stays 1/4.
    standard, separable = [0.4, 0.4, 0.4, 0.8, 0.8, 0.8, 0.8], [0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2]
    pair = Comparison("", "", 0.5, Timed(1, standard), Timed(1, separable))
    assert pair.ratio == pytest.approx((0.25, 0.25, 0.25))
    separable[0] = 0.4
    assert pair.ratio == pytest.approx((0.25, 0.25, 1.0))
    assert ratio([pair, pair]) == pytest.approx((0.25, 0.25, 1.0))


def test_warnings_stand_below_the_tables() -> None:
    results = made_up()
    results.conditions = Conditions(2, 2.5, 100.0, 106.0, 7)
    results.networks[0].separable.seconds[:] = [0.004]
    text, data = render(results), json.loads(results.to_json())
    assert data["warnings"] == results.warnings
    load, peak, figure = results.warnings
    assert "rose to 2.5 on 2 processors" in load and "from 100.0 to 106.0 GFLOP/s" in peak
    assert "A figure is 125.0 % of the FMA peak" in figure  # 1 G operations in 4 ms, 200 GFLOP/s
    assert text.endswith("\n".join(["", *results.warnings]))
