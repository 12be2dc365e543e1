"""The shell commands: what they print, exit codes, one line on stderr for whatever goes wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from commands import assert_refused, assert_usage, run_command

import dsconv
from dsconv import models
from dsconv.kernels import dispatch


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run one command in this process."""
    return partial(run_command, capsys)


def rows(markdown: str) -> list[list[str]]:
    """Return the cells of all tables of a Markdown text; check that rows have equally many."""
    found: list[list[str]] = []
    width = 0
    for line in markdown.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        width = width or len(cells)
        assert len(cells) == width, line
        found.append(cells)
    return found


# Networks


def test_summary(run: Any) -> None:
    result = run("summary", "mobilenet_v2", "--alpha", "0.75", "--resolution", "192")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "Model: mobilenet_v2"
    assert "Mult-adds: 153,941,888" in lines  # published as 153 M
    assert "Trainable parameters: 2,636,424" in lines
    first = next(line for line in lines if line.startswith("conv0 "))
    assert "(N, 96, 96, 24)" in first and "3x3 /2" in first  # 32 * 0.75 filters
    graph = models.mobilenet_v2(0.75, 192)
    assert set(graph.nodes) <= {line.split()[0] for line in lines if line.split()}


def test_summary_formats(run: Any) -> None:
    arguments = ("summary", "mobilenet_v1", "--classes", "10", "--format")
    graph = models.mobilenet_v1(classes=10)
    data = json.loads(run(*arguments, "json").out)
    assert [layer["layer"] for layer in data["layers"]] == list(graph.nodes)
    assert data["totals"]["mult_adds"] == graph.cost().mult_adds
    table = rows(run(*arguments, "markdown").out)
    assert [cells[0] for cells in table[2:]] == list(graph.nodes)
    assert run(*arguments, "text").out == run(*arguments[:-1]).out == f"{graph.summary()}\n"


def test_models(run: Any) -> None:
    result = run("models")
    assert (result.code, result.err) == (0, "")
    header, _, *lines = result.out.splitlines()
    assert header.split("  ")[-2:] == ["M mult-adds", "M parameters"]
    assert tuple(line.split()[0] for line in lines) == models.names()
    assert lines[0].split() == ["mobilenet_v1", "224", "x", "224", "568.7", "4.23"]
    assert re.search("^ssd512_vgg16 +512 x 512 ", result.out, re.M)


def test_explain(run: Any) -> None:
    result = run("explain", "mobilenet_v2")
    assert (result.code, result.err) == (0, "")
    for count in ("300,774,272", "299,494,272", "3,504,872"):  # exact, without FC, parameters
        assert count in result.out
    assert run("explain", "mobilenet_v2", "--alpha", "0.5").out.startswith("mobilenet_v2(alpha=0.5")


def test_explain_formats(run: Any) -> None:
    data = json.loads(run("explain", "mobilenet_v1", "--format", "json").out)
    assert data["name"] == "mobilenet_v1" and data["arguments"]["alpha"] == 1.0
    values = {rung["counter"]: rung["value"] for rung in data["rungs"]}
    assert values["exact"] == 568_740_352
    cells = rows(run("explain", "mobilenet_v1", "--format", "markdown").out)
    assert ["568,740,352", "568.74", "exact"] in [row[:3] for row in cells]


def test_table(run: Any) -> None:
    result = run("table")
    assert (result.code, result.err) == (0, "")
    assert "568,740,352" in result.out and "1801.04381" in result.out


def test_table_formats(run: Any) -> None:
    data = json.loads(run("table", "--format", "json").out)
    comparisons = dsconv.table().rows
    assert [row["exact"] for row in data] == [row.exact for row in comparisons]
    cells = rows(run("table", "--format", "markdown").out)
    assert cells.count(cells[0]) == len({row.source for row in comparisons})  # one header each
    assert len(cells) == len(comparisons) + 2 * cells.count(cells[0])


