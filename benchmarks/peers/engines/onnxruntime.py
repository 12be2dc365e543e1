"""Run ONNX Runtime, CPU provider: .onnx with batch norms folded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

MODULE = "onnxruntime"
DISTRIBUTION = "onnxruntime"
SETTINGS = "all graph optimisations, sequential, spinning threads, static batch"


def write(graph: Any, weights: Mapping[str, Any], batch: int, stem: Path) -> Path:
    from dsconv.onnx.writing.export import write_onnx

    path = stem.with_suffix(".onnx")
    write_onnx(graph, dict(weights), path, batch=batch, fold=True)
    return path


def load(path: Path, threads: int, x: np.ndarray) -> Callable[[], np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.ascontiguousarray(x.transpose(0, 3, 1, 2))}
    return lambda: session.run(None, feed)[0]
