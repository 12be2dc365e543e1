# Inverted residual in one pass: the expanded map, six times the input, never exists in memory as a
# whole; only its rows under one output row do, and what the depthwise stage makes of a few rows.
#
#   y = clamp(bias + project(clamp(mid_bias + depthwise(clamp(in_bias + expand(x))))) + residual)
#
# Loop nest:  for group of output rows: for panel of expanded channels:
#                 for output row: expand the input rows that are new;
#                                 depthwise row -> columns of the middle buffer
#             then the middle buffer against the panels of the projection
#
#     x rows -> panel of the expansion -> ring -> middle (pixels of the group, hidden) -> y rows
#
# One panel of the expansion is one block of the depthwise stage. So the GEMM tile writes straight
# into the ring that the depthwise tile reads, for BLOCK channels at a time, and the ring stays in
# the L1 cache (second block of V2, AVX2: 808 -> 760 us). `middle` is the matrix A of the projection's
# GEMM tiles. A group is as tall as fits into a part of the L2 cache. Each panel has a ring of its own,
# which keeps the last rows of one group for the next, so no row of a strip is expanded twice.
#
# The rows where two strips meet are expanded twice, so strips are tall.
# Where several threads share a small map, they expand shares of the channels instead, and all
# have finished that before any of them projects. On a narrow map, whose rows are shorter than two
# tiles, a group is the whole strip, and all its rows are expanded in one piece and then moved into the
# ring, because the 7 pixels of a row would be tiles of 4 and 3 where 6 are possible (7 x 7 x 160, AVX2:
# 82 -> 94 % of the peak).

cdef enum:
    GROUP_FLOATS = STRIP_FLOATS // 2    # of the middle buffer

