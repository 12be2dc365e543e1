# Inverted residual in one pass: the expanded map, six times the input, never exists in memory.
#
#   y = clamp(bias + project(clamp(depthwise(clamp(expand(x))))) + residual)
#
# Loop nest:  for panel of expanded channels: (expand the strip's input rows into the window)
#                                             depthwise rows -> columns of the middle buffer
#             then the middle buffer against the panels of the projection
#
# One panel of the expansion is one block of the depthwise, so the GEMM tile writes straight into
# the window that the depthwise tile reads. It holds all input rows of the strip for BLOCK channels,
# and has a zero pixel wherever a tap may fall outside of the map:
#
#     window, one row for each input row:  | 0 | W pixels x BLOCK | 0 |      zero row: | 0 ... 0 |
#     middle, (pixels of the strip, hidden): the A of the projection
#
# The rows where two strips meet are expanded twice, so strips are as tall as the cache allows.

cdef inline Py_ssize_t inverted_scratch(const Geometry* g, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t pixels = rows * g.ow, inputs = window_rows(g, rows)
    return (
        (inputs + 1) * padded_width(g) * BLOCK + round_up(2 * g.kh, 16)
        + round_up(pixels * g.hidden, 16) + round_up(2 * max(pixels, inputs * g.w), 16))


cdef void inverted_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, g.oh, ceil_div(g.oc, BLOCK))
    cdef Py_ssize_t rows = strip.last - strip.first, count = rows * g.ow, width = padded_width(g)
    cdef Py_ssize_t top = strip.first * g.sh - g.top               # input row of window row 0
    cdef Py_ssize_t first = max(0, top), last = min(g.h, top + window_rows(g, rows))
    cdef Py_ssize_t segment = 0, panel, i, q, y, at
    cdef float* window = scratch
    cdef float* zero = window + window_rows(g, rows) * width * BLOCK
    cdef const float** row = <const float**>(zero + width * BLOCK)
    cdef float* middle = <float*>row + round_up(2 * g.kh, 16)
    cdef const float** pixels = <const float**>(middle + round_up(count * g.hidden, 16))
    cdef const float* x = s.x + strip.image * g.h * g.w * g.c
    cdef DepthwiseRow r
    cdef Panel t
    memset(scratch, 0, 4 * (window_rows(g, rows) + 1) * width * BLOCK)
    for i in range((last - first) * g.w):
        pixels[i] = x + (first * g.w + i) * g.c
    t.segment = &segment
    t.segments = 1
    r.row = row
    r.pitch = g.hidden
    r.width = g.ow
    r.low = g.mid_low
    r.high = g.mid_high
    for panel in range(ceil_div(g.hidden, BLOCK)):
        t.length = g.c
        t.ldc = BLOCK
        t.low = g.in_low
        t.high = g.in_high
        for y in range(first, last):
            # The tile writes panel `panel` at c + panel * BLOCK; the window has room for one.
            gemm_panels(
                &t, pixels + (y - first) * g.w, g.w, s.in_weight, s.in_bias, NULL,
                window + ((y - top) * width + g.left) * BLOCK - panel * BLOCK,
                g.hidden, panel, panel + 1)
        r.channels = min(BLOCK, g.hidden - panel * BLOCK)
        r.weight = s.mid_weight + panel * g.kh * g.kw * BLOCK
        r.bias = s.mid_bias + panel * BLOCK
        r.out = middle + panel * BLOCK
        for q in range(rows):
            for i in range(g.kh):
                y = top + q * g.sh + i * g.dh
                row[i] = window + (y - top) * width * BLOCK if first <= y < last else zero
            depthwise_row(g.kh, g.kw, g.sw, g.dw, &r)
            r.out += g.ow * g.hidden
    for i in range(count):
        pixels[i] = middle + i * g.hidden
    t.length = g.hidden
    t.ldc = g.oc
    t.low = g.low
    t.high = g.high
    at = (strip.image * g.oh + strip.first) * g.ow * g.oc
    gemm_panels(
        &t, pixels, count, s.weight, s.bias,
        NULL if s.residual == NULL else s.residual + at, s.y + at,
        g.oc, strip.first_panel, strip.last_panel)
