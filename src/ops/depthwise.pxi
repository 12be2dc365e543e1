# Depthwise convolution: a ring of input rows in front of the depthwise tile.
#
#   y[q, r, c * m + i] = clamp(bias[c * m + i]
#       + sum over (k, l) of x[q * sh + k * dh - top, r * sw + l * dw - left, c] * weight[k, l, c, i])
#
# Loop nest:  for group of blocks: for output row: copy the input rows that are new;
#                 for block of channels: for tile of the row
#
#       x: rows of (W, C)         ring of rows, block by block             y: rows of (OW, C * m)
#     +-------------------+      +---+----------------------+---+        +-------------------+
#     | row ready - 1     |      | 0 | block 0: W x BLOCK   | 0 |        |                   |
#     | row ready         |  ->  | 0 | block 1: W x BLOCK   | 0 |   ->   | output row oy     |
#     +-------------------+      +---+----------------------+---+        +-------------------+
#
# The ring has as many blocks as fit into a quarter of a strip. Each input row is copied into it
# once, from left to right, so that the processor's own prefetcher keeps up. Copied one block at a
# time, it would meet cache lines that are 128 bytes to 4 KB apart (112 x 112 x 32, AVX2: 174 ->
# 145 us). With a multiplier m > 1 the copy repeats each channel m times, and the tile knows
# nothing of it.

cdef str depthwise_error(const StepData* s):
    cdef const Geometry* g = &s.g
    if <double>g.c * g.multiplier != g.oc:
        return (f"{g.c} input channels times multiplier {g.multiplier} must be the output channels, "
                f"got {g.oc}")
    return proportion_error(g) or window_error(g)


cdef Sizes depthwise_weigh(const Geometry* g) noexcept:
    cdef Sizes sizes = no_weights(g)
    sizes.bias = filled(g.oc, BLOCK)
    sizes.weight = <double>g.kh * g.kw * sizes.bias
    return sizes


cdef double depthwise_mult_adds(const Geometry* g) noexcept:
    return output_floats(g) * g.kh * g.kw


cdef void depthwise_cut(StepData* s, int threads) noexcept nogil:
    cut_rows(s, threads, s.g.n, s.g.oh, s.g.sh * s.g.w * s.g.c)


cdef inline Py_ssize_t ring_blocks(const Geometry* g) noexcept nogil:
    """Return the blocks of channels that the ring holds at once."""
    cdef Py_ssize_t blocks = ceil_div(g.c * g.multiplier, BLOCK)
    return max(1, min(blocks, STRIP_FLOATS // 4 // (ring_rows(g) * padded_width(g) * BLOCK)))


cdef Py_ssize_t depthwise_scratch(const StepData* s, Py_ssize_t rows) noexcept nogil:
    return ring_floats(&s.g, ring_blocks(&s.g))


cdef inline void copy_block(
    const Geometry* g, const float* x, Py_ssize_t first, Py_ssize_t count, float* row
) noexcept nogil:
    """Copy output channels first .. first + count: a part of a block, or repeated channels."""
    # x: (W, C) -> row: (W, BLOCK)
    cdef Py_ssize_t p, k
    for p in range(g.w):
        if g.multiplier > 1:
            for k in range(count):
                row[p * BLOCK + k] = x[(first + k) // g.multiplier]
        elif count == LANES or (HAS_MASKS and count < LANES):
            vec_store(row + p * BLOCK, vec_load_last(x + first, count))
        else:
            memcpy(row + p * BLOCK, x + first, 4 * count)
        x += g.c


cdef inline void copy_row(
    const Geometry* g, const float* x, Py_ssize_t begin, Py_ssize_t end, float* row, Py_ssize_t pitch
) noexcept nogil:
    """Copy one input row into the rings of blocks begin .. end, which lie `pitch` floats apart."""
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
    """Compute output rows first_row .. last_row of one image, all channels.

    x: (H, W, C) -> out: (rows, OW, pitch), of which the first C * multiplier channels are written.
    """
    cdef Py_ssize_t channels = g.c * g.multiplier, blocks = ceil_div(channels, BLOCK)
    cdef Py_ssize_t group = ring_blocks(g), begin = 0, end, block, oy, ready
    cdef Ring ring = new_ring(g, group, scratch)
    cdef DepthwiseRow r
    r.row, r.pitch, r.width, r.low, r.high = ring.row, pitch, g.ow, low, high
    while begin < blocks:
        end = min(blocks, begin + group)
        ready = 0                           # the rows before this one are in the ring, or not needed
        for oy in range(first_row, last_row):
            ready = max(ready, oy * g.sh - g.top)
            while ready < min(g.h, oy * g.sh - g.top + (g.kh - 1) * g.dh + 1):
                copy_row(g, x + ready * g.w * g.c, begin, end,
                         ring.data + ready % ring.rows * ring.pitch, ring.rows * ring.pitch)
                ready += 1
            for block in range(begin, end):
                point_rows(&ring, g, block - begin, oy)
                r.channels = min(BLOCK, channels - block * BLOCK)
                r.weight = weight + block * g.kh * g.kw * BLOCK
                r.bias = bias + block * BLOCK
                r.out = out + (oy - first_row) * g.ow * pitch + block * BLOCK
                depthwise_row(g.kh, g.kw, g.sw, g.dw, &r)
        begin = end


cdef void depthwise_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    depthwise_rows(
        g, s.x + strip.image * g.h * g.w * g.c, s.weight, s.bias, g.low, g.high,
        strip.first, strip.last, s.y + (strip.image * g.oh + strip.first) * g.ow * g.oc, g.oc, scratch)


cdef Op* depthwise = new_convolution("depthwise", depthwise_mult_adds)
depthwise.error = depthwise_error
depthwise.weigh = depthwise_weigh
depthwise.cut = depthwise_cut
depthwise.scratch = depthwise_scratch
depthwise.strip = depthwise_strip
