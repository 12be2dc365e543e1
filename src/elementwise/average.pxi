# Global average pool: (n, h, w, c) -> (n, c), y[c] = (sum over pixels in order of x[p, c]) / (h * w).
#
# Loop nest:  for block of channels: for pixel: acc += x
#
# Two vecs of channels at a time, one chain of additions each.

cdef void average_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, ceil_div(g.c, BLOCK), 1)
    cdef Py_ssize_t pixels = g.h * g.w, block, c, p, left
    cdef const float* x
    cdef float* y = s.y + strip.image * g.c
    cdef float count = <float>pixels
    cdef vec low_half, high_half
    cdef float sums[2 * LANES]
    for block in range(strip.first, strip.last):
        c = block * BLOCK
        x = s.x + strip.image * pixels * g.c + c
        left = g.c - c
        low_half = high_half = vec_fill(0)
        if left >= BLOCK:
            for p in range(pixels):
                low_half = vec_add(low_half, vec_load(x))
                high_half = vec_add(high_half, vec_load(x + LANES))
                x += g.c
        else:
            for p in range(pixels):
                low_half = vec_add(low_half, vec_load_first(x, min(left, LANES)))
                if left > LANES:
                    high_half = vec_add(high_half, vec_load_first(x + LANES, left - LANES))
                x += g.c
        vec_store(sums, low_half)
        vec_store(sums + LANES, high_half)
        for p in range(min(left, BLOCK)):
            y[c + p] = min_nan(g.high, max_nan(g.low, sums[p] / count))
