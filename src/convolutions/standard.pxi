# Standard convolution, grouped and dilated ones included, with nothing gathered.
#
#   y[q, r, o] = clamp(bias[o] + residual[q, r, o]
#       + sum over (i, j, c) of x[q * sh + i * dh - top, r * sw + j * dw - left, c] * w[i, j, c, o])
#
# Loop nest:  copy the window; for group: for panel of weights: for tile of pixels: for segment: for k
#
# In NHWC the patch of one kernel row is KW * C contiguous floats, so a KH x KW convolution is KH
# segments of the GEMM tile over overlapping rows (with dilation or groups: KH * KW segments of
# C / groups floats). Borders: the few input rows that a strip needs are copied once into a window
# with zeros around; without padding the input itself serves.
#
#     window of a strip:   | 0 | x[y, 0] x[y, 1] ... x[y, W-1] | 0 |     rows: (last - 1 - first) * sh
#                          | 0 | ...                           | 0 |           + (KH - 1) * dh + 1
#
# Packed weights of groups lie one after the other, each in panels of its own; so do the biases, each
# filled up with zeros to whole vecs.

cdef inline Py_ssize_t padded_width(const Geometry* g) noexcept nogil:
    """Columns of a window row: all that the taps of the last output pixel reach."""
    return max((g.ow - 1) * g.sw + (g.kw - 1) * g.dw + 1, g.left + g.w)


cdef inline Py_ssize_t window_rows(const Geometry* g, Py_ssize_t rows) noexcept nogil:
    """Input rows under `rows` output rows."""
    return (rows - 1) * g.sh + (g.kh - 1) * g.dh + 1


cdef void copy_window(
    const Geometry* g, const float* x, Py_ssize_t first, Py_ssize_t rows, float* window
) noexcept nogil:
    """The input rows under output rows first .. first + rows, with zeros where the map ends."""
    cdef Py_ssize_t i, y, width = padded_width(g)
    cdef size_t left = 4 * g.left * g.c, middle = 4 * g.w * g.c
    cdef size_t right = 4 * (width - g.left - g.w) * g.c
    for i in range(window_rows(g, rows)):
        y = first * g.sh - g.top + i
        if 0 <= y < g.h:
            memset(window, 0, left)
            memcpy(window + g.left * g.c, x + y * g.w * g.c, middle)
            memset(window + (g.left + g.w) * g.c, 0, right)
        else:
            memset(window, 0, 4 * width * g.c)
        window += width * g.c


cdef void standard_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t group_in = g.c // g.groups, group_out = g.oc // g.groups
    cdef Py_ssize_t group_panels = ceil_div(group_out, BLOCK)
    cdef Strip strip = locate(s, index, g.oh, g.groups * group_panels)
    cdef Py_ssize_t rows = strip.last - strip.first, count = rows * g.ow
    cdef Py_ssize_t width = padded_width(g) if g.padded else g.w
    cdef Py_ssize_t* segment = <Py_ssize_t*>scratch
    cdef const float** pixels = <const float**>(segment + g.kh * g.kw)
    cdef const float* x = s.x + strip.image * g.h * g.w * g.c
    cdef const float* window
    cdef Py_ssize_t i, j, group, at, packed_group, padded_out
    cdef Panel t
    if g.padded:
        window = scratch + round_up(2 * (g.kh * g.kw + count), 16)
        copy_window(g, x, strip.first, rows, <float*>window)
    else:
        window = x + strip.first * g.sh * width * g.c
    t.after = weights_after(s, index)
    t.segment = segment
    if g.dw == 1 and g.groups == 1:
        t.segments = g.kh
        t.length = g.kw * g.c
        for i in range(g.kh):
            segment[i] = i * g.dh * width * g.c
    else:
        t.segments = g.kh * g.kw
        t.length = group_in
        for i in range(g.kh):
            for j in range(g.kw):
                segment[i * g.kw + j] = (i * g.dh * width + j * g.dw) * g.c
    t.ldc = g.oc
    t.low = g.low
    t.high = g.high
    padded_out = round_up(group_out, LANES)
    packed_group = t.segments * t.length * padded_out
    for group in range(g.groups):
        if strip.last_panel <= group * group_panels or strip.first_panel >= (group + 1) * group_panels:
            continue
        for i in range(rows):
            for j in range(g.ow):
                pixels[i * g.ow + j] = (
                    window + (i * g.sh * width + j * g.sw) * g.c + group * group_in)
        at = (strip.image * g.oh + strip.first) * g.ow * g.oc + group * group_out
        gemm_panels(
            &t, pixels, count, s.weight + group * packed_group, s.bias + group * padded_out,
            NULL if s.residual == NULL else s.residual + at, s.y + at, group_out,
            max(0, strip.first_panel - group * group_panels),
            min(group_panels, strip.last_panel - group * group_panels))
