# L2 normalisation over the channels of a pixel.
#
#   y[c] = weight[c] * x[c] / sqrt(sum over d of x[d]^2 + alpha)
#
# Loop nest:  for pixel: for channel; once more to divide
#
# One element at a time, with a chain of multiply-adds in ascending order.

cdef Sizes l2_weigh(const Geometry* g) noexcept:
    cdef Sizes sizes = no_weights(g)
    sizes.weight = filled(g.c, LANES)
    return sizes


cdef void l2_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef const float* x = s.x + strip.first * g.c
    cdef float* y = s.y + strip.first * g.c
    cdef Py_ssize_t p, c
    cdef float total
    for p in range(strip.first, strip.last):
        total = 0
        for c in range(g.c):
            total = float_fma(x[c], x[c], total)
        total = sqrtf(total + g.alpha)
        for c in range(g.c):
            y[c] = s.weight[c] * (x[c] / total)
        x += g.c
        y += g.c


cdef Op* l2 = new_elementwise_op("l2")
l2.weigh = l2_weigh
l2.strip = l2_strip
