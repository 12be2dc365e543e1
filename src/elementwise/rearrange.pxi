# Layers that only move numbers: concat, split, channel shuffle, space to depth, transpose, pad.
#
# Each is one strided copy of up to five axes per image:
#
#   y[sum of i_a * y_strides[a]] = x[sum of i_a * x_strides[a]]      for all i_a < size[a]
#
# Loop nest:  for i_0 .. i_3: a run of size[4] floats

cdef void copy_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef const Axes* to = &s.y_strides
    cdef const Axes* origin = &s.x_strides
    cdef Strip strip = locate(s, index, s.size.axis[0], 1)
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


cdef void zero_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    """What `pad` begins with: the whole output is zero."""
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, g.oh, 1)
    memset(s.y + (strip.image * g.oh + strip.first) * g.ow * g.oc, 0,
           4 * (strip.last - strip.first) * g.ow * g.oc)
