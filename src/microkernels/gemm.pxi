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
# A tile is at most GEMM_VECS vecs wide, as wide as a panel, and at most GEMM_ROWS_4, 3, 2 or 1 pixels
# tall, for its width in vecs; simd.h says why. Its sums stay in registers while k runs.
# All callers of gemm_body pass constants for rows and vecs, so the compiler unrolls the loops
# over them. gemm_tiles_1 to 4 are not inlined, because their callers' variables would take registers
# away from the sums. They compute all tiles that have the same number of pixels, because a call for
# each tile would cost as much as the tile where k is short.
#
# Not here: passes over k (frame/panels.pxi), threads (frame/team.pxi), borders (frame/window.pxi).
# Each output element is one chain of multiply-adds with k ascending, so its bits do not depend on the
# tile that computes it.

cdef extern from *:
    """
    /* gemm_width writes out the heights 1 to 12; a taller tile would compute nothing. */
    typedef char gemm_heights_are_complete[
        GEMM_ROWS_4 <= GEMM_ROWS_3 && GEMM_ROWS_3 <= GEMM_ROWS_2 && GEMM_ROWS_2 <= GEMM_ROWS_1
            && GEMM_ROWS_1 <= 12 && GEMM_VECS <= 4 ? 1 : -1];
    """

cdef enum:
    GEMM_NEAR = 8                 # rows of the own panel that a tile asks for ahead
    GEMM_PANELS = (7 + GEMM_VECS) // GEMM_VECS     # panels that gemm_row computes at a time

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
    bint far                      # c is in no near cache: ask for it
    bint resume                   # c holds the sums of the segments before these: go on from there

cdef struct Prefetch:             # hints, any of which may be ignored
    const float* next             # the next cache line to ask for: of the panel that is read next
    const float* end              # where that panel ends
    Py_ssize_t ahead              # floats of it to ask for at each k
    Py_ssize_t rows               # the first k of each tile that do so, and ask for its own panel too


cdef inline INLINE_VOID gemm_multiply(
    int rows, int vecs, const float** row, const float* b, Py_ssize_t k, vec[GEMM_VECS]* acc
) noexcept nogil:
    """Add the products of one k."""
    cdef vec bs[GEMM_VECS]
    cdef int i, j
    for j in range(vecs):
        bs[j] = vec_load(b + j * LANES)
    for i in range(rows):
        for j in range(vecs):
            acc[i][j] = vec_fma_scalar(row[i][k], bs[j], acc[i][j])


