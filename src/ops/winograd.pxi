# Winograd's minimal filtering for plain 3 x 3 convolutions (Lavin and Gray, arXiv 1509.09308):
# F(4 x 4) takes 36 products for 16 pixels instead of 144, F(2 x 2) takes 16 for 4 instead of 36.
# It is an option of compile(), off by default, because it rounds otherwise than the defining sum.
#
#   y = clamp(bias + A^T [ sum over c of (G g[c] G^T) * (B^T d[c] B) ] A + residual)
#
# d are the input pixels under a tile of output pixels, 2 more each way. g are the 3 x 3 weights,
# which are transformed once, in double precision, before they are packed. * multiplies element by
# element.
#
# Loop nest:  for tile of the strip: for vec of c: B^T d B          matrices V (tiles, C)
#             for each of 36 or 16 matrices: gemm_panels            matrices M (tiles, OC) = V x weights
#             for tile of the strip: for vec of oc: A^T M A         pixels of y
#
#       x, one tile             V                   packed weights           M                    y
#     +-------------+    +------------------+    +------------------+    +-------------------+    +-------+
#     | 6 x 6 or    |    | 0: tile 0: C     |    | 0: panels C x OC |    | 0: tile 0: OC     |    | 4 x 4 |
#     | 4 x 4, next | -> |    tile 1: C ... | x  | 1: panels C x OC | -> |    tile 1: OC ... | -> | or    |
#     | tile 4 or 2 |    | 1: tile 0: C ... |    | ...              |    | 1: tile 0: OC ... |    | 2 x 2 |
#     +-------------+    +------------------+    +------------------+    +-------------------+    +-------+
#
# Taps outside of the map read one row of zeros that all share. Pixels outside of the output are
# not stored. A strip is some rows of tiles, of one image or of several, because each strip reads
# all weights. Every sum is a chain of single fused operations, and no operation adds two
# products. So there is only one way to contract it, and the bits depend neither on lanes nor on
# tiles, strips, batch or threads.

cdef enum:
    WINOGRAD_SIDE = 6             # of the larger tile's input
    WINOGRAD_STRIP = 64           # tiles of a strip, at least


cdef str winograd_error(const StepData* s):
    cdef const Geometry* g = &s.g
    if g.kh != 3 or g.kw != 3 or g.sh != 1 or g.sw != 1 or g.dh != 1 or g.dw != 1:
        return ("kernel, stride and dilation must be 3 x 3, (1, 1) and (1, 1), "
                f"got {g.kh} x {g.kw}, ({g.sh}, {g.sw}) and ({g.dh}, {g.dw})")
    if g.groups != 1:
        return f"groups must be 1, got {g.groups}"
    if g.tile not in (2, 4):
        return f"tile must be 2 or 4, got {g.tile}"
    return proportion_error(g) or window_error(g)


cdef inline Py_ssize_t matrices(const Geometry* g) noexcept nogil:
    return (g.tile + 2) * (g.tile + 2)


cdef Sizes winograd_weigh(const Geometry* g) noexcept:
    cdef Sizes sizes = no_weights(g)
    sizes.bias = filled(g.oc, LANES)
    sizes.weight = <double>matrices(g) * g.c * sizes.bias
    return sizes


