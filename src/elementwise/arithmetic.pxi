# Elementwise layers over (n * h * w, c) in one pass: sum, product, and scale and shift per channel.
#
#   add:    y = clamp(x + residual)
#   mul:    y = x * residual; mode 1: residual is one vector (c,) for each image
#   scale:  y = clamp(x * weight[c] + bias[c])      (batch norm: weight = gamma / sqrt(variance + epsilon))
#
# Loop nest:  for pixel: for vec of channels        (add: one list of elements)

cdef inline float max_nan(float low, float v) noexcept nogil:
    """max(low, v); NaN stays NaN."""
    return low if v < low else v


cdef inline float min_nan(float high, float v) noexcept nogil:
    return high if v > high else v


cdef void add_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, g.n * g.h * g.w, 1)
    cdef Py_ssize_t i = strip.first * g.c, last = strip.last * g.c
    cdef vec low = vec_fill(g.low), high = vec_fill(g.high)
    while i + LANES <= last:
        vec_store(s.y + i, vec_min(high, vec_max(low, vec_add(
            vec_load(s.x + i), vec_load(s.residual + i)))))
        i += LANES
    if i < last:
        vec_store_first(s.y + i, vec_min(high, vec_max(low, vec_add(
            vec_load_first(s.x + i, last - i), vec_load_first(s.residual + i, last - i)))), last - i)


cdef void scale_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, g.n * g.h * g.w, 1)
    cdef Py_ssize_t p, c, left
    cdef const float* x = s.x + strip.first * g.c
    cdef float* y = s.y + strip.first * g.c
    cdef vec low = vec_fill(g.low), high = vec_fill(g.high)
    for p in range(strip.first, strip.last):
        c = 0
        while c < g.c:
            left = g.c - c
            if left >= LANES:
                vec_store(y + c, vec_min(high, vec_max(low, vec_fma(
                    vec_load(x + c), vec_load(s.weight + c), vec_load(s.bias + c)))))
            else:
                vec_store_first(y + c, vec_min(high, vec_max(low, vec_fma(
                    vec_load_first(x + c, left), vec_load(s.weight + c), vec_load(s.bias + c)))), left)
            c += LANES
        x += g.c
        y += g.c


cdef void mul_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, g.n * g.h * g.w, 1)
    cdef Py_ssize_t p, c
    cdef const float* x = s.x + strip.first * g.c
    cdef const float* factor
    cdef float* y = s.y + strip.first * g.c
    for p in range(strip.first, strip.last):
        factor = s.residual + (p // (g.h * g.w) if g.mode == 1 else p) * g.c
        for c in range(g.c):
            y[c] = x[c] * factor[c]
        x += g.c
        y += g.c