cdef inline INLINE_VOID gemm_body(
    int rows, int vecs, const GemmJob* t, const Prefetch* hint, Py_ssize_t first, Py_ssize_t tiles
) noexcept nogil:
    """Compute `tiles` tiles of `rows` pixels each, from pixel `first` on."""
    cdef vec acc[GEMM_ROWS_1][GEMM_VECS]
    cdef const float* row[GEMM_ROWS_1]
    cdef const float* const* pixel = t.pixel + first
    cdef const float* b
    cdef const float* next = hint.next
    cdef Py_ssize_t tile, s, k, asking, left, length = t.length, ahead = hint.ahead
    cdef Py_ssize_t start = first * t.ldc
    cdef int i, j
    for tile in range(tiles):
        b = t.b
        left = hint.rows if next < hint.end else 0
        if t.far:
            for i in range(rows):
                for j in range((vecs * LANES + 15) // 16):         # cache lines
                    prefetch(t.c + start + i * t.ldc + 16 * j)
        if t.resume:
            gemm_resume(rows, vecs, t, start, acc)
        else:
            for j in range(vecs):
                for i in range(rows):
                    acc[i][j] = vec_load(t.bias + j * LANES)
        for s in range(t.segments):
            for i in range(rows):
                row[i] = pointer_again(pixel + i) + t.segment[s]
            asking = min(left, length)
            left -= asking
            for k in range(asking):
                prefetch(next)
                next += ahead
                for j in range((vecs * LANES + 15) // 16):         # cache lines
                    prefetch(b + GEMM_NEAR * vecs * LANES + 16 * j)
                gemm_multiply(rows, vecs, row, b, k, acc)
                b += vecs * LANES
            for k in range(asking, length):
                gemm_multiply(rows, vecs, row, b, k, acc)
                b += vecs * LANES
        gemm_finish(rows, vecs, t, start, acc)
        start += rows * t.ldc
        pixel += rows


cdef inline INLINE_VOID gemm_resume(
    int rows, int vecs, const GemmJob* t, Py_ssize_t start, vec[GEMM_VECS]* acc
) noexcept nogil:
    """Load the sums so far. Without masks, a last vec that is not whole passes through `edge`."""
    cdef float edge[GEMM_ROWS_1 * LANES]
    cdef Py_ssize_t pitch = t.ldc, whole = (vecs - 1) * LANES, count = t.columns - whole
    cdef const float* c = t.c + start
    cdef const float* last = c + whole
    cdef int i, j
    if count < LANES and not HAS_MASKS:
        copy_rows(edge, LANES, last, pitch, rows, count)
        last = edge
        pitch = LANES
    for i in range(rows):
        for j in range(vecs - 1):
            acc[i][j] = vec_load(c + j * LANES)
        acc[i][vecs - 1] = vec_load_last(last, count)
        c += t.ldc
        last += pitch


cdef inline INLINE_VOID gemm_finish(
    int rows, int vecs, const GemmJob* t, Py_ssize_t start, vec[GEMM_VECS]* acc
) noexcept nogil:
    """Add the residual, clamp and store. A last vec is treated as in gemm_resume."""
    cdef float edge[GEMM_ROWS_1 * LANES]
    cdef Py_ssize_t ldc = t.ldc, pitch = ldc, whole = (vecs - 1) * LANES, count = t.columns - whole
    cdef const float* residual = t.residual
    cdef const float* last_residual
    cdef float* c = t.c + start
    cdef float* last = c + whole
    cdef vec low = vec_fill(t.low), high = vec_fill(t.high)
    cdef int i, j
    if count < LANES and not HAS_MASKS:
        last = edge
        pitch = LANES
    if residual != NULL:
        residual += start
        last_residual = residual + whole
        if count < LANES and not HAS_MASKS:
            copy_rows(edge, LANES, last_residual, ldc, rows, count)
            last_residual = edge
        for i in range(rows):
            for j in range(vecs - 1):
                acc[i][j] = vec_add(acc[i][j], vec_load(residual + j * LANES))
            acc[i][vecs - 1] = vec_add(acc[i][vecs - 1], vec_load_last(last_residual, count))
            residual += ldc
            last_residual += pitch
    for i in range(rows):
        for j in range(vecs - 1):
            vec_store(c + j * LANES, vec_min(high, vec_max(low, acc[i][j])))
        vec_store_last(last, vec_min(high, vec_max(low, acc[i][vecs - 1])), count)
        c += ldc
        last += pitch
    if count < LANES and not HAS_MASKS:
        copy_rows(t.c + start + whole, ldc, edge, LANES, rows, count)


cdef NOINLINE_VOID gemm_row(const GemmJob* t, Py_ssize_t pitch) noexcept nogil:
    """Compute one pixel of GEMM_PANELS whole panels, which lie `pitch` floats apart.

    A tile of one row has two chains of sums, which wait for each other, and reads one cache line at
    a time. Eight chains and four streams of weights are faster (AVX2, 1024 -> 1001: 208 -> 150 us,
    1280 -> 1000: 258 -> 175 us).
    """
    cdef vec acc[GEMM_ROWS_1][GEMM_VECS]
    cdef const float* row
    cdef const float* b = t.b
    cdef Py_ssize_t s, k
    cdef int i, j
    cdef GemmJob side = t[0]
    for i in range(GEMM_PANELS):
        for j in range(GEMM_VECS):
            acc[i][j] = vec_load(t.bias + i * PANEL + j * LANES)
    for s in range(t.segments):
        row = t.pixel[0] + t.segment[s]
        for k in range(t.length):
            for i in range(GEMM_PANELS):
                for j in range(GEMM_VECS):
                    acc[i][j] = vec_fma_scalar(row[k], vec_load(b + i * pitch + j * LANES), acc[i][j])
            b += PANEL
    side.ldc, side.columns = PANEL, PANEL         # the panels of this pixel play the part of rows
    gemm_finish(GEMM_PANELS, GEMM_VECS, &side, 0, acc)


cdef inline INLINE_VOID gemm_width(
    int most, int rows, int vecs, const GemmJob* t, const Prefetch* hint,
    Py_ssize_t first, Py_ssize_t tiles,
) noexcept nogil:
    """Call gemm_body with a constant for each height up to `most`."""
    if rows == 1: gemm_body(1, vecs, t, hint, first, tiles)
    elif rows == 2: gemm_body(2, vecs, t, hint, first, tiles)
    elif rows == 3: gemm_body(3, vecs, t, hint, first, tiles)
    elif rows == 4: gemm_body(4, vecs, t, hint, first, tiles)
    elif rows == 5: gemm_body(5, vecs, t, hint, first, tiles)
    elif rows == 6: gemm_body(6, vecs, t, hint, first, tiles)
    elif most >= 7 and rows == 7: gemm_body(7, vecs, t, hint, first, tiles)
    elif most >= 8 and rows == 8: gemm_body(8, vecs, t, hint, first, tiles)
    elif most >= 9 and rows == 9: gemm_body(9, vecs, t, hint, first, tiles)
    elif most >= 10 and rows == 10: gemm_body(10, vecs, t, hint, first, tiles)
    elif most >= 11 and rows == 11: gemm_body(11, vecs, t, hint, first, tiles)
    elif most >= 12 and rows == 12: gemm_body(12, vecs, t, hint, first, tiles)


# Each width has a function of its own, because what gcc keeps in registers in one loop depends on all
# loops of a function.

cdef NOINLINE_VOID gemm_tiles_1(
    int rows, const GemmJob* t, const Prefetch* hint, Py_ssize_t first, Py_ssize_t tiles
) noexcept nogil:
    gemm_width(GEMM_ROWS_1, rows, 1, t, hint, first, tiles)


cdef NOINLINE_VOID gemm_tiles_2(
    int rows, const GemmJob* t, const Prefetch* hint, Py_ssize_t first, Py_ssize_t tiles
) noexcept nogil:
    gemm_width(GEMM_ROWS_2, rows, 2, t, hint, first, tiles)


cdef NOINLINE_VOID gemm_tiles_3(
    int rows, const GemmJob* t, const Prefetch* hint, Py_ssize_t first, Py_ssize_t tiles
) noexcept nogil:
    if GEMM_VECS >= 3: gemm_width(GEMM_ROWS_3, rows, 3, t, hint, first, tiles)


cdef NOINLINE_VOID gemm_tiles_4(
    int rows, const GemmJob* t, const Prefetch* hint, Py_ssize_t first, Py_ssize_t tiles
) noexcept nogil:
    if GEMM_VECS >= 4: gemm_width(GEMM_ROWS_4, rows, 4, t, hint, first, tiles)


cdef inline int gemm_rows(int vecs) noexcept nogil:
    """Return the pixels of the tallest tile of a width."""
    if vecs <= 2:
        return GEMM_ROWS_1 if vecs == 1 else GEMM_ROWS_2
    return GEMM_ROWS_3 if vecs == 3 else GEMM_ROWS_4


cdef void gemm_tiles(
    int rows, int vecs, const GemmJob* t, const Prefetch* hint, Py_ssize_t first, Py_ssize_t tiles
) noexcept nogil:
    """Compute tiles of any height and width."""
    if vecs == 4: gemm_tiles_4(rows, t, hint, first, tiles)
    elif vecs == 3: gemm_tiles_3(rows, t, hint, first, tiles)
    elif vecs == 2: gemm_tiles_2(rows, t, hint, first, tiles)
    else: gemm_tiles_1(rows, t, hint, first, tiles)
