"""Winograd's algorithm: against the defining sum in float64, within a bound that is derived.

The exact result is A^T [sum over c of U * (B^T d B)] A + bias + residual, U = G g G^T. Along each axis
a line of B^T or A^T takes at most four roundings for any of its terms (three fused operations, or two
with their products rounded first), U is rounded once, the sum over C channels takes C additions and a
product, bias and residual two more additions: C + 20 roundings in all. Hence (tolerance.py has gamma)

    |y32 - y| <= gamma(C + 20) * (|A|^T [sum over c of |U| * (|B|^T |d| |B|)] |A| + |bias| + |residual|)

where |A| and |B| hold the magnitudes of the entries: the norms of both transforms are in the sum.
"""

from __future__ import annotations

import math
import pickle
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from calls import same_bits
from compiled import assert_bits
from hypothesis import given
from hypothesis import strategies as st
from tolerance import assert_close, gamma, rounding

import dsconv
from dsconv.arguments.window import window
from dsconv.graph import Graph
from dsconv.kernels import dispatch, steps, winograd
from dsconv.kernels.plans import StepPlan, pack_steps
from dsconv.layers import Add

TILES = (2, 4)
ACTIVATIONS = (steps.UNBOUNDED, (0.0, 6.0))


@dataclass
class Layer:
    """A plain 3x3 convolution, by the tile that is given, not by the one that would be chosen."""

    tile: int
    x: np.ndarray  # (N, H, W, C)
    weight: np.ndarray  # (3, 3, C, O)
    bias: np.ndarray | None
    padding: Any
    bounds: tuple[float, float] = steps.UNBOUNDED
    residual: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.window = window(self.x.shape[1:3], (3, 3), padding=self.padding)
        self.filters = self.weight.shape[3]
        self.shape = (len(self.x), *self.window.output, self.filters)

    def __call__(self, kernels: ModuleType, images: slice = slice(None), threads: int = 1) -> Any:
        shape, second = self.x.shape[1:], self.residual is not None
        fields = steps.geometry(shape, self.shape[1:], self.window, self.bounds, tile=self.tile)
        plain = {"weight": winograd.transform(self.weight, self.tile), "bias": self.bias}
        plan = StepPlan(
            "winograd", fields, (1, 0), (2 + second, 0), (2, 0) if second else None,
            weights=lambda: plain,
        )  # fmt: skip
        (step,), _ = pack_steps(kernels, [plan])
        inputs = [self.x] if self.residual is None else [self.x, self.residual]
        arrays = [array[images] for array in (*inputs, np.full(self.shape, np.nan, np.float32))]
        sizes = tuple(math.prod(array.shape[1:]) for array in arrays)
        program = kernels.Program([step], sizes[:-1], sizes[-1:])
        program.run(tuple(arrays), len(arrays[0]), threads)
        return arrays[-1]

    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the result in float64, and its tolerance."""
        weight = self.weight.astype(np.float64)
        patches = self._patches(self.x.astype(np.float64), 3, 1)
        y = np.einsum("nyxcij,ijco->nyxo", patches, weight)
        a, b, g = winograd.matrices(self.tile)
        u = np.abs(np.einsum("ai,bj,ijco->abco", g, g, weight))
        d = self._patches(np.abs(self.x).astype(np.float64), self.tile + 2, self.tile)
        d = np.einsum("ai,bj,nyxcij->nyxabc", np.abs(b), np.abs(b), d, optimize=True)
        m = np.einsum("nyxabc,abco->nyxabo", d, u, optimize=True)
        m = np.einsum("pa,qb,nyxabo->nypxqo", np.abs(a), np.abs(a), m, optimize=True)
        n, tall, _, wide, _, _ = m.shape
        m = m.reshape(n, tall * self.tile, wide * self.tile, -1)[:, : y.shape[1], : y.shape[2]]
        for term in (self.bias, self.residual):
            if term is not None:
                y, m = y + term, m + np.abs(term)
        return np.clip(y, *self.bounds), rounding(self.x.shape[3] + 20, m)

    def _patches(self, x: np.ndarray, side: int, step: int) -> np.ndarray:
        """Cut (N, H, W, C) -> (N, tiles, tiles, C, side, side), with zeros around the map."""
        room = [(before, after + side) for before, after in self.window.pad]
        padded = np.pad(x, [(0, 0), *room, (0, 0)])
        patches = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (1, 2))
        height, width = self.window.output
        return patches[:, :height:step, :width:step]


def random_layer(
    tile: int, shape: tuple[int, int, int, int], filters: int, padding: Any = 1,
    bounds: tuple[float, float] = steps.UNBOUNDED, bias: bool = True, residual: bool = True,
) -> Layer:  # fmt: skip
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, np.float32)
    weight = rng.standard_normal((3, 3, shape[3], filters), np.float32)
    vector = rng.standard_normal(filters, np.float32) if bias else None
    layer = Layer(tile, x, weight, vector, padding, bounds)
    if residual:
        layer.residual = rng.standard_normal(layer.shape, np.float32)
    return layer


@pytest.mark.parametrize("tile", TILES)
def test_matrices_make_a_convolution(tile: int) -> None:
    a, b, g = winograd.matrices(tile)
    side = tile + 2
    for exact in (a, b):
        assert np.array_equal(exact, exact.astype(np.float32))
    # y[p] = sum over k of g[k] d[p + k]: one where i = p + k, else nothing
    products = np.einsum("ps,sk,si->pki", a, g, b)
    wanted = np.arange(tile)[:, None, None] + np.arange(3)[:, None] == np.arange(side)
    magnitude = np.einsum("ps,sk,si->pki", *map(np.abs, (a, g, b)))
    assert (np.abs(products - wanted) <= gamma(3 * side, 2.0**-53) * magnitude).all()


@pytest.mark.parametrize("tile", TILES)
@given(st.data())
def test_within_the_derived_bound(isa: Any, tile: int, data: Any) -> None:
    size, pad = st.integers(1, 11), st.integers(0, 3)
    padding = data.draw(st.tuples(st.tuples(pad, pad), st.tuples(pad, pad)))
    height, width = (max(3 - sum(p), data.draw(size)) for p in padding)
    channels = st.sampled_from(
        [1, 3, isa.lanes - 1, isa.lanes, isa.lanes + 1, isa.block, isa.block + 5, 2 * isa.block]
    )
    layer = random_layer(
        tile,
        (data.draw(st.integers(1, 3)), height, width, data.draw(channels)),
        data.draw(channels),
        padding,
        data.draw(st.sampled_from(ACTIVATIONS)),
        data.draw(st.booleans()),
        data.draw(st.booleans()),
    )
    y = layer(isa, threads=data.draw(st.sampled_from((1, 2))))
    assert_close(y, *layer.expected())


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("shape", [(3, 21, 30, 20), (2, 14, 14, 64), (5, 7, 7, 48)])
def test_threads_and_batch(isa: Any, tile: int, shape: tuple[int, int, int, int]) -> None:
    layer = random_layer(tile, shape, 2 * isa.block + 3)
    y = layer(isa)
    assert_close(y, *layer.expected())
    for threads in (2, 3):
        assert same_bits(layer(isa, threads=threads), y)
    for image in range(len(y)):
        part = slice(image, image + 1)
        assert same_bits(layer(isa, part), y[part])


@pytest.mark.parametrize("tile", TILES)
def test_bits_do_not_depend_on_the_instruction_set(tile: int) -> None:
    modules = [dispatch.kernel_module(isa) for isa in dispatch.available()]
    results = []
    for isa, kernels in zip(dispatch.available(), modules, strict=True):
        if kernels.has_fma:
            with dispatch.use(isa):
                results.append(random_layer(tile, (2, 13, 10, 37), 41)(kernels))
    if len(results) < 2:
        pytest.skip("fewer than two instruction sets with FMA here")
    assert all(same_bits(result, results[0]) for result in results)


def network() -> tuple[Graph, np.ndarray]:
    """Build layers for both tiles, one with a residual and a clip, among direct layers."""
    graph = Graph()
    first = graph.conv2d(graph.input((28, 28, 3)), 40, 3, name="first")
    large = graph.conv2d(first, 40, 3, padding="valid", name="large")
    total = graph.add(Add(), graph.conv2d(large, 40, 3, name="sum"), large, name="add")
    total = graph.clip(total, 0, 1, name="clip")
    strided = graph.conv2d(total, 64, 3, stride=4, name="strided")
    graph.output(first, large, total, strided, graph.conv2d(strided, 64, 3, name="small"))
    return graph, np.random.default_rng(0).standard_normal((2, 28, 28, 3)).astype(np.float32)


def tiles(model: Any) -> list[int]:
    """Return the tiles of the layers that took Winograd's algorithm."""
    tiles = (step.geometry.get("tile", 0) for step in model._program.steps)
    return [tile for tile in tiles if tile]


