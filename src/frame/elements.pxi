# What ops that compute elements one by one share: vecs at the end of a map, and clamps that keep
# NaN.

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


cdef inline float min_nan(float high, float v) noexcept nogil:
    return high if v > high else v
