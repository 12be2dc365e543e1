"""Counters by hand on small graphs, the documented ladders, and the published tables."""

from __future__ import annotations

import json
import math
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsconv import models
from dsconv.counts.counters import COUNTERS
from dsconv.counts.explain import explain
from dsconv.counts.published import TABLES, TO_HUNDREDS, TO_TENS, UNMATCHED
from dsconv.counts.table import rounds_to, table
from dsconv.graph import Graph

# Counters by hand


def counts(graph: Graph) -> dict[str, int]:
    return {key: counter.function(graph, list(graph.nodes)) for key, counter in COUNTERS.items()}


def test_counters_by_hand() -> None:
    graph = Graph("small")
    x = graph.input((4, 4, 2))
    x = graph.conv2d(x, 3, 3, bias=False)
    x = graph.relu(graph.batch_norm(x))
    graph.output(graph.dense(graph.global_average_pool(x), 5))
    conv, dense, values = 9 * 2 * 3 * 16, 3 * 5, 3 * 16
    exact = conv + dense
    assert counts(graph) == {
        "exact": exact,
        "without fully connected layers": conv,
        "without the first convolution": dense,
        "without taps on padding": 2 * 3 * 10 * 10 + dense,  # 2 of 12 taps on each axis
        "bias adds": exact + values + 5,
        "batch norm": exact + 2 * values,
        "batch norm and activations": exact + 3 * values,
        "redundant expansion": exact,
        "space-to-batch": exact,
        "FLOPs": 2 * exact,
        "weights": 54 + 15,
        "weights and biases": 54 + 15 + 5,
        "batch norm folded": 54 + 15 + 5 + 3,
        "trainable": 54 + 15 + 5 + 2 * 3,
        "batch norm without gamma": 54 + 15 + 5 + 3 * 3,
        "all": 54 + 15 + 5 + 4 * 3,
    }


def test_strides_and_dilations_by_hand() -> None:
    graph = Graph("atrous")
    x = graph.input((5, 7, 1))
    x = graph.conv2d(x, 1, 3, dilation=2, padding=2, bias=False)
    x = graph.depthwise_conv2d(x, 3, stride=2, dilation=2, padding=2, bias=False)
    graph.output(graph.resize(x, 4, 4, "align_corners"))
    found = counts(graph)
    assert found["exact"] == 9 * 5 * 7 + 9 * 3 * 4
    # Output 0 reads rows -2, 0, 2: of 15 taps of 5 rows, and of 21 of 7 columns, 4 are outside.
    # With stride 2, 2 of 9 taps of the 3 rows are outside, and 2 of 12 of the 4 columns.
    assert found["without taps on padding"] == 11 * 17 + 7 * 10
    # 5 + 4 rows round up to 10, 7 + 4 columns to 12. The strided convolution is not rounded.
    assert found["space-to-batch"] == 9 * 6 * 8 + 9 * 3 * 4 + 4 * 4
    assert found["weights"] == 18 == found["all"]


def test_redundant_expansion_by_hand() -> None:
    graph = Graph("bottlenecks")
    x = graph.input((4, 4, 2))
    x = graph.depthwise_conv2d(x, name="block1/depthwise")
    x = graph.conv2d(x, 3, name="block1/project")
    x = graph.conv2d(x, 6, name="block2/expand")
    x = graph.depthwise_conv2d(x, name="block2/depthwise")
    graph.output(graph.conv2d(x, 3, name="block2/project"))
    found = counts(graph)
    assert found["redundant expansion"] - found["exact"] == 16 * 2 * 2


@pytest.mark.parametrize("name", models.names())
def test_counters_agree_with_the_costs(name: str) -> None:
    graph = models.get(name)
    found, cost = counts(graph), graph.cost()
    assert found["exact"] == cost.mult_adds
    assert (found["weights"], found["trainable"]) == (cost.weights, cost.trainable_parameters)
    assert found["all"] == sum(map(math.prod, graph.parameters().values()))


def test_taps_on_padding_of_the_standard_counterpart() -> None:
    """Check that 7.7 % of its blocks' mult-adds fall on the padding."""
    graph = models.mobilenet_v1_standard()
    blocks = [name for name in graph.nodes if name.startswith("block")]
    exact, inside = (
        COUNTERS[key].function(graph, blocks) for key in ("exact", "without taps on padding")
    )
    assert round(100 * (1 - inside / exact), 1) == 7.7


