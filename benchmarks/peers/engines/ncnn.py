"""Run ncnn: .param and .bin. It takes one image at a time; a batch is a loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

MODULE = "ncnn"
DISTRIBUTION = "ncnn"
SETTINGS = "float32, packing, Winograd; a batch is a loop over images"


def write(graph: Any, weights: Mapping[str, Any], batch: int, stem: Path) -> Path:
    from benchmarks.peers.ncnn_writer import write_ncnn

    path = stem.with_suffix(".param")
    write_ncnn(graph, weights, path)
    return path


def load(path: Path, threads: int, x: np.ndarray) -> Callable[[], np.ndarray]:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for half in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
        setattr(net.opt, f"use_{half}", False)
    if net.load_param(str(path)) or net.load_model(str(path.with_suffix(".bin"))):
        raise ValueError(f"ncnn cannot load {path}")
    (source,), (result,) = net.input_names(), net.output_names()
    images = [np.ascontiguousarray(image.transpose(2, 0, 1)) for image in x]
    inputs = [ncnn.Mat(image).clone() for image in images]

    def run() -> np.ndarray:
        rows = []
        for image in inputs:
            extractor = net.create_extractor()
            extractor.input(source, image)
            status, row = extractor.extract(result)
            if status:
                raise RuntimeError(f"ncnn returned {status}")
            rows.append(np.array(row))
        return np.stack(rows)

    return run
