# Winograd's minimal filtering for plain 3 x 3 convolutions (Lavin and Gray, arXiv 1509.09308): F(4 x 4)
# takes 36 products for 16 pixels instead of 144, F(2 x 2) 16 for 4 instead of 36. An option, off by
# default, because it rounds otherwise than the defining sum: see `dsconv.compiler.compile`.
#
#   y = clamp(bias + A^T [ sum over c of (G g[c] G^T) * (B^T d[c] B) ] A + residual)
#
# d: the input pixels under a tile of output pixels, 2 more each way; g: 3 x 3 weights, transformed
# once, in double precision (dsconv/_winograd.py has the matrices and chooses the tile); * by element.
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
# Taps outside of the map read one row of zeros that all share; pixels outside of the output are not
# stored. A strip is some rows of tiles, of one image or of several: each strip reads all weights.
# Every sum is a chain of single fused operations, and no operation adds two products: there is one way
# to contract it, and the bits depend neither on lanes nor on tiles, strips, batch or threads.

cdef enum:
    WINOGRAD_SIDE = 6             # of the larger tile's input
    WINOGRAD_STRIP = 64           # tiles of a strip, at least


cdef inline INLINE_VOID winograd_input(int side, const vec* d, vec* t) noexcept nogil:
    """t = B^T d for the pixels of a line. Points 0, 1, -1 or 0, 3/2, -3/2, 3/4, -3/4, and infinity."""
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
    """y = start + A^T m: the output pixels of a line."""
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
    """Tile number `index` of all images."""
    cdef Py_ssize_t across = ceil_div(g.ow, g.tile), down = ceil_div(g.oh, g.tile)
    cdef WinogradTile tile
    tile.image = index // (across * down)
    tile.row = index // across % down * g.tile
    tile.column = index % across * g.tile
    return tile


cdef inline INLINE_VOID winograd_take(
    int side, const StepData* s, WinogradTile tile, const float* zeros, float* v, Py_ssize_t pitch
) noexcept nogil:
    """B^T d B of one tile; matrix i * side + j begins at v + (i * side + j) * pitch."""
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
    """A^T M A of one tile, channels first .. last, with all that follows; as far as pixels exist."""
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t rows = min(g.tile, g.oh - tile.row), columns = min(g.tile, g.ow - tile.column)
    cdef Py_ssize_t start = ((tile.image * g.oh + tile.row) * g.ow + tile.column) * g.oc, at, block, c
    cdef vec middle[WINOGRAD_SIDE][WINOGRAD_SIDE]
    cdef vec line[WINOGRAD_SIDE]
    cdef vec y[WINOGRAD_SIDE]
    cdef vec low = vec_fill(g.low)
    cdef vec high = vec_fill(g.high)
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


cdef void winograd_shape(const Geometry* g, Py_ssize_t* rows, Py_ssize_t* floats_per_row) noexcept nogil:
    """What divide() cuts: rows of tiles, of all images."""
    cdef Py_ssize_t across = ceil_div(g.ow, g.tile), matrices = (g.tile + 2) * (g.tile + 2)
    rows[0] = g.n * ceil_div(g.oh, g.tile)
    floats_per_row[0] = min(
        matrices * across * (g.c + g.oc), STRIP_FLOATS // ceil_div(WINOGRAD_STRIP, across))


cdef inline Py_ssize_t winograd_pitch(Py_ssize_t tiles, Py_ssize_t channels) noexcept nogil:
    """Floats from one matrix to the next: a cache line more than it has, for other cache sets."""
    return round_up(tiles * round_up(channels, LANES), 16) + 16


cdef Py_ssize_t winograd_scratch(const Geometry* g, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t tiles = rows * ceil_div(g.ow, g.tile)
    return round_up(max(g.c, g.oc), BLOCK) + round_up(2 * tiles, 16) + (g.tile + 2) * (g.tile + 2) * (
        winograd_pitch(tiles, g.c) + winograd_pitch(tiles, g.oc))


cdef void winograd_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t across = ceil_div(g.ow, g.tile), matrices = (g.tile + 2) * (g.tile + 2)
    cdef Strip strip = locate(s, index, g.n * ceil_div(g.oh, g.tile), ceil_div(g.oc, BLOCK))
    cdef Py_ssize_t tiles = strip.first * across, count = (strip.last - strip.first) * across
    cdef Py_ssize_t first = strip.first_panel * BLOCK, last = min(g.oc, strip.last_panel * BLOCK)
    cdef Py_ssize_t columns = round_up(g.oc, LANES), segment = 0, i, matrix
    cdef Py_ssize_t v_pitch = winograd_pitch(count, g.c), m_pitch = winograd_pitch(count, last - first)
    cdef float* zeros = scratch
    cdef const float** pixels = <const float**>(zeros + round_up(max(g.c, g.oc), BLOCK))
    cdef float* v = <float*>pixels + round_up(2 * count, 16)
    cdef float* m = v + matrices * v_pitch
    cdef const float* weight = s.weight
    cdef Panel t
    t.segment = &segment
    t.segments = 1
    t.length = g.c
    t.ldc = round_up(last - first, LANES)
    t.low = -INFINITY
    t.high = INFINITY
    memset(zeros, 0, 4 * round_up(max(g.c, g.oc), BLOCK))
    for i in range(count):
        if g.tile == 4:
            winograd_take(6, s, winograd_tile(g, tiles + i), zeros, v + i * round_up(g.c, LANES), v_pitch)
        else:
            winograd_take(4, s, winograd_tile(g, tiles + i), zeros, v + i * round_up(g.c, LANES), v_pitch)
    for matrix in range(matrices):
        for i in range(count):
            pixels[i] = v + matrix * v_pitch + i * round_up(g.c, LANES)
        t.after = weights_after(s, index)
        if matrix + 1 < matrices:
            t.after = weight + (columns + first) * g.c
        gemm_panels(
            &t, pixels, count, weight, zeros, NULL, m + matrix * m_pitch - first,
            columns, strip.first_panel, strip.last_panel)
        weight += columns * g.c
    for i in range(count):
        if g.tile == 4:
            winograd_give(6, s, winograd_tile(g, tiles + i), m + i * t.ldc, m_pitch, first, last)
        else:
            winograd_give(4, s, winograd_tile(g, tiles + i), m + i * t.ldc, m_pitch, first, last)
