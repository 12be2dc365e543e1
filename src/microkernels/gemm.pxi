# GEMM tile: the place where standard, pointwise and dense layers do their multiplications, and the
# pointwise stages of separable blocks and inverted residuals.
#
#   C[rows x columns] = clamp(bias + sum over segments s of A_s[rows x length] @ B_s[length x columns]
#                             + residual)
#
# Loop nest:  for tile: for s in segments: for k in length: for i in rows: for j in vecs:
#                 acc[i][j] += A[i][k] * B[k][j]
#
# A has one row for each output pixel. A segment is a run of inputs that lie side by side: a pointwise
# layer has one, a 3 x 3 convolution one for each kernel row. Pixel i of segment s reads the floats
# pixel[i][segment[s] .. segment[s] + length), so a convolution only has to say where these are.
# B is packed in panels, and a tile reads one panel from front to back, once:
#
#        columns of C ->                      one panel, `width` = vecs * LANES floats wide
#      +---------+---------+-----+           +-----------------------+
#    k | panel 0 | panel 1 | ... |           | k = 0: width floats   |
#    | |         |         |     |           | k = 1: width floats   |  k runs over all
#    v |         |         |     |           | ...                   |  segments in order
#      +---------+---------+-----+           +-----------------------+
#
# The sums of a tile, GEMM_ROWS x 2 vecs or GEMM_ROWS_NARROW x 1, stay in registers while k runs.
# All callers of gemm_body pass constants for rows and vecs, so the compiler unrolls the loops
# over them. gemm_tiles is not inlined, because its callers' variables would take registers away
# from the sums. gemm_tiles computes all tiles that have the same number of pixels, because a call for
# each tile would cost as much as the tile where k is short.
#
# Not here: blocking over k, threads (frame/team.pxi), borders (frame/window.pxi). Each output element
# is one chain of multiply-adds with k ascending, so its bits do not depend on the tile that computes
# it.

cdef extern from *:
    """
    /* gemm_heights writes out the heights 1 to 12; a taller tile would compute nothing. */
    typedef char gemm_heights_are_complete[
        GEMM_ROWS <= GEMM_ROWS_NARROW && GEMM_ROWS_NARROW <= 12 ? 1 : -1];
    """

cdef enum:
    GEMM_PANELS = 4               # panels that gemm_row computes at a time

cdef struct GemmJob:
    const float* const* pixel     # (pixels,) the address of each output pixel's inputs
    const Py_ssize_t* segment     # (segments,) offsets from there, in floats
    Py_ssize_t segments, length   # every segment has `length` floats
    const float* b                # one packed panel
    const float* bias             # (width,)
    const float* residual         # laid out like c, or NULL
    float* c                      # first pixel, first column of the panel
    Py_ssize_t ldc                # floats from one pixel of c to the next
    Py_ssize_t columns            # columns of the panel that exist, at most `width`
    float low, high

cdef struct Prefetch:             # hints, any of which may be ignored
    const float* next             # the next cache line to ask for: of the panel that is read next
    const float* end              # where that panel ends
    Py_ssize_t ahead              # floats of it to ask for at each k; 0: ask for nothing


cdef inline INLINE_VOID prefetch_row(int vecs, const float* next) noexcept nogil:
    """Ask memory for one row of a panel."""
    prefetch(next)
    if vecs * LANES > 16:                   # a row is longer than a cache line
        prefetch(next + 16)


cdef inline INLINE_VOID gemm_body(
    int rows, int vecs, bint fetch, const GemmJob* t, const Prefetch* hint,
    Py_ssize_t first, Py_ssize_t tiles,
) noexcept nogil:
    """Compute `tiles` tiles of `rows` pixels each, from pixel `first` on."""
    cdef vec acc[GEMM_ROWS_NARROW][2]
    cdef vec bs[2]
    cdef const float* row[GEMM_ROWS_NARROW]
    cdef const float* const* pixel
    cdef const float* b
    cdef const float* next = hint.next
    cdef Py_ssize_t tile, s, k, length = t.length, ahead = hint.ahead
    cdef int i, j
    for tile in range(tiles):
        pixel = t.pixel + first
        b = t.b
        if fetch and next >= hint.end:
            ahead = 0
        for j in range(vecs):
            for i in range(rows):
                acc[i][j] = vec_load(t.bias + j * LANES)
        for s in range(t.segments):
            for i in range(rows):
                row[i] = pixel[i] + t.segment[s]
            for k in range(length):
                if fetch:
                    prefetch_row(vecs, next)
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


