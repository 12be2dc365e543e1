# Normalisations over the channels of a pixel, and softmax.
#
#   local response:  y[c] = x[c] / (bias + alpha * sum of x[d]^2 over |d - c| <= size / 2) ^ beta
#   L2:              y[c] = scale[c] * x[c] / sqrt(sum over d of x[d]^2 + epsilon)
#   softmax:         y[i] = exp(x[i] - max) / sum over j of exp(x[j] - max)
#
# Loop nest:  for pixel: for channel (local response: for its neighbours; others: once more to divide)
#
# One element at a time with chains of fused multiply-adds in ascending order: a few per cent of the oldest networks' time.

cdef void local_response_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, g.n * g.h * g.w, 1)
    cdef const float* x = s.x + strip.first * g.c
    cdef float* y = s.y + strip.first * g.c
    cdef Py_ssize_t p, c, d, half = g.mode // 2          # mode: size of the window, odd
    cdef float total
    for p in range(strip.first, strip.last):
        for c in range(g.c):
            total = 0
            for d in range(max(0, c - half), min(g.c, c + half + 1)):
                total = float_fma(x[d], x[d], total)
            y[c] = x[c] / powf(float_fma(g.alpha, total, g.gamma), g.beta)
        x += g.c
        y += g.c


cdef void l2_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, g.n * g.h * g.w, 1)
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


cdef void softmax_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    """Over the middle axis of (n * h, w, c)."""
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, g.n * g.h, 1)
    cdef Py_ssize_t outer, i, c
    cdef const float* x
    cdef float* y
    cdef float most, total
    for outer in range(strip.first, strip.last):
        for c in range(g.c):
            x = s.x + outer * g.w * g.c + c
            y = s.y + outer * g.w * g.c + c
            most = x[0]
            total = 0
            for i in range(g.w):
                most = max_nan(most, x[i * g.c])
            for i in range(g.w):
                y[i * g.c] = expf(x[i * g.c] - most)
                total += y[i * g.c]
            for i in range(g.w):
                y[i * g.c] = y[i * g.c] / total
