# GEMM tile: the place where standard, pointwise and dense layers do their multiplications.
#
#   C[rows x columns] = clamp(bias + sum over segments s of A_s[rows x length] @ B_s + residual)
#
# Loop nest:  for tile: for s in segments: for k in length: for i in rows: for j in vecs: acc[i][j] += ...
#
# A is given by one pointer per output pixel and one offset per segment, so that any convolution can
# be put in front: pixel i of segment s reads pixel[i][segment[s] .. segment[s] + length). B is
# packed in panels that the tile reads from front to back, once:
#
#        columns of C ->                      one panel, `width` = vecs * LANES floats wide
#      +---------+---------+-----+           +-----------------------+
#    k | panel 0 | panel 1 | ... |           | k = 0: width floats   |
#    | |         |         |     |           | k = 1: width floats   |  k runs over all
#    v |         |         |     |           | ...                   |  segments in order
#      +---------+---------+-----+           +-----------------------+
#
# The tile, GEMM_ROWS x 2 vecs or GEMM_ROWS_NARROW x 1, stays in registers while k runs; `rows` and
# `vecs` are literals in every call of `gemm_body`, so the compiler unrolls the loops over them.
# `gemm_tiles` stays a function of its own: inlined into its callers, it would share their registers
# and spill. It runs over all tiles of one height: where k is short, a call for each tile would cost
# as much as the tile. Not here: blocking over k (one chain of fused multiply-adds per output element,
# k ascending, keeps results the same bit for bit whatever the tile), threads, borders.

cdef enum:
    GEMM_PANELS = 4               # that gemm_row takes at a time

cdef struct Panel:
    const float* const* pixel     # (pixels,) where each output pixel's inputs begin
    const Py_ssize_t* segment     # (segments,) offsets from there, in floats
    Py_ssize_t segments, length   # every segment has `length` floats
    const float* b                # one packed panel
    const float* bias             # (width,)
    const float* residual         # laid out like c, or NULL
    float* c                      # first pixel, first column of the panel
    Py_ssize_t ldc                # floats from one pixel of c to the next
    Py_ssize_t columns            # columns of the panel that exist, at most `width`
    float low, high
    const float* after            # what is read when the panels of the strip are done, or NULL
    const float* next             # the panel after this one, up to `end`
    const float* end
    Py_ssize_t ahead              # how many floats of it to ask for at each k; 0: none


