# Product of two maps:  y = x * residual.  In mode 1 residual is one vector (c,) for each image.
#
# Loop nest:  for pixel: for channel

cdef double mul_second(const Geometry* g) noexcept:
    return g.c if g.mode == 1 else output_floats(g)


cdef void mul_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
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


cdef Op* mul = new_elementwise_op("mul")
mul.second = mul_second
mul.second_required = True
mul.strip = mul_strip
