# Inverted residual in one pass: the expanded map, six times the input, never exists in memory.
#
#   y = clamp(bias + project(clamp(depthwise(clamp(expand(x))))) + residual)
#
# Loop nest:  for panel of expanded channels: for output row: (expand the input rows that are new)
#                                             depthwise row -> columns of the middle buffer
#             then the middle buffer against the panels of the projection
#
# One panel of the expansion is one block of the depthwise, so the GEMM tile writes straight into
# the window that the depthwise tile reads. Like that of the depthwise convolution it is a ring of
# the rows under one output row, for BLOCK channels; it stays in the L1 cache (block 2 of V2, AVX2:
# 808 -> 760 us).
#
#     ring of (KH - 1) * dh + 1 rows:   | 0 | W pixels x BLOCK | 0 |      zero row: | 0 ... 0 |
#     middle, (pixels of the strip, hidden): the A of the projection
#
# The rows where two strips meet are expanded twice, so strips are as tall as the cache allows. Where
# several threads share a small map, they expand shares of the channels instead, and meet before the
# projection. Rows shorter than two tiles are all expanded in one piece and then moved into the window:
# 7 pixels would be tiles of 4 and 3 (7 x 7 x 160, AVX2: 82 -> 94 % of the peak).

cdef inline bint narrow(const Geometry* g) noexcept nogil:
    return g.w < 2 * GEMM_ROWS


cdef inline Py_ssize_t front_scratch(const Geometry* g, Py_ssize_t rows) noexcept nogil:
    """Floats of ring, zero row, row pointers, pixel pointers and, for narrow maps, one panel."""
    cdef Py_ssize_t inputs = window_rows(g, rows)
    return (
        (ring_rows(g) + 1) * padded_width(g) * BLOCK + round_up(2 * g.kh, 16)
        + round_up(2 * inputs * g.w, 16) + (inputs * g.w * BLOCK if narrow(g) else 0))


cdef inline Py_ssize_t inverted_scratch(const Geometry* g, Py_ssize_t rows) noexcept nogil:
    return front_scratch(g, rows) + round_up(rows * g.ow * g.hidden, 16) + 2 * rows * g.ow


cdef void expand_and_filter(
    const StepData* s, Py_ssize_t image, Py_ssize_t first_row, Py_ssize_t last_row,
    Py_ssize_t first_panel, Py_ssize_t last_panel, float* middle, float* scratch,
) noexcept nogil:
    """Expansion and depthwise stage of some output rows and some panels of hidden channels.

    middle: (rows * OW, hidden), of which the panels' columns are written.
    """
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t ring = ring_rows(g), width = padded_width(g) * BLOCK
    cdef Py_ssize_t first = max(0, first_row * g.sh - g.top)        # input rows of the strip
    cdef Py_ssize_t last = min(g.h, first_row * g.sh - g.top + window_rows(g, last_row - first_row))
    cdef Py_ssize_t segment = 0, panel, i, oy, y, ready
    cdef float* zero = scratch + ring * width
    cdef const float** row = <const float**>(zero + width)
    cdef const float** pixels = <const float**>(<float*>row + round_up(2 * g.kh, 16))
    cdef float* piece = <float*>pixels + round_up(2 * window_rows(g, last_row - first_row) * g.w, 16)
    cdef const float* x = s.x + image * g.h * g.w * g.c
    cdef float* to
    cdef DepthwiseRow r
    cdef Panel t
    memset(scratch, 0, 4 * (ring + 1) * width)
    for i in range((last - first) * g.w):
        pixels[i] = x + (first * g.w + i) * g.c
    t.segment = &segment
    t.segments = 1
    t.length = g.c
    t.ldc = BLOCK
    t.low = g.in_low
    t.high = g.in_high
    r.row = row
    r.pitch = g.hidden
    r.width = g.ow
    r.low = g.mid_low
    r.high = g.mid_high
    for panel in range(first_panel, last_panel):
        t.after = s.in_weight + (panel + 1) * BLOCK * g.c if panel + 1 < last_panel else s.weight
        # A tile writes panel `panel` at c + panel * BLOCK; ring and piece have room for one.
        if narrow(g) and first < last:      # else the whole strip lies in the padding
            gemm_panels(
                &t, pixels, (last - first) * g.w, s.in_weight, s.in_bias, NULL,
                piece - panel * BLOCK, g.hidden, panel, panel + 1)
        r.channels = min(BLOCK, g.hidden - panel * BLOCK)
        r.weight = s.mid_weight + panel * g.kh * g.kw * BLOCK
        r.bias = s.mid_bias + panel * BLOCK
        ready = first
        for oy in range(first_row, last_row):
            ready = max(ready, oy * g.sh - g.top)
            while ready < min(last, oy * g.sh - g.top + (g.kh - 1) * g.dh + 1):
                to = scratch + ready % ring * width + g.left * BLOCK
                if narrow(g):
                    memcpy(to, piece + (ready - first) * g.w * BLOCK, 4 * g.w * BLOCK)
                else:
                    gemm_panels(
                        &t, pixels + (ready - first) * g.w, g.w, s.in_weight, s.in_bias, NULL,
                        to - panel * BLOCK, g.hidden, panel, panel + 1)
                ready += 1
            for i in range(g.kh):
                y = oy * g.sh - g.top + i * g.dh
                row[i] = scratch + y % ring * width if 0 <= y < g.h else zero
            r.out = middle + (oy - first_row) * g.ow * g.hidden + panel * BLOCK
            depthwise_row(g.kh, g.kw, g.sw, g.dw, &r)


