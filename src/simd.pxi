# What the kernels use of simd.h.

cdef extern from "simd.h" nogil:
    enum: LANES                   # floats in a vec
    enum: BLOCK                   # channels of a depthwise block: two vecs
    enum: PANEL                   # the most columns of a packed panel
    enum: GEMM_VECS               # vecs of such a panel
    enum: GEMM_ROWS_1             # pixels of a GEMM tile one vec wide, and so on
    enum: GEMM_ROWS_2
    enum: GEMM_ROWS_3
    enum: GEMM_ROWS_4
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
    enum: HAS_MASKS               # 1 if the functions below need no copy
    vec vec_load_last(const float* p, Py_ssize_t count)
    void vec_store_last(float* p, vec v, Py_ssize_t count)
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
    vec vec_if_negative(vec v, vec a, vec b)
    vec vec_power_of_two(vec n)
    vec vec_max_nan(vec a, vec b)
    vec vec_max(vec low, vec v)
    vec vec_min(vec high, vec v)
    Py_ssize_t quotient(Py_ssize_t a, Py_ssize_t b)
    void prefetch(const void* p)
    const float* pointer_again(const float* const* p)
