# Layers that only move numbers: concat, split, channel shuffle, space to depth, transpose, pad.
#
# Each is one or more strided copies of up to five axes per image; pad sets its output to zero
# first.
#
#   y[to_shift + sum of i_a * y_strides[a]] = x[shift + sum of i_a * x_strides[a]]   for all i_a < size[a]
#
# Loop nest:  for i_0 .. i_3: a run of size[4] floats

cdef str span_error(str name, Axes size, Axes strides, double first, double floats):
    """Say that a copy reaches beyond its map, or return None."""
    cdef double last = first, reach
    cdef int i
    for i in range(5):
        if size.axis[i] < 1:
            return f"the axes of a copy must be at least 1 long, got {size.axis[i]} for axis {i}"
        reach = <double>(size.axis[i] - 1) * strides.axis[i]
        first += min(reach, 0)
        last += max(reach, 0)
    if 0 <= first and last < floats:
        return None
    return (f"a copy reaches beyond its map: floats {first:.0f} to {last + 1:.0f} of {name}, "
            f"which has {floats:.0f}")


cdef str copy_error(const StepData* s):
    """Say that a copy leaves its maps or is longer than what it writes, or return None."""
    cdef double copied = 1, written = output_floats(&s.g)
    cdef int i
    error = (span_error("x", s.size, s.x_strides, s.shift, <double>s.g.h * s.g.w * s.g.c)
             or span_error("y", s.size, s.y_strides, s.to_shift, written))
    if error:
        return error
    for i in range(5):
        copied *= s.size.axis[i]
    if copied > written:
        return f"a copy writes more floats than its map has, {copied:.0f} of {written:.0f}"
    return None


cdef void copy_cut(StepData* s, int threads) noexcept nogil:
    cut_rows(s, threads, s.g.n, s.size.axis[0], 1)


cdef void copy_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef const Axes* to = &s.y_strides
    cdef const Axes* origin = &s.x_strides
    cdef Strip strip = locate(s, index)
    cdef const float* x = s.x + strip.image * g.h * g.w * g.c + s.shift
    cdef float* y = s.y + strip.image * g.oh * g.ow * g.oc + s.to_shift
    cdef const float* run
    cdef float* target
    cdef Py_ssize_t a, b, c, d, e
    for a in range(strip.first, strip.last):
        for b in range(s.size.axis[1]):
            for c in range(s.size.axis[2]):
                for d in range(s.size.axis[3]):
                    run = x + (a * origin.axis[0] + b * origin.axis[1]
                               + c * origin.axis[2] + d * origin.axis[3])
                    target = y + (a * to.axis[0] + b * to.axis[1] + c * to.axis[2] + d * to.axis[3])
                    if origin.axis[4] == 1 and to.axis[4] == 1:
                        memmove(target, run, 4 * s.size.axis[4])   # a file may have them overlap
                    else:
                        for e in range(s.size.axis[4]):
                            target[e * to.axis[4]] = run[e * origin.axis[4]]


cdef str zero_error(const StepData* s):
    """Return None, because any input will do: it is not read."""
    return None


cdef void zero_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    """Set output rows to zero, as pad begins."""
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    memset(s.y + (strip.image * g.oh + strip.first) * g.ow * g.oc, 0,
           4 * (strip.last - strip.first) * g.ow * g.oc)


cdef Op* copy = new_op("copy")
copy.by_layout = True
copy.error = copy_error
copy.cut = copy_cut
copy.strip = copy_strip

cdef Op* zero = new_op("zero")
zero.error = zero_error
zero.cut = cut_output_rows
zero.strip = zero_strip
