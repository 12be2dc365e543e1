# Inverted residual in one pass: the expanded map, six times the input, never exists in memory as a
# whole; only its rows under one output row do, and what the depthwise stage makes of a strip.
#
#   y = clamp(bias + project(clamp(mid_bias + depthwise(clamp(in_bias + expand(x))))) + residual)
#
# Loop nest:  for panel of expanded channels: for output row: expand the input rows that are new;
#                                             depthwise row -> columns of the middle buffer
#             then the middle buffer against the panels of the projection
#
#     x rows -> panel of the expansion -> ring -> middle (pixels of the strip, hidden) -> y rows
#
# One panel of the expansion is one block of the depthwise stage. So the GEMM tile writes straight
# into the ring that the depthwise tile reads, for BLOCK channels at a time, and the ring stays in
# the L1 cache (second block of V2, AVX2: 808 -> 760 us). `middle` is the matrix A of the projection's
# GEMM tiles.
#
# The rows where two strips meet are expanded twice, so strips are four times as tall as those of
# other ops.
# Where several threads share a small map, they expand shares of the channels instead, and all
# have finished that before any of them projects. On a narrow map, whose rows are shorter than two
# tiles, all rows of a strip are expanded in one piece and then moved into the ring, because the 7
# pixels of a row would be tiles of 4 and 3 where 6 are possible (7 x 7 x 160, AVX2: 82 -> 94 % of the
# peak).

cdef str inverted_error(const StepData* s):
    if s.g.multiplier != 1:
        return f"multiplier must be 1, got {s.g.multiplier}"
    if s.g.hidden < 1:
        return f"hidden must be at least 1, got {s.g.hidden}"
    return proportion_error(&s.g) or window_error(&s.g)


cdef Sizes inverted_weigh(const Geometry* g) noexcept:
    cdef Sizes sizes
    sizes.in_bias = filled(g.hidden, LANES)
    sizes.in_weight = g.c * sizes.in_bias
    sizes.mid_bias = filled(g.hidden, BLOCK)
    sizes.mid_weight = <double>g.kh * g.kw * sizes.mid_bias
    sizes.bias = filled(g.oc, LANES)
    sizes.weight = g.hidden * sizes.bias
    return sizes


cdef double inverted_mult_adds(const Geometry* g) noexcept:
    return g.hidden * (<double>g.h * g.w * g.c + <double>g.oh * g.ow * (<double>g.kh * g.kw + g.oc))


cdef inline bint in_phases(const Geometry* g, int threads) noexcept nogil:
    """Return true if all threads expand their share of the channels before any of them projects.

    Strips of rows would expand the rows where they meet twice. Where two threads share a map of 7 x
    7, the slower one would expand 5 rows and not 3.5 (block 15 of V2: 230 -> 180 us). On larger maps
    it is little, and the channels in between would leave the caches (28 x 28 x 192: 128 -> 150 us).
    """
    return 0 < g.n < threads and g.oh * g.ow * g.hidden <= STRIP_FLOATS