cdef struct Front:                # memory of expansion and depthwise stage
    Ring ring                     # of each panel; of one at a time where a group is the whole strip
    Py_ssize_t rings
    const float** pixels          # (input pixels of a group,)
    float* piece                  # narrow maps: (the same, BLOCK)


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

    A strip of one group has four times the usual floats, because expanding fewer rows twice is
    worth more than the L2 cache (14 x 14 x 576: 7 %), any other strip sixteen times. Threads do
    not share panels there, because each would expand the same rows again.
    """
    cdef const Geometry* g = &s.g
    if in_phases(g, threads):
        s.front_strips = g.n * min(ceil_div(g.hidden, BLOCK), 4 * threads)
        cut_rows(s, threads, 1, g.n * g.oh * g.ow, g.hidden, ceil_div(g.oc, PANEL))
    else:
        cut_rows(s, threads, g.n, g.oh, g.ow * g.hidden // (4 if one_group(g) else 16))
        s.panels = ceil_div(g.oc, PANEL)        # all of them in each strip: panel_blocks is 1


cdef inline bint narrow(const Geometry* g) noexcept nogil:
    return g.w < 2 * gemm_rows(BLOCK // LANES)


cdef inline bint one_group(const Geometry* g) noexcept nogil:
    """Return true if a group is a whole strip, so that one ring serves all panels in turn.

    Under large dilation the rings of all panels would take more memory than the middle buffer saves.
    """
    return narrow(g) or (
        <double>ring_rows(g) * padded_width(g) * g.hidden > 8 * GROUP_FLOATS)


cdef inline Py_ssize_t group_rows(const Geometry* g, Py_ssize_t rows) noexcept nogil:
    """Return the output rows of a group in a strip of `rows` rows."""
    return rows if one_group(g) else max(1, min(rows, GROUP_FLOATS // (g.ow * g.hidden)))


cdef inline Py_ssize_t front_rings(const Geometry* g, Py_ssize_t rows, Py_ssize_t group) noexcept nogil:
    return 1 if group == rows else ceil_div(g.hidden, BLOCK)


cdef inline Py_ssize_t front_scratch(
    const Geometry* g, Py_ssize_t rows, Py_ssize_t group
) noexcept nogil:
    """Return the floats of a Front."""
    cdef Py_ssize_t pixels = window_rows(g, group) * g.w
    return ring_floats(g, front_rings(g, rows, group)) + round_up(2 * pixels, 16) + (
        pixels * BLOCK if narrow(g) else 0)


cdef inline Front new_front(
    const Geometry* g, Py_ssize_t rows, Py_ssize_t group, float* memory
) noexcept nogil:
    cdef Front front
    front.rings = front_rings(g, rows, group)
    front.ring = new_ring(g, front.rings, memory)
    front.pixels = <const float**>(memory + ring_floats(g, front.rings))
    front.piece = <float*>front.pixels + round_up(2 * window_rows(g, group) * g.w, 16)
    return front


cdef Py_ssize_t inverted_scratch(const StepData* s, Py_ssize_t rows) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t group = group_rows(g, rows)
    if s.front_strips:
        return max(front_scratch(g, g.oh, g.oh), 2 * rows)
    return front_scratch(g, rows, group) + round_up(group * g.ow * g.hidden, 16) + 2 * group * g.ow


cdef inline Py_ssize_t rows_before(const Geometry* g, Py_ssize_t output_row) noexcept nogil:
    """Return the first input row below all that an output row reads."""
    return max(0, min(g.h, output_row * g.sh - g.top + (g.kh - 1) * g.dh + 1))


cdef void expand_and_filter(
    const StepData* s, Py_ssize_t image, Py_ssize_t first, Py_ssize_t first_row, Py_ssize_t last_row,
    Py_ssize_t first_panel, Py_ssize_t last_panel, float* middle, Front* front,
) noexcept nogil:
    """Compute expansion and depthwise stage of some output rows and some panels of hidden channels.

    first: the first input row that is not in the rings yet.
    middle: (rows * OW, hidden), of which the panels' columns are written.
    """
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t last = rows_before(g, last_row - 1)
    cdef Py_ssize_t segment = 0, panel, block, i, oy, ready
    cdef Ring* ring = &front.ring
    cdef const float* x = s.x + image * g.h * g.w * g.c
    cdef float* to
    cdef DepthwiseRow r
    cdef GemmJob t
    cdef Panels p
    for i in range((last - first) * g.w):
        front.pixels[i] = x + (first * g.w + i) * g.c
    t.segment, t.segments, t.length = &segment, 1, g.c
    t.residual, t.ldc, t.low, t.high = NULL, BLOCK, g.in_low, g.in_high
    t.far = False
    p.weight, p.bias, p.columns = s.in_weight, s.in_bias, share_columns(g.hidden, BLOCK // LANES)
    r.row, r.pitch, r.width, r.low, r.high = ring.row, g.hidden, g.ow, g.mid_low, g.mid_high
    for panel in range(first_panel, last_panel):
        block = panel if front.rings > 1 else 0
        p.first, p.last = panel, panel + 1
        p.after = s.in_weight + (panel + 1) * BLOCK * g.c if panel + 1 < last_panel else s.weight
        if narrow(g) and first < last:      # else the whole strip lies in the padding
            t.pixel, t.c = front.pixels, front.piece
            gemm_panels(&t, (last - first) * g.w, &p)
        r.channels = min(BLOCK, g.hidden - panel * BLOCK)
        r.weight = s.mid_weight + panel * g.kh * g.kw * BLOCK
        r.bias = s.mid_bias + panel * BLOCK
        ready = first
        for oy in range(first_row, last_row):
            ready = max(ready, oy * g.sh - g.top)
            while ready < rows_before(g, oy):
                to = ring.data + (block * ring.rows + ready % ring.rows) * ring.pitch + g.left * BLOCK
                if narrow(g):
                    memcpy(to, front.piece + (ready - first) * g.w * BLOCK, 4 * g.w * BLOCK)
                else:
                    t.pixel, t.c = front.pixels + (ready - first) * g.w, to
                    gemm_panels(&t, g.w, &p)
                ready += 1
            point_rows(ring, g, block, oy)
            r.out = middle + (oy - first_row) * g.ow * g.hidden + panel * BLOCK
            depthwise_row(g.kh, g.kw, g.sw, g.dw, &r)


cdef void inverted_front_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    """Compute the first of two phases for a share of the hidden channels of one image."""
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t panels = ceil_div(g.hidden, BLOCK), shares = s.front_strips // g.n
    cdef Py_ssize_t image = index // shares, share = index % shares
    cdef Front front = new_front(g, g.oh, g.oh, scratch)
    expand_and_filter(
        s, image, 0, 0, g.oh, share * panels // shares, (share + 1) * panels // shares,
        s.middle + image * g.oh * g.ow * g.hidden, &front)


cdef void project(
    const StepData* s, Strip strip, Py_ssize_t first, Py_ssize_t count, const float* middle,
    const float** pixels, const float* after,
) noexcept nogil:
    """Compute `count` output pixels, from pixel `first` of all images on, from the middle buffer."""
    # middle: (count, hidden)
    cdef Py_ssize_t i
    for i in range(count):
        pixels[i] = middle + i * s.g.hidden
    multiply_pixels(s, strip, pixels, first, count, s.g.hidden, after)


cdef void inverted_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    """Compute a strip of output rows in one pass or, in the second of two phases, of output pixels."""
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef Py_ssize_t rows = strip.last - strip.first, group = group_rows(g, rows), first, last, ready
    cdef const float* after = s.following if index + 1 == s.strips else s.in_weight
    cdef float* middle
    cdef const float** pixels
    cdef Front front
    if s.front_strips:
        project(
            s, strip, strip.first, rows, s.middle + strip.first * g.hidden, <const float**>scratch, after)
        return
    front = new_front(g, rows, group, scratch)
    middle = scratch + front_scratch(g, rows, group)
    pixels = <const float**>(middle + round_up(group * g.ow * g.hidden, 16))
    ready = max(0, strip.first * g.sh - g.top)
    first = strip.first
    while first < strip.last:
        last = min(strip.last, first + group)
        expand_and_filter(
            s, strip.image, ready, first, last, 0, ceil_div(g.hidden, BLOCK), middle, &front)
        project(s, strip, (strip.image * g.oh + first) * g.ow, (last - first) * g.ow, middle, pixels,
                after if last == strip.last else s.in_weight)
        ready = max(ready, rows_before(g, last - 1))
        first = last


cdef Op* inverted_residual = new_convolution("inverted_residual", inverted_mult_adds)
inverted_residual.error = inverted_error
inverted_residual.weigh = inverted_weigh
inverted_residual.second = output_floats
inverted_residual.cut = inverted_cut
inverted_residual.scratch = inverted_scratch
inverted_residual.front = inverted_front_strip
inverted_residual.strip = inverted_strip
