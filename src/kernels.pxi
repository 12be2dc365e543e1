# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, nonecheck=False, embedsignature=False
#
# One kernel module: the whole of src/, compiled once for each instruction set.

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cython.parallel cimport parallel, threadid
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cdef extern from "platform.h" nogil:
    enum: CACHE_LINE
    int HAS_OPENMP
    int OPENMP_DATE
    const char* COMPILER
    const char* COMPILER_NAME
    const char* DSCONV_FLAGS
    void* memory_take(size_t bytes)
    void memory_give(void* p)
    Py_ssize_t counter_next(Py_ssize_t* counter)
    void team_barrier()

include "simd.pxi"
include "microkernels/gemm.pxi"
include "microkernels/depthwise.pxi"
include "step.pxi"
include "elementwise/arithmetic.pxi"
include "elementwise/average.pxi"
include "convolutions/panels.pxi"
include "convolutions/pointwise.pxi"
include "convolutions/standard.pxi"
include "convolutions/depthwise.pxi"
include "convolutions/separable.pxi"
include "program.pxi"
include "peak.pxi"

OPS = {
    "pointwise": OP_POINTWISE,
    "standard": OP_STANDARD,
    "depthwise": OP_DEPTHWISE,
    "separable": OP_SEPARABLE,
    "average": OP_AVERAGE,
    "add": OP_ADD,
    "scale": OP_SCALE,
}

lanes = LANES                    # floats in a vec
block = BLOCK                    # channels in a packed panel, and in a depthwise block
gemm_rows = GEMM_ROWS
has_fma = bool(HAS_FMA)
has_openmp = bool(HAS_OPENMP)
compiler = (<bytes>COMPILER_NAME).decode() + " " + (<bytes>COMPILER).decode()
flags = (<bytes>DSCONV_FLAGS).decode()
