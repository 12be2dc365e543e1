# Depthwise convolution: a rolling window of input rows in front of the depthwise tile.
#
#   y[q, r, c * m + i] = clamp(bias[c * m + i]
#       + sum over (k, l) of x[q * sh + k * dh - top, r * sw + l * dw - left, c] * weight[k, l, c, i])
#
# Loop nest:  for block of channels: for output row: (copy the rows that are new) tiles of the row
#
# The window holds the rows under one output row for BLOCK channels: it stays in the L1 cache up to
# about 100 pixels a row with AVX2, 50 with AVX-512, and in the L2 cache beyond. Each input row
# is copied into it once, with zero pixels at both ends; a row outside of the map is the zero row.
# With a multiplier m > 1 the copy repeats each channel m times, and the tile knows nothing of it.
#
#     ring of (KH - 1) * dh + 1 rows, at most H:   slot = input row % ring    | 0 | W x BLOCK | 0 |
#     zero row:                                                               | 0   0  ...  0 | 0 |

cdef inline Py_ssize_t ring_rows(const Geometry* g) noexcept nogil:
    return min((g.kh - 1) * g.dh + 1, g.h)


cdef inline Py_ssize_t depthwise_scratch(const Geometry* g) noexcept nogil:
    """Floats of the ring, the zero row and the row pointers."""
    return (ring_rows(g) + 1) * padded_width(g) * BLOCK + round_up(2 * g.kh, 16)


cdef inline void copy_row(
    const Geometry* g, const float* x, Py_ssize_t first, Py_ssize_t count, float* row
) noexcept nogil:
    """One map row into the window: output channels first .. first + count of every pixel."""
    # x: (W, C) -> row: (left + W, BLOCK), behind the zeros that are there already
    cdef Py_ssize_t p, k
    row += g.left * BLOCK
    if g.multiplier > 1:
        for p in range(g.w):
            for k in range(count):
                row[p * BLOCK + k] = x[(first + k) // g.multiplier]
            x += g.c
        return
    x += first
    for p in range(g.w):
        prefetch(x + g.w * g.c)
        if count == BLOCK:
            vec_store(row, vec_load(x))
            vec_store(row + LANES, vec_load(x + LANES))
        elif count == LANES:
            vec_store(row, vec_load(x))
        else:
            memcpy(row, x, 4 * count)
        row += BLOCK
        x += g.c


cdef void depthwise_rows(
    const Geometry* g, const float* x, const float* weight, const float* bias, float low, float high,
    Py_ssize_t first_row, Py_ssize_t last_row, float* out, Py_ssize_t pitch, float* scratch,
) noexcept nogil:
    """Output rows first_row .. last_row of one image, all channels.

    x: (H, W, C) -> out: (rows, OW, pitch), of which the first C * multiplier channels are written.
    """
    cdef Py_ssize_t ring = ring_rows(g), width = padded_width(g), channels = g.c * g.multiplier
    cdef float* zero = scratch + ring * width * BLOCK
    cdef const float** row = <const float**>(zero + width * BLOCK)
    cdef Py_ssize_t block, first, oy, i, y, ready
    cdef DepthwiseRow r
    memset(scratch, 0, 4 * (ring + 1) * width * BLOCK)
    r.row = row
    r.pitch = pitch
    r.width = g.ow
    r.low = low
    r.high = high
    for block in range(ceil_div(channels, BLOCK)):
        first = block * BLOCK
        r.channels = min(BLOCK, channels - first)
        r.weight = weight + block * g.kh * g.kw * BLOCK
        r.bias = bias + first
        r.out = out + first
        ready = max(0, first_row * g.sh - g.top)        # rows below are copied already
        for oy in range(first_row, last_row):
            for i in range(g.kh):
                y = oy * g.sh - g.top + i * g.dh
                if y < 0 or y >= g.h:
                    row[i] = zero
                    continue
                ready = max(ready, oy * g.sh - g.top)
                while ready <= y:
                    copy_row(g, x + ready * g.w * g.c, first, r.channels,
                             scratch + ready % ring * width * BLOCK)
                    ready += 1
                row[i] = scratch + y % ring * width * BLOCK
            depthwise_row(g.kh, g.kw, g.sw, g.dw, &r)
            r.out += g.ow * pitch


cdef void depthwise_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, g.oh, 1)
    depthwise_rows(
        g, s.x + strip.image * g.h * g.w * g.c, s.weight, s.bias, g.low, g.high,
        strip.first, strip.last, s.y + (strip.image * g.oh + strip.first) * g.ow * g.oc, g.oc, scratch)
