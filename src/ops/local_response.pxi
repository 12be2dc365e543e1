# Local response normalisation over the channels of a pixel (AlexNet).
#
#   y[c] = x[c] / (gamma + alpha * sum of x[d]^2 over |d - c| <= mode / 2) ^ beta
#
# Loop nest:  for pixel: for channel: for its neighbours
#
# One element at a time, with a chain of multiply-adds in ascending order.

cdef double local_response_work(const StepData* s) noexcept:
    return output_floats(&s.g) * max(1, min(s.g.mode, s.g.c))


cdef void local_response_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef const float* x = s.x + strip.first * g.c
    cdef float* y = s.y + strip.first * g.c
    cdef Py_ssize_t p, c, d, half = g.mode // 2          # mode: the size of the window, odd
    cdef float total
    for p in range(strip.first, strip.last):
        for c in range(g.c):
            total = 0
            for d in range(max(0, c - half), min(g.c, c + half + 1)):
                total = float_fma(x[d], x[d], total)
            y[c] = x[c] / powf(float_fma(g.alpha, total, g.gamma), g.beta)
        x += g.c
        y += g.c


cdef Op* local_response = new_elementwise_op("local_response")
local_response.work = local_response_work
local_response.strip = local_response_strip
