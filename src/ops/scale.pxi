# Scale and shift per channel:  y = clamp(x * weight[c] + bias[c])
#
# Batch norm is weight = gamma / sqrt(variance + epsilon), bias = beta - mean * weight.
#
# Loop nest:  for pixel: for vec of channels

cdef Sizes scale_weigh(const Geometry* g) noexcept:
    cdef Sizes sizes = no_weights(g)
    sizes.weight = sizes.bias = filled(g.c, LANES)
    return sizes


cdef void scale_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef Py_ssize_t p, c
    cdef const float* x = s.x + strip.first * g.c
    cdef float* y = s.y + strip.first * g.c
    cdef vec low = vec_fill(g.low), high = vec_fill(g.high)
    for p in range(strip.first, strip.last):
        c = 0
        while c < g.c:
            vec_store_up_to(y + c, vec_min(high, vec_max(low, vec_fma(
                vec_load_up_to(x + c, g.c - c), vec_load(s.weight + c), vec_load(s.bias + c)))), g.c - c)
            c += LANES
        x += g.c
        y += g.c


cdef Op* scale = new_elementwise_op("scale")
scale.weigh = scale_weigh
scale.strip = scale_strip
