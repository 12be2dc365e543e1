"""benchmarks/peers: the report of a run, what is kept of it, the tables of the performance page."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # for the package `benchmarks`

from benchmarks.peers import plot, sizes
from benchmarks.peers.__main__ import main
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
from benchmarks.peers.summary import tables
from dsconv.text.peak import FOOTNOTE
from dsconv.text.trust import Conditions

ROOT = Path(__file__).parents[2]


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
