# Mean over all pixels of a map:  y[c] = (sum over p in order of x[p, c]) / (h * w)
#
# Loop nest:  for block of channels: for pixel: two vecs of channels, one chain of additions each

cdef str global_average_error(const StepData* s):
    if s.g.oh != 1 or s.g.ow != 1:
        return f"the output must have 1 x 1 pixels, got {s.g.oh} x {s.g.ow}"
    return same_error("channels", s.g.c, s.g.oc)


cdef void global_average_cut(StepData* s, int threads) noexcept nogil:
    """Cut the blocks of channels of each image."""
    cut_rows(s, threads, s.g.n, ceil_div(s.g.c, BLOCK), 1)


cdef void global_average_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
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


cdef Op* global_average = new_op("global_average")
global_average.error = global_average_error
global_average.cut = global_average_cut
global_average.strip = global_average_strip
