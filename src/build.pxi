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


cdef bint rounds_once(float a, float c):
    """Return True if vec_fma(a, a, c) is not 0 for a = 1 + e and c = -(1 + 2e): e^2 is left over."""
    cdef float result[LANES]
    vec_store(result, vec_fma(vec_fill(a), vec_fill(a), vec_fill(c)))
    return result[0] != 0


lanes = LANES                    # floats in a vec
block = BLOCK                    # channels in a depthwise block
panel = PANEL                    # the most columns in a packed panel
gemm_heights = tuple([gemm_rows(vecs + 1) for vecs in range(GEMM_VECS)])     # of tiles 1, 2 ... vecs wide
# Numbers out of texts, because the compiler would compute with constants by rules of its own.
has_fma = rounds_once(float("1.000244140625"), float("-1.00048828125"))
compiler = (<bytes>COMPILER_NAME).decode() + " " + (<bytes>COMPILER).decode()
flags = (<bytes>DSCONV_FLAGS).decode()
