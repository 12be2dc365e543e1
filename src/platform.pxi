# What the kernels use of platform.h, and what a module tells about its build.

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

lanes = LANES                    # floats in a vec
block = BLOCK                    # channels in a packed panel, and in a depthwise block
gemm_rows = GEMM_ROWS
has_fma = bool(HAS_FMA)
has_openmp = bool(HAS_OPENMP)
compiler = (<bytes>COMPILER_NAME).decode() + " " + (<bytes>COMPILER).decode()
flags = (<bytes>DSCONV_FLAGS).decode()
