# Standard convolution, grouped and dilated ones included, with nothing gathered.
#
#   y[q, r, o] = clamp(bias[o] + residual[q, r, o]
#       + sum over (i, j, c) of x[q * sh + i * dh - top, r * sw + j * dw - left, c] * w[i, j, c, o])
#
# Loop nest:  copy the window; for group: for panel of weights: for tile of pixels: for segment: for k
#
# In NHWC the patch of one kernel row is KW * C contiguous floats. So a KH x KW convolution is KH
# segments of the GEMM tile over overlapping rows; with dilation or groups it is KH * KW segments
# of C / groups floats. With padding, the few input rows that a strip needs are copied once into a
# window with zeros around them; without padding the input itself serves as the window.
#
#     window of a strip:   | 0 | x[y, 0] x[y, 1] ... x[y, W-1] | 0 |     rows: (last - 1 - first) * sh
#                          | 0 | ...                           | 0 |           + (KH - 1) * dh + 1
#
# The packed weights of the groups lie one after the other, each in panels of its own. So do the
# biases, each filled up with zeros to whole vecs.

cdef str standard_error(const StepData* s):
    cdef const Geometry* g = &s.g
    for name, channels in (("input", g.c), ("output", g.oc)):
        if channels % g.groups:
            return f"{g.groups} groups must divide the {name} channels, got {channels}"
    return proportion_error(g) or window_error(g)


cdef Sizes standard_weigh(const Geometry* g) noexcept:
    cdef Sizes sizes = no_weights(g)
    sizes.bias = g.groups * filled(g.oc // g.groups, LANES)
    sizes.weight = <double>g.kh * g.kw * (g.c // g.groups) * sizes.bias
    return sizes


cdef inline Py_ssize_t group_panels(const Geometry* g) noexcept nogil:
    return ceil_div(g.oc // g.groups, PANEL)


cdef void standard_cut(StepData* s, int threads) noexcept nogil:
    cdef const Geometry* g = &s.g
    cut_rows(s, threads, g.n, g.oh, g.sh * padded_width(g) * g.c, g.groups * group_panels(g))


cdef Py_ssize_t standard_scratch(const StepData* s, Py_ssize_t rows) noexcept nogil:
    """Return the floats of segments and pixel pointers, and of the window where there is padding."""
    cdef const Geometry* g = &s.g
    return round_up(2 * (g.kh * g.kw + rows * g.ow), 16) + (
        window_rows(g, rows) * padded_width(g) * g.c if padded(g) else 0)


cdef void copy_window(
    const Geometry* g, const float* x, Py_ssize_t first, Py_ssize_t rows, float* window
) noexcept nogil:
    """Copy the input rows under output rows first .. first + rows, with zeros where the map ends."""
    # x: (H, W, C) -> window: (window_rows, padded_width, C)
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
    cdef Strip strip = locate(s, index)
    cdef Py_ssize_t group_in = g.c // g.groups, group_out = g.oc // g.groups, panels = group_panels(g)
    cdef Py_ssize_t rows = strip.last - strip.first, count = rows * g.ow
    cdef Py_ssize_t width = padded_width(g) if padded(g) else g.w
    cdef Py_ssize_t* segment = <Py_ssize_t*>scratch                          # (segments,)
    cdef const float** pixels = <const float**>(segment + g.kh * g.kw)       # (count,)
    cdef const float* x = s.x + strip.image * g.h * g.w * g.c
    cdef const float* window
    cdef Py_ssize_t i, j, group, at, packed_group, padded_out = round_up(group_out, LANES)
    cdef GemmJob t
    cdef Panels p
    p.columns = share_columns(group_out, GEMM_VECS)
    if padded(g):
        window = scratch + round_up(2 * (g.kh * g.kw + count), 16)
        copy_window(g, x, strip.first, rows, <float*>window)
    else:
        window = x + strip.first * g.sh * width * g.c
    if g.dw == 1 and g.groups == 1:
        t.segments, t.length = g.kh, g.kw * g.c
        for i in range(g.kh):
            segment[i] = i * g.dh * width * g.c
    else:
        t.segments, t.length = g.kh * g.kw, group_in
        for i in range(g.kh):
            for j in range(g.kw):
                segment[i * g.kw + j] = (i * g.dh * width + j * g.dw) * g.c
    t.pixel, t.segment, t.ldc, t.low, t.high = pixels, segment, g.oc, g.low, g.high
    t.far = is_far(g)
    p.after = weights_after(s, index)
    packed_group = t.segments * t.length * padded_out
    for group in range(g.groups):
        p.first = max(0, strip.first_panel - group * panels)
        p.last = min(panels, strip.last_panel - group * panels)
        if p.first >= p.last:
            continue
        for i in range(rows):
            for j in range(g.ow):
                pixels[i * g.ow + j] = (
                    window + (i * g.sh * width + j * g.sw) * g.c + group * group_in)
        at = (strip.image * g.oh + strip.first) * g.ow * g.oc + group * group_out + (
            first_column(&p.columns, p.first))
        t.residual = NULL if s.residual == NULL else s.residual + at
        t.c = s.y + at
        p.weight = s.weight + group * packed_group
        p.bias = s.bias + group * padded_out
        gemm_panels(&t, count, &p)


cdef Op* standard = new_convolution("standard", convolution_mult_adds)
standard.error = standard_error
standard.weigh = standard_weigh
standard.second = output_floats
standard.cut = standard_cut
standard.scratch = standard_scratch
standard.strip = standard_strip