cdef void inverted_cut(StepData* s, int threads) noexcept nogil:
    """Cut output rows or, in two phases, hidden channels and then output pixels.

    A strip of rows has four times the usual floats, because expanding fewer rows twice is worth
    more than the L2 cache (28 x 28 x 192: 5 %, 14 x 14 x 576: 7 %). Threads do not share panels
    there, because each would expand the same rows again.
    """
    cdef const Geometry* g = &s.g
    if in_phases(g, threads):
        s.front_strips = g.n * min(ceil_div(g.hidden, BLOCK), 4 * threads)
        cut_rows(s, threads, 1, g.n * g.oh * g.ow, g.hidden, ceil_div(g.oc, PANEL))
    else:
        cut_rows(s, threads, g.n, g.oh, g.ow * g.hidden // 4)
        s.panels = ceil_div(g.oc, PANEL)        # all of them in each strip: panel_blocks is 1


cdef inline bint narrow(const Geometry* g) noexcept nogil:
    return g.w < 2 * gemm_rows(BLOCK // LANES)


cdef inline Py_ssize_t front_scratch(const Geometry* g, Py_ssize_t rows) noexcept nogil:
    """Return the floats of ring, pixel pointers and, for narrow maps, one panel of all rows."""
    cdef Py_ssize_t pixels = window_rows(g, rows) * g.w
    return ring_floats(g, 1) + round_up(2 * pixels, 16) + (pixels * BLOCK if narrow(g) else 0)


cdef Py_ssize_t inverted_scratch(const StepData* s, Py_ssize_t rows) noexcept nogil:
    cdef const Geometry* g = &s.g
    if s.front_strips:
        return max(front_scratch(g, g.oh), 2 * rows)
    return front_scratch(g, rows) + round_up(rows * g.ow * g.hidden, 16) + 2 * rows * g.ow


cdef void expand_and_filter(
    const StepData* s, Py_ssize_t image, Py_ssize_t first_row, Py_ssize_t last_row,
    Py_ssize_t first_panel, Py_ssize_t last_panel, float* middle, float* scratch,
) noexcept nogil:
    """Compute expansion and depthwise stage of some output rows and some panels of hidden channels.

    middle: (rows * OW, hidden), of which the panels' columns are written.
    """
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t most = window_rows(g, last_row - first_row)
    cdef Py_ssize_t first = max(0, first_row * g.sh - g.top)        # input rows of the strip
    cdef Py_ssize_t last = min(g.h, first_row * g.sh - g.top + most)
    cdef Py_ssize_t segment = 0, panel, i, oy, ready
    cdef Ring ring = new_ring(g, 1, scratch)
    cdef const float** pixels = <const float**>(scratch + ring_floats(g, 1))    # (rows * W,)
    cdef float* piece = <float*>pixels + round_up(2 * most * g.w, 16)           # (rows * W, BLOCK)
    cdef const float* x = s.x + image * g.h * g.w * g.c
    cdef float* to
    cdef DepthwiseRow r
    cdef GemmJob t
    cdef Panels p
    for i in range((last - first) * g.w):
        pixels[i] = x + (first * g.w + i) * g.c
    t.segment, t.segments, t.length = &segment, 1, g.c
    t.residual, t.ldc, t.low, t.high = NULL, BLOCK, g.in_low, g.in_high
    p.weight, p.bias, p.columns = s.in_weight, s.in_bias, share_columns(g.hidden, BLOCK // LANES)
    r.row, r.pitch, r.width, r.low, r.high = ring.row, g.hidden, g.ow, g.mid_low, g.mid_high
    for panel in range(first_panel, last_panel):
        p.first, p.last = panel, panel + 1
        p.after = s.in_weight + (panel + 1) * BLOCK * g.c if panel + 1 < last_panel else s.weight
        if narrow(g) and first < last:      # else the whole strip lies in the padding
            t.pixel, t.c = pixels, piece
            gemm_panels(&t, (last - first) * g.w, &p)
        r.channels = min(BLOCK, g.hidden - panel * BLOCK)
        r.weight = s.mid_weight + panel * g.kh * g.kw * BLOCK
        r.bias = s.mid_bias + panel * BLOCK
        ready = first
        for oy in range(first_row, last_row):
            ready = max(ready, oy * g.sh - g.top)
            while ready < min(last, oy * g.sh - g.top + (g.kh - 1) * g.dh + 1):
                to = ring.data + ready % ring.rows * ring.pitch + g.left * BLOCK
                if narrow(g):
                    memcpy(to, piece + (ready - first) * g.w * BLOCK, 4 * g.w * BLOCK)
                else:
                    t.pixel, t.c = pixels + (ready - first) * g.w, to
                    gemm_panels(&t, g.w, &p)
                ready += 1
            point_rows(&ring, g, 0, oy)
            r.out = middle + (oy - first_row) * g.ow * g.hidden + panel * BLOCK
            depthwise_row(g.kh, g.kw, g.sw, g.dw, &r)


cdef void inverted_front_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    """Compute the first of two phases for a share of the hidden channels of one image."""
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t panels = ceil_div(g.hidden, BLOCK), shares = s.front_strips // g.n
    cdef Py_ssize_t image = index // shares, share = index % shares
    expand_and_filter(
        s, image, 0, g.oh, share * panels // shares, (share + 1) * panels // shares,
        s.middle + image * g.oh * g.ow * g.hidden, scratch)


cdef void inverted_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    """Compute a strip of output rows in one pass or, in the second of two phases, of output pixels."""
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef Py_ssize_t first = strip.first, count = strip.last - strip.first, i
    cdef const float** pixels = <const float**>scratch      # (count,)
    cdef float* middle                                      # (count, hidden)
    if s.front_strips:
        middle = s.middle + first * g.hidden
    else:
        middle = scratch + front_scratch(g, count)
        expand_and_filter(
            s, strip.image, strip.first, strip.last, 0, ceil_div(g.hidden, BLOCK), middle, scratch)
        first = (strip.image * g.oh + first) * g.ow
        count *= g.ow
        pixels = <const float**>(middle + round_up(count * g.hidden, 16))
    for i in range(count):
        pixels[i] = middle + i * g.hidden
    multiply_pixels(
        s, strip, pixels, first, count, g.hidden,
        s.following if index + 1 == s.strips else s.in_weight)


cdef Op* inverted_residual = new_convolution("inverted_residual", inverted_mult_adds)
inverted_residual.error = inverted_error
inverted_residual.weigh = inverted_weigh
inverted_residual.second = output_floats
inverted_residual.cut = inverted_cut
inverted_residual.scratch = inverted_scratch
inverted_residual.front = inverted_front_strip
inverted_residual.strip = inverted_strip
