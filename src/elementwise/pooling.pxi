# Max and average pooling, and the mean over a whole map.
#
#   max:      y[q, r, c] = max of x over the window's real pixels
#   average:  y[q, r, c] = (sum of x over the window's real pixels, row by row) / count
#   global:   y[c]       = (sum over all pixels in order of x[p, c]) / (h * w)
#
# Loop nest:  for pixel: for vec of channels: for tap: ...
#
# `count` is the number of real pixels; with mode 1 declared padding counts too, but never what a
# rounded-up output size reaches beyond it. NaN in a window gives NaN.

cdef inline vec vec_load_up_to(const float* p, Py_ssize_t left) noexcept nogil:
    return vec_load(p) if left >= LANES else vec_load_first(p, left)


cdef inline void vec_store_up_to(float* p, vec v, Py_ssize_t left) noexcept nogil:
    if left >= LANES:
        vec_store(p, v)
    else:
        vec_store_first(p, v, left)


cdef void pool_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, g.oh, 1)
    cdef const float* x = s.x + strip.image * g.h * g.w * g.c
    cdef float* y = s.y + (strip.image * g.oh + strip.first) * g.ow * g.c
    cdef Py_ssize_t q, r, i, j, c, top, left, count, first_i, last_i, first_j, last_j
    cdef vec acc
    for q in range(strip.first, strip.last):
        top = q * g.sh - g.top
        first_i = max(top, 0)
        last_i = min(top + g.kh, g.h)
        for r in range(g.ow):
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
                if s.op == OP_MAX_POOL:
                    acc = vec_load_up_to(x + (first_i * g.w + first_j) * g.c + c, g.c - c)
                for i in range(first_i, last_i):
                    for j in range(first_j, last_j):
                        if s.op == OP_MAX_POOL:
                            acc = vec_max_nan(
                                acc, vec_load_up_to(x + (i * g.w + j) * g.c + c, g.c - c))
                        else:
                            acc = vec_add(acc, vec_load_up_to(x + (i * g.w + j) * g.c + c, g.c - c))
                if s.op == OP_AVERAGE_POOL:
                    acc = vec_div(acc, vec_fill(<float>count))
                vec_store_up_to(y + c, acc, g.c - c)
                c += LANES
            y += g.c


cdef void global_average_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    """Two vecs of channels at a time, one chain of additions each."""
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, ceil_div(g.c, BLOCK), 1)
    cdef Py_ssize_t pixels = g.h * g.w, block, c, p, left
    cdef const float* x
    cdef float* y = s.y + strip.image * g.c
    cdef vec count = vec_fill(<float>pixels)
    cdef vec first_sum
    cdef vec second_sum
    for block in range(strip.first, strip.last):
        c = block * BLOCK
        x = s.x + strip.image * pixels * g.c + c
        left = g.c - c
        first_sum = vec_fill(0)
        second_sum = vec_fill(0)
        if left >= BLOCK:
            for p in range(pixels):
                first_sum = vec_add(first_sum, vec_load(x))
                second_sum = vec_add(second_sum, vec_load(x + LANES))
                x += g.c
        else:
            for p in range(pixels):
                first_sum = vec_add(first_sum, vec_load_up_to(x, left))
                if left > LANES:
                    second_sum = vec_add(second_sum, vec_load_first(x + LANES, left - LANES))
                x += g.c
        vec_store_up_to(y + c, vec_div(first_sum, count), left)
        if left > LANES:
            vec_store_up_to(y + c + LANES, vec_div(second_sum, count), left - LANES)
