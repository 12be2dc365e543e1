# What the kernels use of simd.h.

cdef extern from "simd.h" nogil:
    enum: LANES                   # floats in a vec
    enum: BLOCK                   # channels of a packed panel: two vecs
    enum: GEMM_ROWS               # pixels of a GEMM tile two vecs wide
    enum: GEMM_ROWS_NARROW        # pixels of a GEMM tile one vec wide
    enum: DEPTHWISE_PIXELS
    enum: DEPTHWISE_VECS
    ctypedef void INLINE_VOID
    ctypedef void NOINLINE_VOID
    ctypedef struct vec:
        pass
    vec vec_load(const float* p)
    void vec_store(float* p, vec v)
    vec vec_load_first(const float* p, Py_ssize_t count)
    void vec_store_first(float* p, vec v, Py_ssize_t count)
    void copy_rows(
        float* to, Py_ssize_t to_pitch, const float* origin, Py_ssize_t from_pitch,
        Py_ssize_t rows, Py_ssize_t count)
    vec vec_fill(float a)
    vec vec_fma(vec a, vec b, vec c)
    vec vec_fma_scalar(float a, vec b, vec c)
    float float_fma(float a, float b, float c)
    vec vec_add(vec a, vec b)
    vec vec_sub(vec a, vec b)
    vec vec_mul(vec a, vec b)
    vec vec_div(vec a, vec b)
    vec vec_max_nan(vec a, vec b)
    vec vec_max(vec low, vec v)
    vec vec_min(vec high, vec v)
    void prefetch(const void* p)
