# Sum of two maps:  y = clamp(x + residual)
#
# Loop nest:  for vec of the list of all elements

cdef void add_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef Py_ssize_t i = strip.first * g.c, last = strip.last * g.c
    cdef vec low = vec_fill(g.low), high = vec_fill(g.high)
    while i + LANES <= last:
        vec_store(s.y + i, vec_min(high, vec_max(low, vec_add(
            vec_load(s.x + i), vec_load(s.residual + i)))))
        i += LANES
    if i < last:
        vec_store_first(s.y + i, vec_min(high, vec_max(low, vec_add(
            vec_load_first(s.x + i, last - i), vec_load_first(s.residual + i, last - i)))), last - i)


cdef Op* add = new_elementwise_op("add")
add.second = output_floats
add.second_required = True
add.strip = add_strip