# Explanations

LADDERS = {  # documented in millions
    "mobilenet_v1": {
        "exact": "568.74",
        "without fully connected layers": "567.72",
        "bias adds": "573.78",
        "batch norm": "578.83",
        "batch norm and activations": "583.87",
    },
    "mobilenet_v2": {
        "exact": "300.8",
        "redundant expansion": "313.6",
        "batch norm": "314.1",
        "batch norm and activations": "320.2",
        "without fully connected layers": "299.5",
    },
}


@pytest.mark.parametrize("name", LADDERS)
def test_documented_ladders(name: str) -> None:
    explanation = explain(name)
    rungs = {rung.counter: rung for rung in explanation.rungs}
    for counter, millions in LADDERS[name].items():
        decimals = len(millions.partition(".")[2])
        assert f"{rungs[counter].value / 1e6:.{decimals}f}" == millions
    text = str(explanation)
    assert repr(explanation) == text
    assert all(f"{rung.value:,}" in text and rung.counter in text for rung in rungs.values())


@pytest.mark.parametrize("name", models.names())
def test_every_network_is_explained(name: str) -> None:
    explanation = explain(name)
    cost = models.get(name).cost()
    values = {rung.counter: rung.value for rung in explanation.rungs}
    assert (values["exact"], values["FLOPs"]) == (cost.mult_adds, 2 * cost.mult_adds)
    assert values["trainable"] == cost.trainable_parameters
    for quantity, standard in (("mult-adds", "exact"), ("parameters", "trainable")):
        others = [
            rung.value
            for rung in explanation.rungs
            if rung.quantity == quantity and rung.counter != standard
        ]
        assert values[standard] not in others
    assert explanation.arguments["classes"] and name in str(explanation)


def test_explanation_of_other_arguments() -> None:
    half = explain("mobilenet_v1", alpha=0.5, resolution=160)
    assert half.arguments["alpha"] == 0.5 and half.arguments["padding"] == "same"
    assert {rung.counter: rung.value for rung in half.rungs}["exact"] == 76_524_800
    assert {row.published for row in half.published} == {"76 M", "1.32 M", "77 M", "1.34 M"}
    assert explain("mobilenet_v1", classes=1001).published == ()
    assert "printed in" not in str(explain("mobilenet_v1", classes=1001))
    spelled_out = explain("mobilenet_v2", alpha=1.0, resolution=224)
    assert spelled_out.published == explain("mobilenet_v2").published != ()


def test_explanation_as_json_and_markdown() -> None:
    explanation = explain("squeezenet")
    read = json.loads(explanation.to_json())
    assert read["name"] == "squeezenet" and read["arguments"]["resolution"] == 227
    assert [rung["value"] for rung in read["rungs"]] == [r.value for r in explanation.rungs]
    assert read["published"][0]["published"] == "1700 M" and read["published"][0]["reproduced"]
    markdown = explanation.to_markdown()
    assert markdown.startswith("**squeezenet(resolution=227")
    assert "| 832,667,936 | 832.67 | exact |" in markdown
    assert "| MobileNetV1, table 9 | 1700 M mult-adds | 832,667,936 | FLOPs (" in markdown


def test_bad_networks_and_arguments() -> None:
    with pytest.raises(ValueError, match="unknown model 'mobilenet', known are"):
        explain("mobilenet")
    with pytest.raises(ValueError, match="alpha must be above 0"):
        explain("mobilenet_v1", alpha=0)
    with pytest.raises(TypeError, match="rho"):
        explain("mobilenet_v1", rho=1)


# Published tables

NOT_REPRODUCED = [
    ("Conv 3x3", "1.19 %"), ("GoogleNet", "1550 M"), ("GoogleNet", "6.8 M"),
    ("MobileNet_v1_0.5_224", "150 M"), ("MobileNet_v1_0.25_192", "34 M"),
    ("MobileNetV1", "575 M"), ("MobileNetV2 (1.4)", "585 M"), ("MobileNetV2 (1.4)", "6.9 M"),
    ("SSD300", "35.2 G"), ("SSD300", "36.1 M"), ("SSD512", "99.5 G"), ("SSD512", "36.1 M"),
    ("ResNet-101, ASPP", "81.0 G"),
]  # fmt: skip


