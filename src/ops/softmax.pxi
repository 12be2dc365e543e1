# Softmax over the middle axis of (n * h, w, c).
#
#   y[i] = exp(x[i] - max over j of x[j]) / sum over j of exp(x[j] - max)
#
# Loop nest:  for row: for vec of channels: for i: the maximum; for i: subtract it
#             for vec of the list of all elements: exp
#             for row: for vec of channels: for i: the sum; for i: divide
#
# The channels that fill no vec are computed one by one, and so is a single channel. For exp it does
# not matter where a row ends, so its vecs are full whatever the number of channels.
#
# Each sum is one chain of additions in ascending order of i, so the bits depend on the numbers
# along the axis alone. NaN on it makes the sum NaN, and with it all results.

cdef void softmax_cut(StepData* s, int threads) noexcept nogil:
    cut_rows(s, threads, 1, s.g.n * s.g.h, s.g.w * s.g.c)


cdef void subtract_maxima(const float* x, float* y, Py_ssize_t size, Py_ssize_t channels) noexcept nogil:
    """Subtract from each channel of a row its maximum. NaN may be left out of it."""
    cdef Py_ssize_t c = 0, i
    cdef vec most
    cdef float one_most
    while c + LANES <= channels:
        most = vec_load(x + c)
        for i in range(1, size):
            most = vec_max(most, vec_load(x + i * channels + c))
        for i in range(size):
            vec_store(y + i * channels + c, vec_sub(vec_load(x + i * channels + c), most))
        c += LANES
    for c in range(c, channels):
        one_most = x[c]
        for i in range(1, size):
            one_most = max_nan(one_most, x[i * channels + c])
        for i in range(size):
            y[i * channels + c] = x[i * channels + c] - one_most


cdef void divide_by_sums(float* y, Py_ssize_t size, Py_ssize_t channels) noexcept nogil:
    """Divide each channel of a row by its sum."""
    cdef Py_ssize_t c = 0, i
    cdef vec total
    cdef float one_total
    while c + LANES <= channels:
        total = vec_fill(0)
        for i in range(size):
            total = vec_add(total, vec_load(y + i * channels + c))
        for i in range(size):
            vec_store(y + i * channels + c, vec_div(vec_load(y + i * channels + c), total))
        c += LANES
    for c in range(c, channels):
        one_total = 0
        for i in range(size):
            one_total += y[i * channels + c]
        for i in range(size):
            y[i * channels + c] = y[i * channels + c] / one_total


cdef void softmax_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef Py_ssize_t row, i = 0, floats = g.w * g.c, count = (strip.last - strip.first) * floats
    cdef const float* x = s.x + strip.first * floats
    cdef float* y = s.y + strip.first * floats
    for row in range(strip.last - strip.first):
        subtract_maxima(x + row * floats, y + row * floats, g.w, g.c)
    while i < count:
        vec_store_up_to(y + i, exponential(vec_load_up_to(y + i, count - i)), count - i)
        i += LANES
    for row in range(strip.last - strip.first):
        divide_by_sums(y + row * floats, g.w, g.c)


cdef Op* softmax = new_elementwise_op("softmax")
softmax.cut = softmax_cut
softmax.strip = softmax_strip
