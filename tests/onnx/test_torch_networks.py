"""Networks exported by PyTorch, with the blocks of well-known families, against PyTorch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")

from bounds import interpret_with_bounds  # noqa: E402
from onnx_files import listed, saved  # noqa: E402
from onnx_torch_modules import NETWORKS, exported, network  # noqa: E402
from tolerance import assert_close  # noqa: E402

from dsconv.onnx.reading.model import load_onnx, read_onnx  # noqa: E402

OPSETS = {"Detector": (11, 17), "Pyramid": (11, 17)}  # torch writes them differently, or not at 9


def assert_same(content: bytes, module: Any, folder: Path) -> None:
    """Compare torch in double precision, the imported graph and the model, for two images.

    The bounds are those of a float32 evaluation of the imported graph. They also cover the
    attributes of a file, which are float32 and so round epsilon or a slope once.
    """
    path = saved(content, folder)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = module.double()(x.double())
    expected = expected if isinstance(expected, tuple) else (expected,)
    graph, weights = read_onnx(path)[:2]
    interpreted = interpret_with_bounds(graph, dict(weights), x.numpy())
    results = listed(load_onnx(path, threads=1)(x.numpy()))
    for result, (value, bound), theirs in zip(results, interpreted, expected, strict=True):
        assert_close(result, value, bound)
        assert value.shape == tuple(theirs.shape)
        assert (np.abs(value - theirs.numpy()) <= bound).all()
        assert bound.max() < 0.05 * np.abs(value).max()  # not useless


@pytest.mark.parametrize("opset", [9, 11, 13, 17])
@pytest.mark.parametrize("name", NETWORKS)
def test_exported_networks(name: str, opset: int, tmp_path: Path) -> None:
    """Check networks whose batch is fixed, at opset 13, or left open."""
    if name in OPSETS and opset not in OPSETS[name]:
        pytest.skip("torch exports something else at this opset")
    module = network(name)
    options: dict[str, Any] = {"opset_version": opset}
    if opset != 13:
        options |= {"input_names": ["x"], "dynamic_axes": {"x": {0: "N"}}}
    assert_same(exported(module, torch.zeros(1, 3, 32, 32), **options), module, tmp_path)


@pytest.mark.parametrize("name", ["SqueezeExcite", "Shuffle", "Boxes", "Detector"])
def test_networks_of_the_newer_exporter(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("onnxscript") is None:
        pytest.skip("onnxscript is not installed")
    module = network(name)
    shapes = ({0: torch.export.Dim("N")},)
    content = exported(module, torch.zeros(3, 3, 32, 32), dynamo=True, dynamic_shapes=shapes)
    assert_same(content, module, tmp_path)
