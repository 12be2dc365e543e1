# Depthwise convolution: a rolling window of input rows in front of the depthwise tile.
#
#   y[q, r, c * m + i] = clamp(bias[c * m + i]
#       + sum over (k, l) of x[q * sh + k * dh - top, r * sw + l * dw - left, c] * weight[k, l, c, i])
#
# Loop nest:  for group of blocks: for output row: (copy the rows that are new)
#                 for block of channels: tiles of the row
#
# The window holds the rows under one output row, block by block of BLOCK channels, for as many blocks
# as fit into a quarter of a strip. Each input row is copied into it once, from left to right, so
# that the processor's own prefetcher keeps up (one block at a time it met lines 128 bytes to 4 KB
# apart: 112 x 112 x 32, AVX2, 174 -> 145 us), with zero pixels at both ends; a row outside of the map
# is the zero row. With a multiplier m > 1 the copy repeats each channel m times, and the tile knows
# nothing of it.
#
#     ring of (KH - 1) * dh + 1 rows, at most H:   slot = input row % ring    | 0 | W x BLOCK | 0 |
#     the same for the next block ...                                         | 0 | W x BLOCK | 0 |
#     zero row:                                                               | 0   0  ...  0 | 0 |

cdef inline Py_ssize_t ring_rows(const Geometry* g) noexcept nogil:
    return min((g.kh - 1) * g.dh + 1, g.h)


cdef inline Py_ssize_t blocks_at_once(const Geometry* g) noexcept nogil:
    """Blocks of channels in the window: a fourth of what a strip keeps at hand."""
    cdef Py_ssize_t blocks = ceil_div(g.c * g.multiplier, BLOCK)
    return max(1, min(blocks, STRIP_FLOATS // 4 // (ring_rows(g) * padded_width(g) * BLOCK)))


cdef inline Py_ssize_t depthwise_scratch(const Geometry* g) noexcept nogil:
    """Floats of the rings, the zero row and the row pointers."""
    return (blocks_at_once(g) * ring_rows(g) + 1) * padded_width(g) * BLOCK + round_up(2 * g.kh, 16)


cdef inline void copy_block(
    const Geometry* g, const float* x, Py_ssize_t first, Py_ssize_t count, float* row
) noexcept nogil:
    """A part of a block, or repeated channels: output channels first .. first + count."""
    # x: (W, C) -> row: (W, BLOCK)
    cdef Py_ssize_t p, k
    for p in range(g.w):
        if g.multiplier > 1:
            for k in range(count):
                row[p * BLOCK + k] = x[(first + k) // g.multiplier]
        elif count == LANES:
            vec_store(row + p * BLOCK, vec_load(x + first))
        else:
            memcpy(row + p * BLOCK, x + first, 4 * count)
        x += g.c


cdef inline void copy_row(
    const Geometry* g, const float* x, Py_ssize_t begin, Py_ssize_t end, float* row, Py_ssize_t pitch
) noexcept nogil:
    """One map row into the windows of blocks begin .. end, which lie `pitch` floats apart."""
    # x: (W, C) -> row of each block: (left + W, BLOCK), behind the zeros that are there already
    cdef Py_ssize_t channels = g.c * g.multiplier, p, block
    cdef Py_ssize_t whole = begin if g.multiplier > 1 else min(end, channels // BLOCK)
    cdef const float* pixel
    cdef float* to
    row += g.left * BLOCK
    for p in range(g.w if begin < whole else 0):
        pixel = x + p * g.c + begin * BLOCK
        to = row + p * BLOCK
        for block in range(begin, whole):
            vec_store(to, vec_load(pixel))
            vec_store(to + LANES, vec_load(pixel + LANES))
            pixel += BLOCK
            to += pitch
    for block in range(whole, end):
        copy_block(g, x, block * BLOCK, min(BLOCK, channels - block * BLOCK), row + (block - begin) * pitch)


cdef void depthwise_rows(
    const Geometry* g, const float* x, const float* weight, const float* bias, float low, float high,
    Py_ssize_t first_row, Py_ssize_t last_row, float* out, Py_ssize_t pitch, float* scratch,
) noexcept nogil:
    """Output rows first_row .. last_row of one image, all channels.

    x: (H, W, C) -> out: (rows, OW, pitch), of which the first C * multiplier channels are written.
    """
    cdef Py_ssize_t ring = ring_rows(g), width = padded_width(g) * BLOCK
    cdef Py_ssize_t channels = g.c * g.multiplier, blocks = ceil_div(channels, BLOCK)
    cdef Py_ssize_t group = blocks_at_once(g), begin = 0, end, block, oy, i, y, ready
    cdef float* zero = scratch + group * ring * width
    cdef const float** row = <const float**>(zero + width)
    cdef float* window
    cdef DepthwiseRow r
    memset(scratch, 0, 4 * (group * ring + 1) * width)
    r.row = row
    r.pitch = pitch
    r.width = g.ow
    r.low = low
    r.high = high
    while begin < blocks:
        end = min(blocks, begin + group)
        ready = max(0, first_row * g.sh - g.top)        # rows below are copied already
        for oy in range(first_row, last_row):
            ready = max(ready, oy * g.sh - g.top)
            while ready < min(g.h, oy * g.sh - g.top + (g.kh - 1) * g.dh + 1):
                copy_row(g, x + ready * g.w * g.c, begin, end, scratch + ready % ring * width,
                         ring * width)
                ready += 1
            for block in range(begin, end):
                window = scratch + (block - begin) * ring * width
                for i in range(g.kh):
                    y = oy * g.sh - g.top + i * g.dh
                    row[i] = window + y % ring * width if 0 <= y < g.h else zero
                r.channels = min(BLOCK, channels - block * BLOCK)
                r.weight = weight + block * g.kh * g.kw * BLOCK
                r.bias = bias + block * BLOCK
                r.out = out + (oy - first_row) * g.ow * pitch + block * BLOCK
                depthwise_row(g.kh, g.kw, g.sw, g.dw, &r)
        begin = end


cdef void depthwise_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index, g.oh, 1)
    depthwise_rows(
        g, s.x + strip.image * g.h * g.w * g.c, s.weight, s.bias, g.low, g.high,
        strip.first, strip.last, s.y + (strip.image * g.oh + strip.first) * g.ow * g.oc, g.oc, scratch)