def test_off_by_default(isa: Any) -> None:
    graph = Graph()
    graph.output(graph.conv2d(graph.input((14, 14, 64)), 64, 3))
    weights = graph.init_weights(0)
    x = np.random.default_rng(0).standard_normal((2, 14, 14, 64)).astype(np.float32)
    name = next(iter(graph.parameters())).rpartition("/")[0]
    direct = dsconv.conv2d(x, weights[f"{name}/weight"], weights[f"{name}/bias"])
    assert same_bits(graph.compile(weights)(x), direct)
    assert same_bits(graph.compile(weights, winograd=False)(x), direct)
    assert not same_bits(graph.compile(weights, winograd=True)(x), direct)


def test_in_a_network(isa: Any) -> None:
    graph, x = network()
    weights = graph.init_weights(0)
    model = graph.compile(weights, winograd=True)
    assert tiles(model) == [4, 4, 2] and tiles(graph.compile(weights)) == []
    first, large, total, strided, small = y = model(x)
    for name, tile, before, after, *rest in (
        ("large", 4, first, large, "valid"),
        ("sum", 4, large, total, "same", (0.0, 1.0), large),
        ("small", 2, strided, small, "same"),
    ):
        layer = Layer(tile, before, weights[f"{name}/weight"], weights[f"{name}/bias"], *rest)
        assert_bits(after, layer(isa))
        assert_close(after, *layer.expected())
    assert_bits(model(x[:1]), tuple(part[:1] for part in y))
    assert_bits(graph.compile(weights, threads=2, winograd=True)(x), y)
    copy = pickle.loads(pickle.dumps(model))
    assert tiles(copy) == tiles(model)
    assert_bits(copy(x), y)


