# Max and average pooling.
#
#   max:      y[q, r, c] = max of x over the window's real pixels
#   average:  y[q, r, c] = (sum of x over the window's real pixels, row by row) / count
#
# Loop nest:  for pixel: for vec of channels: for tap of the window
#
# `count` is the number of real pixels. In mode 1 the padding counts too, but not what the last
# window covers beyond it where the output size was rounded up. NaN in a window gives NaN.

cdef str pool_axis_error(
    str axis, Py_ssize_t size, Py_ssize_t kernel, Py_ssize_t stride, Py_ssize_t before, Py_ssize_t found
):
    """Say that a window has no pixel of the map on an axis, or return None."""
    if before < kernel and <double>(found - 1) * stride < size + before:
        return None
    return (f"{axis} {size}, kernel {kernel}, stride {stride}, padding {before} in front give windows "
            f"outside of the map for {found} outputs")


cdef str pool_error(const StepData* s):
    """Say which axis does not fit, or return None.

    Every window must have a pixel of the map. The last one may reach beyond the padding, because
    the output size may be rounded up.
    """
    cdef const Geometry* g = &s.g
    return (proportion_error(g) or same_error("channels", g.c, g.oc)
            or pool_axis_error("height", g.h, g.kh, g.sh, g.top, g.oh)
            or pool_axis_error("width", g.w, g.kw, g.sw, g.left, g.ow))


cdef double pool_work(const StepData* s) noexcept:
    """Return the taps of all windows that lie within the map."""
    return output_floats(&s.g) * min(s.g.kh, s.g.h) * min(s.g.kw, s.g.w)


cdef void pool_cut(StepData* s, int threads) noexcept nogil:
    """Cut output pixels, because a single row may have windows of any size."""
    cdef const Geometry* g = &s.g
    cut_rows(s, threads, g.n, g.oh * g.ow, g.c * min(g.kh, g.h) * min(g.kw, g.w))


cdef inline INLINE_VOID pool_strip(bint maximum, const StepData* s, Py_ssize_t index) noexcept nogil:
    """Compute a strip of either kind; all callers pass a constant for `maximum`."""
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef const float* x = s.x + strip.image * g.h * g.w * g.c
    cdef float* y = s.y + (strip.image * g.oh * g.ow + strip.first) * g.c
    cdef Py_ssize_t q = strip.first // g.ow, r = strip.first % g.ow         # row and column of the pixel
    cdef Py_ssize_t pixel, i, j, c, top, left, count, first_i, last_i, first_j, last_j
    cdef vec acc
    for pixel in range(strip.first, strip.last):
        top = q * g.sh - g.top
        first_i = max(top, 0)
        last_i = min(top + g.kh, g.h)
        left = r * g.sw - g.left
        first_j = max(left, 0)
        last_j = min(left + g.kw, g.w)
        count = (last_i - first_i) * (last_j - first_j)
        if g.mode:
            count = (min(top + g.kh, g.h + g.bottom) - top) * (
                min(left + g.kw, g.w + g.right) - left)
        c = 0
        while c < g.c:
            acc = vec_fill(0)
            if maximum:
                acc = vec_load_up_to(x + (first_i * g.w + first_j) * g.c + c, g.c - c)
            for i in range(first_i, last_i):
                for j in range(first_j, last_j):
                    if maximum:
                        acc = vec_max_nan(
                            acc, vec_load_up_to(x + (i * g.w + j) * g.c + c, g.c - c))
                    else:
                        acc = vec_add(acc, vec_load_up_to(x + (i * g.w + j) * g.c + c, g.c - c))
            if not maximum:
                acc = vec_div(acc, vec_fill(<float>count))
            vec_store_up_to(y + c, acc, g.c - c)
            c += LANES
        y += g.c
        r += 1                  # a division for each pixel would take as long as its window
        if r == g.ow:
            q, r = q + 1, 0


cdef void average_pool_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    pool_strip(False, s, index)


cdef void max_pool_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    pool_strip(True, s, index)


cdef Op* average_pool = new_op("average_pool")
average_pool.error = pool_error
average_pool.work = pool_work
average_pool.cut = pool_cut
average_pool.strip = average_pool_strip

cdef Op* max_pool = new_op("max_pool")
max_pool.error = pool_error
max_pool.work = pool_work
max_pool.cut = pool_cut
max_pool.strip = max_pool_strip