def test_rules_give_the_published_figures() -> None:
    rows = table().rows
    assert len(rows) == sum(len(row.figures) for rows in TABLES.values() for row in rows)
    unmatched = [row for row in rows if not row.reproduced]
    assert [(row.network, row.published) for row in unmatched] == NOT_REPRODUCED
    assert all(row.note and UNMATCHED in row.rule for row in unmatched)


def test_no_counter_gives_the_figures_that_are_not_reproduced() -> None:
    for rows in TABLES.values():
        for row in rows:
            for figure in row.figures:
                if figure.rounding != UNMATCHED or figure.unit == "%":
                    continue
                unit = {"M": 10**6, "G": 10**9}[figure.unit]
                quantity = COUNTERS[figure.counter].quantity
                for key, value in counts(models.get(row.model, **row.arguments)).items():
                    if COUNTERS[key].quantity == quantity:
                        for rounding in ("rounded", "truncated"):
                            assert not rounds_to(Fraction(value, unit), figure.printed, rounding)


def test_grid_of_mobilenet_v2_is_truncated() -> None:
    rows = [row for row in table().rows if row.source == "TF-slim README of MobileNetV2"]
    cells = [row for row in rows if row.quantity == "mult-adds"]
    assert len(cells) == 22 and {row.rule for row in cells} == {"truncated"}
    for row in cells:
        assert row.published == f"{row.exact // 10**6} M"


def test_rules_in_words() -> None:
    rows = {(row.source.partition(":")[0], row.network, row.quantity): row for row in table().rows}
    row = rows["MobileNetV1, table 4", "Conv MobileNet", "mult-adds"]
    assert (row.exact, row.counted) == (4_867_293_184, 4_866_269_184)
    assert row.rule == "without fully connected layers (4,866,269,184), truncated"
    row = rows["MobileNetV1, table 9", "AlexNet", "mult-adds"]
    assert (row.published, row.exact, row.rule) == ("720 M", 724_406_816, "rounded to tens")
    row = rows["MobileNetV2, table 7", "ResNet-101, ASPP", "parameters"]
    assert (row.published, row.exact) == ("58.16 M", 58_164_437)


def test_table_as_text_markdown_and_json() -> None:
    found = table()
    text, markdown = str(found), found.to_markdown()
    assert repr(found) == text
    for source in TABLES:
        assert source in text and f"### {source}" in markdown
    line = next(line for line in text.splitlines() if line.startswith("Squeezenet"))
    assert " ".join(line.split()) == (
        "Squeezenet 1700 M mult-adds 832,667,936 FLOPs (1,665,335,872), rounded to hundreds"
    )
    assert "| VGG 16 | 138 M parameters | 138,357,544 | trainable, rounded |" in markdown
    rows = json.loads(found.to_json())
    assert [(r["network"], r["exact"]) for r in rows] == [(r.network, r.exact) for r in found.rows]


# Roundings


@given(st.integers(0, 10**12), st.integers(0, 3))
def test_roundings(value: int, decimals: int) -> None:
    quantum = Decimal(1).scaleb(-decimals)
    exact = Decimal(value) / 10**6
    rounded, truncated = (str(exact.quantize(quantum, m)) for m in (ROUND_HALF_UP, ROUND_DOWN))
    ratio = Fraction(value, 10**6)
    assert rounds_to(ratio, rounded, "rounded")
    assert rounds_to(ratio, truncated, "truncated")
    assert rounds_to(ratio, truncated, "rounded") == (rounded == truncated)
    assert rounds_to(ratio, rounded, "truncated") == (rounded == truncated)


def test_roundings_beyond_the_digits() -> None:
    assert rounds_to(Fraction("724.4"), "720", TO_TENS)
    assert not rounds_to(Fraction("725"), "720", TO_TENS)
    assert rounds_to(Fraction("1665.3"), "1700", TO_HUNDREDS)
    assert not rounds_to(Fraction("1649.9"), "1700", TO_HUNDREDS)