@pytest.mark.parametrize("command", ["summary", "explain"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mobilenet_v9",), "no model 'mobilenet_v9'; known are mobilenet_v1, .*vgg16"),
        (("vgg16", "--alpha", "0.5"), "--alpha does not apply to vgg16"),
        (("mobilenet_v1", "--alpha", "0"), "alpha must be above 0, got 0"),
        (("mobilenet_v1", "--alpha", "-1"), "alpha must be above 0, got -1"),
        (("mobilenet_v2", "--alpha", "nan"), "alpha must be finite, got nan"),
        (("mobilenet_v1", "--alpha", "9999"), "has more than 2147483647 values"),
        (("mobilenet_v1", "--alpha", "1e308"), "alpha must be .* got 1e\\+308"),
        (("mobilenet_v2", "--alpha", "1e308"), "alpha must be .* got 1e\\+308"),
        (("alexnet", "--resolution", "32"), "layer 'pool2': the output height would be empty"),
        (("mobilenet_v1", "--resolution", "99999"), "has more than 2147483647 values"),
    ],
)
def test_bad_networks(run: Any, command: str, arguments: tuple[str, ...], message: str) -> None:
    assert_refused(run(command, *arguments), message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "required: COMMAND"),
        (("sumary",), "invalid choice: 'sumary'"),
        (("summary",), "required: MODEL"),
        (("summary", "mobilenet_v1", "--resolution", "0"), "--resolution: .*at least 1, got '?0"),
        (("summary", "mobilenet_v1", "--resolution", "x"), "argument --resolution: .*'x'"),
        (("summary", "mobilenet_v1", "--alpha", "wide"), "argument --alpha: .*'wide'"),
        (("summary", "mobilenet_v1", "--format", "xml"), "invalid choice: 'xml'"),
        (("classify", "--weights", "file"), "required: PICTURE"),
        (("classify", "p", "--weights", "f", "--top", "0"), "--top: .*at least 1, got '?0"),
        (("classify", "p", "--weights", "f", "--threads", "two"), "argument --threads: .*'two'"),
        (("classify", "p", "--json", "--csv"), "--csv: not allowed with argument --json"),
        (("models", "mobilenet_v1"), "unrecognized arguments: mobilenet_v1"),
    ],
)
def test_bad_usage(run: Any, arguments: tuple[str, ...], message: str) -> None:
    assert_usage(run(*arguments), message)


@pytest.mark.parametrize("command", ["classify", "summary", "explain", "models", "table", "info"])
def test_help(run: Any, command: str) -> None:
    assert command in run("--help").out
    result = run(command, "--help")
    assert result.code == 0 and f"usage: dsconv {command}" in result.out


# This machine


def test_info(run: Any) -> None:
    result = run("info")
    assert (result.code, result.err) == (0, "")
    facts = dict(line.split(": ", 1) for line in result.out.splitlines() if ": " in line)
    assert f"dsconv {dsconv.__version__}" in result.out
    assert facts["instruction set"].startswith(dispatch.isa)
    assert all(name in facts["instruction set"] for name in dispatch.available())
    assert facts["threads"].startswith(str(dsconv.get_num_threads()))


def test_info_of_a_compiled_model(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.dsconv"
    graph = models.mobilenet_v1(0.25, 32, 5)
    dsconv.save(graph.compile(), path)
    result = run("info", str(path))
    assert (result.code, result.err) == (0, "")
    assert f"{path.stat().st_size:,} bytes, checksums agree" in result.out
    assert "output logits: (5,)" in result.out
    assert f"{graph.cost().mult_adds:,} mult-adds" in result.out
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert_refused(run("info", str(path)), "damaged: its weights have the CRC-32")
    dsconv.save(graph.compile(), tmp_path / "model.npz")
    assert_refused(run("info", str(tmp_path / "model.npz")), "the format is npz; info describes")


def test_info_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "dsconv", "info"], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"dsconv {dsconv.__version__}\n")


def test_a_reader_that_has_read_enough() -> None:
    """Check `dsconv summary ... | head -1`: far more than a pipe holds, and no complaint."""
    arguments = ["summary", "deeplab_v3_resnet101", "--format", "json"]
    command = [sys.executable, "-m", "dsconv", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"{\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0
