"""Run OpenVINO, CPU plugin, in float32: .onnx with batch norms folded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.peers.engines.onnxruntime import write

__all__ = ["DISTRIBUTION", "MODULE", "SETTINGS", "load", "write"]

MODULE = "openvino"
DISTRIBUTION = "openvino"
SETTINGS = "float32, latency hint, one stream, NHWC input, static batch"


def load(path: Path, threads: int, x: np.ndarray) -> Callable[[], np.ndarray]:
    import openvino
    from openvino.preprocess import PrePostProcessor

    core = openvino.Core()
    options = {
        "INFERENCE_PRECISION_HINT": "f32",  # bfloat16 would be the default on some processors
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": threads,
    }
    network = PrePostProcessor(core.read_model(path))
    network.input().tensor().set_layout(openvino.Layout("NHWC"))
    network.input().model().set_layout(openvino.Layout("NCHW"))
    request = core.compile_model(network.build(), "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))

    def run(keep: np.ndarray = x) -> np.ndarray:  # the tensor does not keep its memory alive
        request.infer()
        return request.get_output_tensor().data

    return run