def test_profile_has_the_layers(isa: Any) -> None:
    graph, x = network()
    profile = graph.compile(winograd=True).profile(x, repeats=1)
    assert sum(step.mult_adds for step in profile.steps) == graph.cost().mult_adds


@pytest.mark.parametrize(
    "options",
    [{"stride": 2}, {"dilation": 2}, {"groups": 2}, {"kernel": 5}, {"kernel": (1, 3)}],
    ids=str,
)
def test_other_convolutions_stay_as_they_are(isa: Any, options: dict[str, Any]) -> None:
    graph = Graph()
    graph.output(graph.conv2d(graph.input((14, 14, 64)), 64, **{"kernel": 3, **options}))
    x = np.random.default_rng(0).standard_normal((14, 14, 64)).astype(np.float32)
    assert_bits(graph.compile(winograd=True)(x), graph.compile()(x))


@pytest.mark.parametrize(
    "size, channels, filters, tile",
    [(56, 64, 64, 4), (14, 512, 512, 4), (7, 512, 512, 2), (224, 3, 64, 0), (2, 512, 512, 0)],
)
def test_the_tile_follows_from_the_costs(size: int, channels: int, filters: int, tile: int) -> None:
    place = window((size, size), (3, 3), padding="same")
    assert winograd.best_tile(place, channels, filters, 1) == tile


def test_the_option_is_a_flag() -> None:
    graph, _ = network()
    with pytest.raises(TypeError, match="winograd must be True or False, got 'yes'"):
        graph.compile(winograd="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("tile", [2, 4])
def test_the_matrices_beside_the_code(tile: int) -> None:
    text = (Path(__file__).parents[2] / "src" / "ops" / "winograd.pxi").read_text()
    rows: dict[str, list[list[Fraction]]] = {"t": [], "y": []}
    for name, row in re.findall(r" ([ty])\d +\|([-/ 0-9]+)\|", text):
        entries = [Fraction(word) for word in row.split()]
        if len(entries) == tile + 2:
            rows[name].append(entries)
    a, b, _ = winograd.matrices(tile)
    assert (np.array(rows["y"]) == a).all() and (np.array(rows["t"]) == b).all()
