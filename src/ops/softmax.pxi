# Softmax over the middle axis of (n * h, w, c).
#
#   y[i] = exp(x[i] - max over j of x[j]) / sum over j of exp(x[j] - max)
#
# Loop nest:  for row: for channel: for i: the maximum; for i: the sum; for i: divide

cdef void softmax_cut(StepData* s, int threads) noexcept nogil:
    cut_rows(s, threads, 1, s.g.n * s.g.h, 1)


cdef void softmax_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
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


cdef Op* softmax = new_elementwise_op("softmax")
softmax.cut = softmax_cut
softmax.strip = softmax_strip
