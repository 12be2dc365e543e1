# Build: what a module tells about its sizes, its compiler and the flags it was compiled with.

cdef extern from *:
    """
    #ifdef __VERSION__
    #define COMPILER __VERSION__
    #else
    #define COMPILER "unknown"
    #endif
    #if defined(__clang__)
    #define COMPILER_NAME "clang"
    #elif defined(__GNUC__)
    #define COMPILER_NAME "gcc"
    #elif defined(_MSC_VER)
    #define COMPILER_NAME "msvc"
    #else
    #define COMPILER_NAME "cc"
    #endif
    #ifndef DSCONV_FLAGS
    #define DSCONV_FLAGS ""
    #endif
    """
    const char* COMPILER
    const char* COMPILER_NAME
    const char* DSCONV_FLAGS
    int HAS_FMA                  # of simd.h

lanes = LANES                    # floats in a vec
block = BLOCK                    # channels in a packed panel, and in a depthwise block
gemm_rows = GEMM_ROWS
has_fma = bool(HAS_FMA)
compiler = (<bytes>COMPILER_NAME).decode() + " " + (<bytes>COMPILER).decode()
flags = (<bytes>DSCONV_FLAGS).decode()
