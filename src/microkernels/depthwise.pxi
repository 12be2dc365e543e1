# Depthwise tile: the place where depthwise layers do their multiplications.
#
#   out[p][c] = clamp(bias[c] + sum over taps (i, j) of window[i][p * stride + j * dilation][c] * weight[i][j][c])
#
# for `pixels` neighbouring output pixels p and one vec of channels c.
# Loop nest:  for i, j in taps: for p in pixels: acc[p] += ...
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
# of the common kernels: neighbouring pixels then share their loads. The accumulators stay in
# registers while the taps run.

cdef struct DepthwiseRow:
    const float* const* row       # (rows,) window rows of the taps
    const float* weight           # (rows, columns, BLOCK)
    const float* bias             # (BLOCK,)
    float* out                    # first pixel, first channel of the block
    Py_ssize_t pitch              # floats from one pixel of out to the next
    Py_ssize_t width              # output pixels
    Py_ssize_t channels           # channels of the block that exist, at most BLOCK
    float low, high


cdef inline void depthwise_body(
    int pixels, int rows, int columns, Py_ssize_t stride, Py_ssize_t dilation,
    const DepthwiseRow* r, Py_ssize_t first, int v,
) noexcept nogil:
    """`pixels` outputs from pixel `first` on, the channels of vec v of the block."""
    cdef vec acc[DEPTHWISE_PIXELS]
    cdef vec w
    cdef Py_ssize_t start = first * stride * BLOCK + v * LANES
    cdef Py_ssize_t left = r.channels - v * LANES
    cdef float* out = r.out + first * r.pitch + v * LANES
    cdef int i, j, p
    for p in range(pixels):
        acc[p] = vec_load(r.bias + v * LANES)
    for i in range(rows):
        for j in range(columns):
            w = vec_load(r.weight + (i * columns + j) * BLOCK + v * LANES)
            for p in range(pixels):
                acc[p] = vec_fma(
                    vec_load(r.row[i] + start + (p * stride + j * dilation) * BLOCK), w, acc[p])
    for p in range(pixels):
        acc[p] = vec_min(vec_fill(r.high), vec_max(vec_fill(r.low), acc[p]))
        if left >= LANES:
            vec_store(out + p * r.pitch, acc[p])
        else:
            vec_store_first(out + p * r.pitch, acc[p], left)


cdef inline void depthwise_tiles(
    int rows, int columns, Py_ssize_t stride, Py_ssize_t dilation, const DepthwiseRow* r
) noexcept nogil:
    """One output row. The last tile may overlap the one before: the same bits are written twice."""
    cdef Py_ssize_t first
    cdef int v
    for v in range(2):
        if v * LANES >= r.channels:
            return
        first = 0
        while first < r.width:
            if r.width >= DEPTHWISE_PIXELS:
                first = min(first, r.width - DEPTHWISE_PIXELS)
                depthwise_body(DEPTHWISE_PIXELS, rows, columns, stride, dilation, r, first, v)
                first += DEPTHWISE_PIXELS
            elif r.width >= 2:
                first = min(first, r.width - 2)
                depthwise_body(2, rows, columns, stride, dilation, r, first, v)
                first += 2
            else:
                depthwise_body(1, rows, columns, stride, dilation, r, first, v)
                first += 1


cdef NOINLINE_VOID depthwise_row(
    int rows, int columns, Py_ssize_t stride, Py_ssize_t dilation, const DepthwiseRow* r
) noexcept nogil:
    if rows == 3 and columns == 3 and stride == 1 and dilation == 1:
        depthwise_tiles(3, 3, 1, 1, r)
    elif rows == 3 and columns == 3 and stride == 2 and dilation == 1:
        depthwise_tiles(3, 3, 2, 1, r)
    else:
        depthwise_tiles(rows, columns, stride, dilation, r)