cdef inline INLINE_VOID gemm_finish(
    int rows, int j, const GemmJob* t, Py_ssize_t start, vec[2]* acc
) noexcept nogil:
    """Add the residual, clamp and store column j of vecs; a part of a vec passes through `edge`."""
    cdef float edge[GEMM_ROWS_NARROW * LANES]
    cdef Py_ssize_t left = t.columns - j * LANES, ldr = t.ldc, ldc = t.ldc
    cdef const float* residual = t.residual
    cdef float* c = t.c + start
    cdef vec low = vec_fill(t.low), high = vec_fill(t.high)
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


cdef NOINLINE_VOID gemm_row(const GemmJob* t, Py_ssize_t pitch) noexcept nogil:
    """Compute one pixel of GEMM_PANELS whole panels, which lie `pitch` floats apart.

    A tile of one row has two chains of sums, which wait for each other, and reads one cache line at
    a time. Eight chains and four streams of weights are faster (AVX2, 1024 -> 1001: 208 -> 150 us,
    1280 -> 1000: 258 -> 175 us).
    """
    cdef vec acc[GEMM_ROWS_NARROW][2]
    cdef const float* row
    cdef const float* b = t.b
    cdef Py_ssize_t s, k
    cdef int i, j
    cdef GemmJob side = t[0]
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
    side.ldc = BLOCK              # reuse gemm_finish: the panels of this pixel play the part of rows
    for j in range(2):
        gemm_finish(GEMM_PANELS, j, &side, j * LANES, acc)


cdef inline INLINE_VOID gemm_heights(
    int rows, int vecs, bint fetch, const GemmJob* t, const Prefetch* hint,
    Py_ssize_t first, Py_ssize_t tiles,
) noexcept nogil:
    """Call gemm_body with a constant for each height that the tiles of this width have."""
    cdef int most = GEMM_ROWS if vecs == 2 else GEMM_ROWS_NARROW
    if rows == 1: gemm_body(1, vecs, fetch, t, hint, first, tiles)
    elif rows == 2: gemm_body(2, vecs, fetch, t, hint, first, tiles)
    elif rows == 3: gemm_body(3, vecs, fetch, t, hint, first, tiles)
    elif rows == 4: gemm_body(4, vecs, fetch, t, hint, first, tiles)
    elif rows == 5: gemm_body(5, vecs, fetch, t, hint, first, tiles)
    elif rows == 6: gemm_body(6, vecs, fetch, t, hint, first, tiles)
    elif most >= 7 and rows == 7: gemm_body(7, vecs, fetch, t, hint, first, tiles)
    elif most >= 8 and rows == 8: gemm_body(8, vecs, fetch, t, hint, first, tiles)
    elif most >= 9 and rows == 9: gemm_body(9, vecs, fetch, t, hint, first, tiles)
    elif most >= 10 and rows == 10: gemm_body(10, vecs, fetch, t, hint, first, tiles)
    elif most >= 11 and rows == 11: gemm_body(11, vecs, fetch, t, hint, first, tiles)
    elif most >= 12 and rows == 12: gemm_body(12, vecs, fetch, t, hint, first, tiles)


cdef NOINLINE_VOID gemm_tiles(
    int rows, int vecs, const GemmJob* t, const Prefetch* hint, Py_ssize_t first, Py_ssize_t tiles
) noexcept nogil:
    """Compute tiles of any height, one or two vecs wide, with and without prefetching."""
    if vecs == 2 and hint.ahead: gemm_heights(rows, 2, True, t, hint, first, tiles)
    elif vecs == 2: gemm_heights(rows, 2, False, t, hint, first, tiles)
    elif hint.ahead: gemm_heights(rows, 1, True, t, hint, first, tiles)
    else: gemm_heights(rows, 1, False, t, hint, first, tiles)
