# One kernel module: the whole of src/, compiled once for each instruction set.

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cython.parallel cimport parallel, threadid
from libc.math cimport INFINITY, expf, powf, sqrtf
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, memset

cdef extern from "platform.h" nogil:
    enum: CACHE_LINE
    int HAS_OPENMP
    const char* COMPILER
    const char* COMPILER_NAME
    const char* DSCONV_FLAGS
    void* memory_take(size_t bytes)
    void memory_give(void* p)
    Py_ssize_t counter_next(Py_ssize_t* counter)
    void team_barrier()
    double seconds()

include "simd.pxi"
include "microkernels/gemm.pxi"
include "microkernels/depthwise.pxi"
include "step.pxi"
include "elementwise/arithmetic.pxi"
include "elementwise/activation.pxi"
include "elementwise/pooling.pxi"
include "elementwise/normalization.pxi"
include "elementwise/rearrange.pxi"
include "elementwise/resize.pxi"
include "convolutions/panels.pxi"
include "convolutions/pointwise.pxi"
include "convolutions/standard.pxi"
include "convolutions/winograd.pxi"
include "convolutions/depthwise.pxi"
include "convolutions/separable.pxi"
include "convolutions/inverted_residual.pxi"
include "checks.pxi"
include "program.pxi"
include "peak.pxi"

OPS = {
    "pointwise": OP_POINTWISE,
    "standard": OP_STANDARD,
    "winograd": OP_WINOGRAD,
    "depthwise": OP_DEPTHWISE,
    "separable": OP_SEPARABLE,
    "inverted_residual": OP_INVERTED,
    "global_average": OP_GLOBAL_AVERAGE,
    "average_pool": OP_AVERAGE_POOL,
    "max_pool": OP_MAX_POOL,
    "add": OP_ADD,
    "mul": OP_MUL,
    "scale": OP_SCALE,
    "activation": OP_ACTIVATION,
    "local_response": OP_LOCAL_RESPONSE,
    "l2": OP_L2,
    "softmax": OP_SOFTMAX,
    "resize": OP_RESIZE,
    "copy": OP_COPY,
    "zero": OP_ZERO,
}

MODES = {
    "clip": CLIP,
    "leaky_relu": LEAKY_RELU,
    "hard_sigmoid": HARD_SIGMOID,
    "hard_swish": HARD_SWISH,
    "sigmoid": SIGMOID,
}

lanes = LANES                    # floats in a vec
block = BLOCK                    # channels in a packed panel, and in a depthwise block
gemm_rows = GEMM_ROWS
has_fma = bool(HAS_FMA)
has_openmp = bool(HAS_OPENMP)
compiler = (<bytes>COMPILER_NAME).decode() + " " + (<bytes>COMPILER).decode()
flags = (<bytes>DSCONV_FLAGS).decode()
