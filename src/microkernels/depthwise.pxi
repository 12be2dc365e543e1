# Depthwise tile: the place where depthwise layers do their multiplications.
#
#   out[p][c] = clamp(bias[c]
#             + sum over taps (i, j) of window[i][p * stride + j * dilation][c] * weight[i][j][c])
#
# It computes `pixels` neighbouring output pixels p and the channels c of one block, two vecs, or of
# one vec at a time (DEPTHWISE_VECS).
# Loop nest:  for i, j in taps: for p in pixels: for v in vecs: acc[p][v] += ...
#             The `sliding` tile goes i, p, v, j: the taps of each sum have the same order.
#
# The window holds copies of the input rows, one block of channels at a time, with zero pixels at
# both ends. So there is no code for borders, and every address is a row pointer plus a constant.
# Neighbouring pixels are BLOCK floats apart, whatever the number of channels, because steps of 2
# KB would fall into the same few sets of the L1 cache:
#
#     row[i] ->  | 0 0 | pixel 0: BLOCK channels | pixel 1: BLOCK channels | ... | 0 0 |
#
# Weights are packed per block of channels, [C / BLOCK][taps][BLOCK], zero-filled at the end.
#
# With 3 x 3 taps, neighbouring outputs share inputs. The `sliding` tile keeps three inputs of a
# row in registers and moves them on by `stride` from pixel to pixel, so it loads each input of
# the row once and not three times (112 x 112 x 32: 35 -> 47 GFLOP/s). Three loads for three
# multiply-adds would make loading the limit, because a processor loads two vecs a cycle. While
# the taps run, the registers hold DEPTHWISE_PIXELS x DEPTHWISE_VECS sums, and three weights and
# three inputs for each vec.

cdef struct DepthwiseRow:
    const float* const* row       # (rows,) window rows of the taps
    const float* weight           # (rows, columns, BLOCK)
    const float* bias             # (BLOCK,)
    float* out                    # first pixel, first channel of the block
    Py_ssize_t pitch              # floats from one pixel of out to the next
    Py_ssize_t width              # output pixels
    Py_ssize_t channels           # channels of the block that exist, at most BLOCK
    float low, high


cdef inline INLINE_VOID depthwise_body(
    int pixels, int vecs, bint sliding, int rows, int columns, Py_ssize_t stride, Py_ssize_t dilation,
    const DepthwiseRow* r, Py_ssize_t first, Py_ssize_t channel,
) noexcept nogil:
    """Compute `pixels` outputs from pixel `first` on, `vecs` vecs from `channel` on.

    All callers pass constants for pixels, vecs and sliding. If sliding is true, the taps are 3 x 3
    next to each other, and rows, columns, stride and dilation are constants as well.
    """
    cdef vec acc[DEPTHWISE_PIXELS][DEPTHWISE_VECS]
    cdef vec w[3][DEPTHWISE_VECS]
    cdef vec input[3][DEPTHWISE_VECS]
    cdef const float* tap
    cdef const float* weight = r.weight + channel
    cdef float edge[DEPTHWISE_PIXELS * BLOCK]      # for last channels that fill no whole vec
    cdef Py_ssize_t pitch = r.pitch, left = r.channels - channel
    cdef float* out = r.out + first * pitch + channel
    cdef vec low = vec_fill(r.low), high = vec_fill(r.high)
    cdef int i, j, p, v
    for v in range(vecs):
        for p in range(pixels):
            acc[p][v] = vec_load(r.bias + channel + v * LANES)
    for i in range(rows):
        tap = r.row[i] + first * stride * BLOCK + channel
        if sliding:
            for v in range(vecs):
                for j in range(3):
                    w[j][v] = vec_load(weight + j * BLOCK + v * LANES)
            for p in range(pixels):
                for v in range(vecs):
                    for j in range(3):
                        if p > 0 and j + stride < 3:
                            input[j][v] = input[j + stride][v]
                        else:
                            input[j][v] = vec_load(tap + (p * stride + j) * BLOCK + v * LANES)
                    for j in range(3):
                        acc[p][v] = vec_fma(input[j][v], w[j][v], acc[p][v])
        else:
            for j in range(columns):
                for v in range(vecs):
                    w[0][v] = vec_load(weight + j * BLOCK + v * LANES)
                for p in range(pixels):
                    for v in range(vecs):
                        acc[p][v] = vec_fma(
                            vec_load(tap + p * stride * BLOCK + v * LANES), w[0][v], acc[p][v])
                tap += dilation * BLOCK
        weight += columns * BLOCK
    if left < vecs * LANES and not HAS_MASKS:
        out = edge
        pitch = BLOCK
    for p in range(pixels):
        for v in range(vecs):
            vec_store_last(
                out + p * pitch + v * LANES, vec_min(high, vec_max(low, acc[p][v])), left - v * LANES)
    if left < vecs * LANES and not HAS_MASKS:
        copy_rows(r.out + first * r.pitch + channel, r.pitch, edge, BLOCK, pixels, left)


cdef inline INLINE_VOID depthwise_tile(
    int pixels, int vecs, bint sliding, int rows, int columns, Py_ssize_t stride, Py_ssize_t dilation,
    const DepthwiseRow* r, Py_ssize_t first,
) noexcept nogil:
    """Compute `pixels` outputs of the whole block, one vec after the other where a tile has one."""
    depthwise_body(pixels, vecs, sliding, rows, columns, stride, dilation, r, first, 0)
    if vecs == 1 and r.channels > LANES:
        depthwise_body(pixels, vecs, sliding, rows, columns, stride, dilation, r, first, LANES)


cdef inline INLINE_VOID depthwise_tiles(
    int vecs, bint sliding, int rows, int columns, Py_ssize_t stride, Py_ssize_t dilation,
    const DepthwiseRow* r,
) noexcept nogil:
    """Compute one output row. The last tile may overlap the one before and write the same bits again."""
    cdef Py_ssize_t first = 0
    if r.width < DEPTHWISE_PIXELS:
        for first in range(r.width):
            depthwise_tile(1, vecs, sliding, rows, columns, stride, dilation, r, first)
        return
    while first < r.width:
        first = min(first, r.width - DEPTHWISE_PIXELS)
        depthwise_tile(DEPTHWISE_PIXELS, vecs, sliding, rows, columns, stride, dilation, r, first)
        first += DEPTHWISE_PIXELS


cdef NOINLINE_VOID depthwise_row(
    int rows, int columns, Py_ssize_t stride, Py_ssize_t dilation, const DepthwiseRow* r
) noexcept nogil:
    """Compute one output row of one block; 3 x 3 taps at stride 1 and 2 have tiles of their own."""
    cdef bint common = rows == 3 and columns == 3 and dilation == 1
    if DEPTHWISE_VECS == 2 and r.channels <= LANES:
        depthwise_tiles(1, False, rows, columns, stride, dilation, r)
    elif common and stride == 1:
        depthwise_tiles(DEPTHWISE_VECS, True, 3, 3, 1, 1, r)
    elif common and stride == 2:
        depthwise_tiles(DEPTHWISE_VECS, True, 3, 3, 2, 1, r)
    else:
        depthwise_tiles(DEPTHWISE_VECS, False, rows, columns, stride, dilation, r)