cdef void project(
    const StepData* s, Py_ssize_t index, Py_ssize_t first, Py_ssize_t count,
    Py_ssize_t first_panel, Py_ssize_t last_panel, const float* middle, const float** pixels,
) noexcept nogil:
    """Output pixels first .. first + count of all images, from middle: (count, hidden)."""
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t segment = 0, i
    cdef Panel t
    for i in range(count):
        pixels[i] = middle + i * g.hidden
    t.after = s.following if index + 1 == s.strips else s.in_weight
    t.segment = &segment
    t.segments = 1
    t.length = g.hidden
    t.ldc = g.oc
    t.low = g.low
    t.high = g.high
    gemm_panels(
        &t, pixels, count, s.weight, s.bias,
        NULL if s.residual == NULL else s.residual + first * g.oc, s.y + first * g.oc,
        g.oc, first_panel, last_panel)


cdef void inverted_front_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    """First of two phases: a share of the hidden channels of one image."""
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t panels = ceil_div(g.hidden, BLOCK), shares = s.front_strips // g.n
    cdef Py_ssize_t image = index // shares, share = index % shares
    expand_and_filter(
        s, image, 0, g.oh, share * panels // shares, (share + 1) * panels // shares,
        s.middle + image * g.oh * g.ow * g.hidden, scratch)


cdef void inverted_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    """A strip of output rows in one pass; or second of two phases, a strip of output pixels."""
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t rows = g.n * g.oh * g.ow if s.front_strips else g.oh
    cdef Strip strip = locate(s, index, rows, ceil_div(g.oc, BLOCK))
    cdef Py_ssize_t count = strip.last - strip.first
    cdef float* middle
    if s.front_strips:
        project(
            s, index, strip.first, count, strip.first_panel, strip.last_panel,
            s.middle + strip.first * g.hidden, <const float**>scratch)
        return
    middle = scratch + front_scratch(g, count)
    expand_and_filter(
        s, strip.image, strip.first, strip.last, 0, ceil_div(g.hidden, BLOCK), middle, scratch)
    count *= g.ow
    project(
        s, index, (strip.image * g.oh + strip.first) * g.ow, count,
        strip.first_panel, strip.last_panel, middle,
        <const float**>(middle + round_up(count * g.hidden, 16)))
