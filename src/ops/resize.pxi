# Bilinear resize: y = lerp over rows of (lerp over columns), each output pixel from four inputs.
#
#   source position of output pixel q:   mode 0, align corners:  q * (h - 1) / (oh - 1)
#                                        mode 1, half pixel:     (q + 0.5) * h / oh - 0.5, within the map
#
# Loop nest:  for output pixel: for vec of channels

cdef str resize_error(const StepData* s):
    return same_error("channels", s.g.c, s.g.oc)


cdef inline double source_position(Py_ssize_t q, Py_ssize_t size, Py_ssize_t out, int mode) noexcept nogil:
    """Return where output pixel q lies on an axis of the input."""
    if mode == 1:
        return min(max(0.0, (q + 0.5) * size / out - 0.5), size - 1.0)
    return <double>q * (size - 1) / (out - 1) if out > 1 else 0.0


cdef inline vec lerp(vec a, vec b, float t) noexcept nogil:
    """Return a * (1 - t) + b * t, which is exact at both ends."""
    return vec_fma_scalar(t, b, vec_mul(vec_fill(1 - t), a))


cdef void resize_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef const float* x = s.x + strip.image * g.h * g.w * g.c
    cdef const float* a
    cdef const float* b
    cdef float* y = s.y + (strip.image * g.oh + strip.first) * g.ow * g.c
    cdef Py_ssize_t q, r, c, i, j, down, right
    cdef double position
    cdef float v, w
    cdef vec upper
    cdef vec lower
    for q in range(strip.first, strip.last):
        position = source_position(q, g.h, g.oh, g.mode)
        i = min(<Py_ssize_t>position, g.h - 1)
        v = <float>(position - i)
        down = g.w * g.c if i + 1 < g.h else 0
        for r in range(g.ow):
            position = source_position(r, g.w, g.ow, g.mode)
            j = min(<Py_ssize_t>position, g.w - 1)
            w = <float>(position - j)
            right = g.c if j + 1 < g.w else 0
            a = x + (i * g.w + j) * g.c
            b = a + down
            c = 0
            while c < g.c:
                upper = lerp(vec_load_up_to(a + c, g.c - c), vec_load_up_to(a + right + c, g.c - c), w)
                lower = lerp(vec_load_up_to(b + c, g.c - c), vec_load_up_to(b + right + c, g.c - c), w)
                vec_store_up_to(y + c, lerp(upper, lower, v), g.c - c)
                c += LANES
            y += g.c


cdef Op* resize = new_op("resize")
resize.error = resize_error
resize.cut = cut_output_rows
resize.strip = resize_strip
