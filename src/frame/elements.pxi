# What ops without products share: checks, cuts, vecs at the end of a map, clamps that keep NaN.

cdef Op* new_elementwise_op(str name):
    """Enter an op that computes each element of its output from that of its input."""
    cdef Op* op = new_op(name)
    op.error = same_shape_error
    op.cut = cut_pixels
    return op


cdef str same_error(str axis, Py_ssize_t size, Py_ssize_t found):
    """Say that input and output differ on an axis where they must not, or return None."""
    return None if size == found else f"{axis} {size} must stay the same, got {found} in the output"


cdef str same_shape_error(const StepData* s):
    """Say on which axis the output differs from the input, or return None."""
    return (same_error("height", s.g.h, s.g.oh) or same_error("width", s.g.w, s.g.ow)
            or same_error("channels", s.g.c, s.g.oc))


cdef void cut_pixels(StepData* s, int threads) noexcept nogil:
    """Cut the pixels of all images as one list."""
    cut_rows(s, threads, 1, s.g.n * s.g.h * s.g.w, 4 * s.g.c)


cdef void cut_output_rows(StepData* s, int threads) noexcept nogil:
    """Cut the output rows of each image."""
    cut_rows(s, threads, s.g.n, s.g.oh, s.g.ow * s.g.oc)


cdef inline vec vec_load_up_to(const float* p, Py_ssize_t left) noexcept nogil:
    """Load a vec of which `left` floats exist; what is missing is zero."""
    return vec_load(p) if left >= LANES else vec_load_first(p, left)


cdef inline void vec_store_up_to(float* p, vec v, Py_ssize_t left) noexcept nogil:
    if left >= LANES:
        vec_store(p, v)
    else:
        vec_store_first(p, v, left)


cdef inline float max_nan(float low, float v) noexcept nogil:
    """Return max(low, v); NaN stays NaN."""
    return low if v < low else v
