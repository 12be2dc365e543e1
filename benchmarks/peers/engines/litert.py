"""Run LiteRT, whose CPU kernels are XNNPACK: .tflite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

MODULE = "ai_edge_litert.interpreter"
DISTRIBUTION = "ai-edge-litert"
SETTINGS = "XNNPACK delegate (the default), static batch"


def write(graph: Any, weights: Mapping[str, Any], batch: int, stem: Path) -> Path:
    from benchmarks.peers.tflite_writer import write_tflite

    path = stem.with_suffix(".tflite")
    write_tflite(graph, weights, path, batch)
    return path


def load(path: Path, threads: int, x: np.ndarray) -> Callable[[], np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (result,) = interpreter.get_output_details()
    interpreter.set_tensor(source["index"], x)  # the interpreter never overwrites its inputs

    def run() -> np.ndarray:
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run