cdef void winograd_cut(StepData* s, int threads) noexcept nogil:
    """Cut rows of tiles of all images.

    Where there are few strips, threads share the panels instead: transforming the input again costs
    less than smaller strips.
    """
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t across = ceil_div(g.ow, g.tile)
    cdef Py_ssize_t floats_per_row = min(
        matrices(g) * across * (g.c + g.oc), STRIP_FLOATS // ceil_div(WINOGRAD_STRIP, across))
    cut_rows(s, 1, 1, g.n * ceil_div(g.oh, g.tile), floats_per_row, ceil_div(g.oc, PANEL), 1)
    if s.row_blocks < 4 * threads:
        s.panel_blocks = min(s.panels, threads)
        s.strips *= s.panel_blocks


cdef inline Py_ssize_t winograd_pitch(Py_ssize_t tiles, Py_ssize_t channels) noexcept nogil:
    """Return the floats from one matrix to the next: a cache line more than it has, for other cache sets."""
    return round_up(tiles * round_up(channels, LANES), 16) + 16


cdef inline Py_ssize_t winograd_zeros(const Geometry* g) noexcept nogil:
    return round_up(max(g.c, g.oc), PANEL)


cdef Py_ssize_t winograd_scratch(const StepData* s, Py_ssize_t rows) noexcept nogil:
    """Return the floats of a row of zeros, pixel pointers and the matrices V and M."""
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t tiles = rows * ceil_div(g.ow, g.tile)
    return winograd_zeros(g) + round_up(2 * tiles, 16) + matrices(g) * (
        winograd_pitch(tiles, g.c) + winograd_pitch(tiles, g.oc))


cdef inline INLINE_VOID winograd_input(int side, const vec* d, vec* t) noexcept nogil:
    """Compute t = B^T d for the pixels of a line."""
    # tile 2     d0  d1  d2  d3   point     tile 4     d0     d1     d2     d3     d4   d5   point
    #     t0  |  -1   0   1   0 |   0           t0  | 81/64   0   -45/16    0     1    0 |    0
    #     t1  |   0   1   1   0 |   1           t1  |   0  -27/32  -9/16   3/2    1    0 |   3/2
    #     t2  |   0  -1   1   0 |  -1           t2  |   0   27/32  -9/16  -3/2    1    0 |  -3/2
    #     t3  |   0  -1   0   1 |  inf.         t3  |   0  -27/16  -9/4    3/4    1    0 |   3/4
    #                                           t4  |   0   27/16  -9/4   -3/4    1    0 |  -3/4
    #                                           t5  |   0   81/64    0   -45/16   0    1 |   inf.
    #
    # Two points that differ in sign share their products: t1 and t2 are even +- 3/2 odd.
    cdef vec even, odd
    if side == 4:
        t[0] = vec_sub(d[2], d[0])
        t[1] = vec_add(d[2], d[1])
        t[2] = vec_sub(d[2], d[1])
        t[3] = vec_sub(d[3], d[1])
    else:
        t[0] = vec_fma_scalar(1.265625, d[0], vec_fma_scalar(-2.8125, d[2], d[4]))
        even = vec_fma_scalar(-0.5625, d[2], d[4])
        odd = vec_fma_scalar(-0.5625, d[1], d[3])
        t[1] = vec_fma_scalar(1.5, odd, even)
        t[2] = vec_fma_scalar(-1.5, odd, even)
        even = vec_fma_scalar(-2.25, d[2], d[4])
        odd = vec_fma_scalar(-2.25, d[1], d[3])
        t[3] = vec_fma_scalar(0.75, odd, even)
        t[4] = vec_fma_scalar(-0.75, odd, even)
        t[5] = vec_fma_scalar(1.265625, d[1], vec_fma_scalar(-2.8125, d[3], d[5]))


cdef inline INLINE_VOID winograd_output(int side, const vec* m, vec start, vec* y) noexcept nogil:
    """Compute y = start + A^T m, the output pixels of a line."""
    # tile 2     m0  m1  m2  m3             tile 4     m0   m1    m2     m3      m4   m5
    #     y0  |   1   1   1   0 |               y0  |   1    1     1      1       1    0 |
    #     y1  |   0   1  -1   1 |               y1  |   0   3/2  -3/2    3/4    -3/4   0 |
    #                                           y2  |   0   9/4   9/4    9/16    9/16  0 |
    #                                           y3  |   0  27/8 -27/8   27/64  -27/64  1 |
    cdef vec even = vec_add(m[1], m[2])
    cdef vec odd = vec_sub(m[1], m[2])
    cdef vec even2, odd2
    y[0] = vec_add(vec_add(start, m[0]), even)
    if side == 4:
        y[1] = vec_add(vec_add(start, m[3]), odd)
    else:
        even2 = vec_add(m[3], m[4])
        odd2 = vec_sub(m[3], m[4])
        y[0] = vec_add(y[0], even2)
        y[1] = vec_fma_scalar(0.75, odd2, vec_fma_scalar(1.5, odd, start))
        y[2] = vec_fma_scalar(0.5625, even2, vec_fma_scalar(2.25, even, start))
        y[3] = vec_fma_scalar(0.421875, odd2, vec_fma_scalar(3.375, odd, vec_add(start, m[5])))


cdef struct WinogradTile:
    Py_ssize_t image, row, column               # of its first output pixel


cdef inline WinogradTile winograd_tile(const Geometry* g, Py_ssize_t index) noexcept nogil:
    """Return tile number `index` of all images."""
    cdef Py_ssize_t across = ceil_div(g.ow, g.tile), down = ceil_div(g.oh, g.tile)
    cdef WinogradTile tile
    tile.image = index // (across * down)
    tile.row = index // across % down * g.tile
    tile.column = index % across * g.tile
    return tile


cdef inline INLINE_VOID winograd_take(
    int side, const StepData* s, WinogradTile tile, const float* zeros, float* v, Py_ssize_t pitch
) noexcept nogil:
    """Compute B^T d B of one tile; matrix i * side + j begins at v + (i * side + j) * pitch."""
    cdef const Geometry* g = &s.g
    cdef const float* pixel[WINOGRAD_SIDE][WINOGRAD_SIDE]
    cdef vec middle[WINOGRAD_SIDE][WINOGRAD_SIDE]
    cdef vec d[WINOGRAD_SIDE]
    cdef vec t[WINOGRAD_SIDE]
    cdef Py_ssize_t row, column, block, c
    cdef int i, j
    for i in range(side):
        for j in range(side):
            row = tile.row - g.top + i
            column = tile.column - g.left + j
            pixel[i][j] = zeros
            if 0 <= row < g.h and 0 <= column < g.w:
                pixel[i][j] = s.x + ((tile.image * g.h + row) * g.w + column) * g.c
    for block in range(ceil_div(g.c, LANES)):
        c = block * LANES
        for j in range(side):
            for i in range(side):
                if g.c - c >= LANES:
                    d[i] = vec_load(pixel[i][j] + c)
                else:
                    d[i] = vec_load_first(pixel[i][j] + c, g.c - c)
            winograd_input(side, d, t)
            for i in range(side):
                middle[i][j] = t[i]
        for i in range(side):
            winograd_input(side, middle[i], t)
            for j in range(side):
                vec_store(v + (i * side + j) * pitch + c, t[j])


cdef inline INLINE_VOID winograd_give(
    int side, const StepData* s, WinogradTile tile, const float* m, Py_ssize_t pitch,
    Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """Compute A^T M A of one tile and store its pixels, channels first .. last, that exist."""
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t rows = min(g.tile, g.oh - tile.row), columns = min(g.tile, g.ow - tile.column)
    cdef Py_ssize_t start = ((tile.image * g.oh + tile.row) * g.ow + tile.column) * g.oc, at, block, c
    cdef vec middle[WINOGRAD_SIDE][WINOGRAD_SIDE]
    cdef vec line[WINOGRAD_SIDE]
    cdef vec y[WINOGRAD_SIDE]
    cdef vec low = vec_fill(g.low), high = vec_fill(g.high)
    cdef vec zero = vec_fill(0)
    cdef int i, j
    for block in range(ceil_div(last - first, LANES)):
        c = first + block * LANES
        for j in range(side):
            for i in range(side):
                line[i] = vec_load(m + (i * side + j) * pitch + block * LANES)
            winograd_output(side, line, zero, y)
            for i in range(side - 2):
                middle[i][j] = y[i]
        for i in range(rows):
            winograd_output(side, middle[i], vec_load(s.bias + c), y)
            for j in range(columns):
                at = start + (i * g.ow + j) * g.oc + c
                if last - c >= LANES:
                    if s.residual != NULL:
                        y[j] = vec_add(y[j], vec_load(s.residual + at))
                    vec_store(s.y + at, vec_min(high, vec_max(low, y[j])))
                else:
                    if s.residual != NULL:
                        y[j] = vec_add(y[j], vec_load_first(s.residual + at, last - c))
                    vec_store_first(s.y + at, vec_min(high, vec_max(low, y[j])), last - c)


cdef void winograd_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef Py_ssize_t across = ceil_div(g.ow, g.tile), count = (strip.last - strip.first) * across
    cdef Py_ssize_t tiles = strip.first * across            # before this strip
    cdef Columns columns = share_columns(g.oc, GEMM_VECS)
    cdef Py_ssize_t first = first_column(&columns, strip.first_panel)
    cdef Py_ssize_t last = min(g.oc, first_column(&columns, strip.last_panel))
    cdef Py_ssize_t v_row = round_up(g.c, LANES), segment = 0, i, matrix
    cdef Py_ssize_t v_pitch = winograd_pitch(count, g.c), m_pitch = winograd_pitch(count, last - first)
    cdef Py_ssize_t packed = g.c * round_up(g.oc, LANES)    # floats of a matrix of weights
    cdef float* zeros = scratch
    cdef const float** pixels = <const float**>(zeros + winograd_zeros(g))       # (count,)
    cdef float* v = <float*>pixels + round_up(2 * count, 16)        # (matrices, count, v_row), pitched
    cdef float* m = v + matrices(g) * v_pitch                       # (matrices, count, ldc), pitched
    cdef WinogradTile tile
    cdef GemmJob t
    cdef Panels p
    t.pixel, t.segment, t.segments, t.length = pixels, &segment, 1, g.c
    t.residual, t.ldc, t.low, t.high = NULL, round_up(last - first, LANES), -INFINITY, INFINITY
    t.far = False
    p.bias, p.columns = zeros, share_columns(round_up(g.oc, LANES), GEMM_VECS)
    p.first, p.last = strip.first_panel, strip.last_panel
    memset(zeros, 0, 4 * winograd_zeros(g))
    for i in range(count):
        tile = winograd_tile(g, tiles + i)
        if g.tile == 4:
            winograd_take(6, s, tile, zeros, v + i * v_row, v_pitch)
        else:
            winograd_take(4, s, tile, zeros, v + i * v_row, v_pitch)
    for matrix in range(matrices(g)):
        for i in range(count):
            pixels[i] = v + matrix * v_pitch + i * v_row
        p.weight = s.weight + matrix * packed
        p.after = weights_after(s, index)
        if matrix + 1 < matrices(g):
            p.after = p.weight + packed + first * g.c
        t.c = m + matrix * m_pitch
        gemm_panels(&t, count, &p)
    for i in range(count):
        tile = winograd_tile(g, tiles + i)
        if g.tile == 4:
            winograd_give(6, s, tile, m + i * t.ldc, m_pitch, first, last)
        else:
            winograd_give(4, s, tile, m + i * t.ldc, m_pitch, first, last)


cdef Op* winograd = new_convolution("winograd", convolution_mult_adds)
winograd.error = winograd_error
winograd.weigh = winograd_weigh
winograd.second = output_floats
winograd.cut = winograd_cut
winograd.scratch = winograd_scratch
winograd.strip = winograd_strip
