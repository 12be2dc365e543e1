# One kernel module: the whole of src/, compiled once for each instruction set.
#
# Each file uses only what the files before it define. Whatever runs an op reaches it through its
# record.

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY, powf, sqrtf
from libc.string cimport memcpy, memmove, memset

import threading

include "simd.pxi"
include "platform.pxi"
include "microkernels/gemm.pxi"
include "microkernels/depthwise.pxi"
include "microkernels/exponential.pxi"
include "frame/geometry.pxi"
include "frame/columns.pxi"
include "frame/op.pxi"
include "frame/cutting.pxi"
include "frame/register.pxi"
include "frame/panels.pxi"
include "frame/window.pxi"
include "frame/elements.pxi"
include "ops/pointwise.pxi"
include "ops/standard.pxi"
include "ops/winograd.pxi"
include "ops/depthwise.pxi"
include "ops/separable.pxi"
include "ops/inverted_residual.pxi"
include "ops/global_average.pxi"
include "ops/pool.pxi"
include "ops/add.pxi"
include "ops/mul.pxi"
include "ops/scale.pxi"
include "ops/activation.pxi"
include "ops/local_response.pxi"
include "ops/l2.pxi"
include "ops/softmax.pxi"
include "ops/resize.pxi"
include "ops/copy.pxi"
include "frame/memory.pxi"
include "frame/step.pxi"
include "frame/team.pxi"
include "frame/written.pxi"
include "frame/program.pxi"
include "build.pxi"
include "peak.pxi"
include "microkernels/entries.pxi"