cdef inline INLINE_VOID gemm_body(
    int rows, int vecs, bint fetch, const Panel* t, Py_ssize_t first, Py_ssize_t tiles
) noexcept nogil:
    """`tiles` tiles of `rows` pixels each, from pixel `first` on."""
    cdef vec acc[GEMM_ROWS_NARROW][2]
    cdef vec bs[2]
    cdef const float* row[GEMM_ROWS_NARROW]
    cdef const float* const* pixel
    cdef const float* b
    cdef const float* next = t.next
    cdef Py_ssize_t tile, s, k, length = t.length, ahead = t.ahead
    cdef int i, j
    for tile in range(tiles):
        pixel = t.pixel + first
        b = t.b
        if next >= t.end:
            ahead = 0
        for j in range(vecs):
            for i in range(rows):
                acc[i][j] = vec_load(t.bias + j * LANES)
        for s in range(t.segments):
            for i in range(rows):
                row[i] = pixel[i] + t.segment[s]
            for k in range(length):
                if fetch:
                    prefetch(next)
                    if vecs * LANES > CACHE_LINE // 4:
                        prefetch(next + CACHE_LINE // 4)
                    next += ahead
                for j in range(vecs):
                    bs[j] = vec_load(b + j * LANES)
                for i in range(rows):
                    for j in range(vecs):
                        acc[i][j] = vec_fma_scalar(row[i][k], bs[j], acc[i][j])
                b += vecs * LANES
        for j in range(vecs):
            gemm_finish(rows, j, t, first * t.ldc + j * LANES, acc)
        first += rows


cdef NOINLINE_VOID gemm_row(const Panel* t, Py_ssize_t pitch) noexcept nogil:
    """One pixel against GEMM_PANELS whole panels, `pitch` floats apart.

    A tile of one row has two chains, which wait for each other's sums and ask memory for one line
    at a time. Eight chains and four streams of weights are faster (AVX2, 1024 -> 1001: 208 -> 150 us,
    1280 -> 1000: 258 -> 175 us).
    """
    cdef vec acc[GEMM_ROWS_NARROW][2]
    cdef const float* row
    cdef const float* b = t.b
    cdef Py_ssize_t s, k
    cdef int i, j
    cdef Panel side = t[0]                  # the panels stand where a tile has its rows
    side.ldc = BLOCK
    for i in range(GEMM_PANELS):
        for j in range(2):
            acc[i][j] = vec_load(t.bias + i * BLOCK + j * LANES)
    for s in range(t.segments):
        row = t.pixel[0] + t.segment[s]
        for k in range(t.length):
            for i in range(GEMM_PANELS):
                for j in range(2):
                    acc[i][j] = vec_fma_scalar(row[k], vec_load(b + i * pitch + j * LANES), acc[i][j])
            b += BLOCK
    for j in range(2):
        gemm_finish(GEMM_PANELS, j, &side, j * LANES, acc)


cdef inline INLINE_VOID gemm_finish(
    int rows, int j, const Panel* t, Py_ssize_t start, vec[2]* acc
) noexcept nogil:
    """Residual, clamp and store for column j of vecs; a part of a vec goes through `edge`."""
    cdef float edge[GEMM_ROWS_NARROW * LANES]
    cdef Py_ssize_t left = t.columns - j * LANES, ldr = t.ldc, ldc = t.ldc
    cdef const float* residual = t.residual
    cdef float* c = t.c + start
    cdef vec low = vec_fill(t.low)
    cdef vec high = vec_fill(t.high)
    cdef int i
    if residual != NULL:
        residual += start
        if left < LANES:
            copy_rows(edge, LANES, residual, ldr, rows, left)
            residual = edge
            ldr = LANES
        for i in range(rows):
            acc[i][j] = vec_add(acc[i][j], vec_load(residual + i * ldr))
    if left < LANES:
        c = edge
        ldc = LANES
    for i in range(rows):
        vec_store(c + i * ldc, vec_min(high, vec_max(low, acc[i][j])))
    if left < LANES:
        copy_rows(t.c + start, t.ldc, edge, LANES, rows, left)


cdef inline INLINE_VOID gemm_heights(
    int rows, int vecs, bint fetch, const Panel* t, Py_ssize_t first, Py_ssize_t tiles
) noexcept nogil:
    """Tiles of any height: 1 to GEMM_ROWS, or GEMM_ROWS_NARROW where they are one vec wide."""
    if rows == 1:
        gemm_body(1, vecs, fetch, t, first, tiles)
    elif rows == 2:
        gemm_body(2, vecs, fetch, t, first, tiles)
    elif rows == 3:
        gemm_body(3, vecs, fetch, t, first, tiles)
    elif rows == 4:
        gemm_body(4, vecs, fetch, t, first, tiles)
    elif rows == 5:
        gemm_body(5, vecs, fetch, t, first, tiles)
    elif rows == 6:
        gemm_body(6, vecs, fetch, t, first, tiles)
    elif (GEMM_ROWS >= 7 or vecs == 1) and rows == 7:
        gemm_body(7, vecs, fetch, t, first, tiles)
    elif (GEMM_ROWS >= 8 or vecs == 1) and rows == 8:
        gemm_body(8, vecs, fetch, t, first, tiles)
    elif GEMM_ROWS >= 9 and rows == 9:
        gemm_body(9, vecs, fetch, t, first, tiles)
    elif GEMM_ROWS >= 10 and rows == 10:
        gemm_body(10, vecs, fetch, t, first, tiles)
    elif GEMM_ROWS >= 11 and rows == 11:
        gemm_body(11, vecs, fetch, t, first, tiles)
    elif GEMM_ROWS >= 12 and rows == 12:
        gemm_body(12, vecs, fetch, t, first, tiles)


cdef NOINLINE_VOID gemm_tiles(
    int rows, int vecs, const Panel* t, Py_ssize_t first, Py_ssize_t tiles
) noexcept nogil:
    """Tiles of any height, one or two vecs wide, with and without prefetching."""
    if vecs == 2:
        if t.ahead:
            gemm_heights(rows, 2, True, t, first, tiles)
        else:
            gemm_heights(rows, 2, False, t, first, tiles)
    else:
        if t.ahead:
            gemm_heights(rows, 1, True, t, first, tiles)
        else:
            gemm_heights(rows, 1, False, t, first, tiles)
