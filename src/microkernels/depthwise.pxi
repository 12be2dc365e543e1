# Depthwise tile: the place where depthwise layers do their multiplications.
#
#   out[p][c] = clamp(bias[c]
#             + sum over taps (i, j) of window[i][p * stride + j * dilation][c] * weight[i][j][c])
#
# for `pixels` neighbouring output pixels p and the channels c of one block, which are two vecs.
# Loop nest:  for i, j in taps: for p in pixels: for v in vecs: acc[p][v] += ...
#
# The window is a channel-blocked copy of the input rows with zero pixels at both ends, so there is
# no border code, neighbouring pixels are BLOCK floats apart whatever the number of channels (2 KB
# steps would fall into the same few sets of the L1 cache), and every address is a row pointer plus
# a constant:
#
#     row[i] ->  | 0 0 | pixel 0: BLOCK channels | pixel 1: BLOCK channels | ... | 0 0 |
#
# Weights are packed per block of channels, [C / BLOCK][taps][BLOCK], zero-filled at the end.
# `pixels` is a literal in every call of `depthwise_body`, as are the numbers of taps and the stride
# of the common kernels. The accumulators (DEPTHWISE_PIXELS x 2 chains, enough to hide the latency of
# an FMA) stay in registers while the taps run.

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
    int pixels, int vecs, int rows, int columns, Py_ssize_t stride, Py_ssize_t dilation,
    const DepthwiseRow* r, Py_ssize_t first,
) noexcept nogil:
    """`pixels` outputs from pixel `first` on."""
    cdef vec acc[DEPTHWISE_PIXELS][2]
    cdef vec w[2]
    cdef const float* tap
    cdef float edge[DEPTHWISE_PIXELS * BLOCK]      # where the last channels are no whole vec
    cdef Py_ssize_t pitch = r.pitch, left = r.channels - (vecs - 1) * LANES
    cdef float* out = r.out + first * pitch
    cdef vec low = vec_fill(r.low)
    cdef vec high = vec_fill(r.high)
    cdef int i, j, p, v
    for v in range(vecs):
        for p in range(pixels):
            acc[p][v] = vec_load(r.bias + v * LANES)
    for i in range(rows):
        for j in range(columns):
            tap = r.row[i] + (first * stride + j * dilation) * BLOCK
            for v in range(vecs):
                w[v] = vec_load(r.weight + (i * columns + j) * BLOCK + v * LANES)
            for p in range(pixels):
                for v in range(vecs):
                    acc[p][v] = vec_fma(
                        vec_load(tap + p * stride * BLOCK + v * LANES), w[v], acc[p][v])
    if left < LANES:
        out = edge
        pitch = BLOCK
    for p in range(pixels):
        for v in range(vecs):
            vec_store(out + p * pitch + v * LANES, vec_min(high, vec_max(low, acc[p][v])))
    if left < LANES:
        copy_rows(r.out + first * r.pitch, r.pitch, edge, BLOCK, pixels, r.channels)


cdef inline INLINE_VOID depthwise_tiles(
    int vecs, int rows, int columns, Py_ssize_t stride, Py_ssize_t dilation, const DepthwiseRow* r
) noexcept nogil:
    """One output row. The last tile may overlap the one before: the same bits are written twice."""
    cdef Py_ssize_t first = 0
    if r.width < DEPTHWISE_PIXELS:
        for first in range(r.width):
            depthwise_body(1, vecs, rows, columns, stride, dilation, r, first)
        return
    while first < r.width:
        first = min(first, r.width - DEPTHWISE_PIXELS)
        depthwise_body(DEPTHWISE_PIXELS, vecs, rows, columns, stride, dilation, r, first)
        first += DEPTHWISE_PIXELS


cdef NOINLINE_VOID depthwise_row(
    int rows, int columns, Py_ssize_t stride, Py_ssize_t dilation, const DepthwiseRow* r
) noexcept nogil:
    cdef bint common = rows == 3 and columns == 3 and dilation == 1
    if r.channels <= LANES:
        depthwise_tiles(1, rows, columns, stride, dilation, r)
    elif common and stride == 1:
        depthwise_tiles(2, 3, 3, 1, 1, r)
    elif common and stride == 2:
        depthwise_tiles(2, 3, 3, 2, 1, r)
    else:
        depthwise_tiles(2, rows, columns, stride, dilation, r)
