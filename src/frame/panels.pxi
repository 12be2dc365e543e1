# Panels outside, tiles inside: some output pixels against some packed panels of weights.
#
# Loop nest:  for panel of B: for pass over k: for tiles of one height: gemm_tiles
#
# A panel stays in the L1 or L2 cache while all tiles of the strip pass over it. Meanwhile each tile
# asks memory for its share of the next panel, in its first k, so that it has arrived when its turn
# comes (7 x 7 x 1024, AVX2: 82 -> 97 % of the peak). Prefetching a whole panel between two tiles
# fills the load queue and stalls the next tile. Asking at every k, each line several times, takes
# issue slots from the multiply-adds (AVX-512, 192 -> 32: 65 -> 86 %). Panels with fewer than 64 rows
# need no prefetching.
#
# Panels that pass through the L1 cache for each tile are asked for a second time, a few k ahead. That
# pays where they are long (14 x 14, 1024 -> 256, AVX-512: 80 -> 87 %).
#
# Tile heights share the pixels evenly: 49 pixels in tiles of at most 10 are 10, 10, 10, 10, 9.
# A single pixel, as in dense layers, takes several whole panels at a time.

cdef enum:
    PREFETCH_DEPTH = 64           # rows of a panel from which on the next one is prefetched

cdef struct Panels:
    const float* weight           # packed: one panel after the other
    const float* bias             # (columns,) filled up with zeros to whole vecs
    Columns columns               # of all panels together
    Py_ssize_t first, last        # the panels to compute: first .. last
    const float* after            # the panel that is read next, or NULL: a hint for prefetching


cdef inline Py_ssize_t tiles_of(Py_ssize_t count, int vecs) noexcept nogil:
    """Return how many tiles `count` pixels take. Constants divide faster than variables."""
    if vecs == 4: return ceil_div(count, GEMM_ROWS_4)
    if vecs == 3: return ceil_div(count, GEMM_ROWS_3)
    if vecs == 2: return ceil_div(count, GEMM_ROWS_2)
    return ceil_div(count, GEMM_ROWS_1)


cdef void gemm_panels(GemmJob* t, Py_ssize_t count, const Panels* p) noexcept nogil:
    """Compute `count` pixels of the panels p.first .. p.last.

    `t` brings pixel, segment, segments, length, ldc, low, high, and the addresses c and residual of
    the first pixel's first column of panel p.first.
    """
    cdef Py_ssize_t depth = t.segments * t.length         # k: rows of a packed panel
    cdef Py_ssize_t panel = p.first, column
    cdef Py_ssize_t start = first_column(&p.columns, panel), whole = whole_panels(&p.columns)
    cdef const float* after
    cdef GemmJob job = t[0]
    cdef int vecs
    job.resume = False
    while panel < p.last:
        column = first_column(&p.columns, panel)
        vecs = <int>panel_vecs(&p.columns, panel)
        job.columns = min(vecs * LANES, p.columns.count - column)
        job.b = p.weight + column * depth
        job.bias = p.bias + column
        job.c = t.c + (column - start)
        job.residual = NULL if t.residual == NULL else t.residual + (column - start)
        if count == 1 and panel + GEMM_PANELS <= min(p.last, whole):
            gemm_row(&job, PANEL * depth)
            panel += GEMM_PANELS
            continue
        panel += 1
        after = job.b + vecs * LANES * depth if panel < p.last else p.after
        if vecs * LANES * depth <= STRIP_FLOATS or tiles_of(count, vecs) == 1:
            gemm_pass(&job, vecs, count, after)
        else:
            gemm_passes(&job, vecs, count, after)


cdef void gemm_passes(const GemmJob* t, int vecs, Py_ssize_t count, const float* after) noexcept nogil:
    """Compute a panel that is larger than half of an L2 cache, in several passes over k.

    In one pass each tile would read the whole panel from the L3 cache again (7 x 7, 3 x 3 x 512 -> 512,
    AVX-512: 36 -> 83 % of the peak). Between two passes c holds the sums, so each is still one chain.
    A pass has some whole segments or, where these are too long, a part of one.
    """
    cdef Py_ssize_t most = STRIP_FLOATS // (vecs * LANES)         # rows of the panel in one pass
    cdef Py_ssize_t parts = ceil_div(t.length, most), together = max(1, most // t.length)
    cdef Py_ssize_t segment = 0, first = 0, offset
    cdef GemmJob job = t[0]
    job.residual, job.low, job.high = NULL, -INFINITY, INFINITY
    while segment < t.segments:
        if parts == 1:
            job.segment = t.segment + segment
            job.segments = min(together, t.segments - segment)
            segment += job.segments
        else:
            offset = t.segment[segment] + first
            job.segment, job.segments = &offset, 1
            job.length = min(ceil_div(t.length, parts), t.length - first)
            first += job.length
            if first == t.length:
                segment, first = segment + 1, 0
        if segment == t.segments:
            job.residual, job.low, job.high = t.residual, t.low, t.high
            gemm_pass(&job, vecs, count, after)
        else:
            gemm_pass(&job, vecs, count, job.b + job.segments * job.length * vecs * LANES)
        job.b += job.segments * job.length * vecs * LANES
        job.resume = True


cdef void gemm_pass(const GemmJob* t, int vecs, Py_ssize_t count, const float* after) noexcept nogil:
    """Compute all pixels in tiles of nearly equal height, and ask for what is read after them."""
    cdef Py_ssize_t tiles = tiles_of(count, vecs), share = quotient(count, tiles)
    cdef Py_ssize_t taller = count - share * tiles, depth = t.segments * t.length
    cdef Py_ssize_t floats = depth * vecs * LANES
    cdef Prefetch hint
    hint.next, hint.end, hint.rows, hint.ahead = after, after, 0, 0
    if after != NULL and depth >= PREFETCH_DEPTH:
        hint.end = after + floats
        if floats > STRIP_FLOATS // 2:              # the tile also asks for its own panel in these k
            hint.rows, hint.ahead = depth, min(16, quotient(vecs * LANES, tiles) + 1)
        elif 8 * tiles >= vecs * LANES:
            hint.rows, hint.ahead = quotient(floats // 8, tiles) + 1, 8
        else:
            hint.rows, hint.ahead = quotient(floats // 16, tiles) + 1, 16
    if taller:
        gemm_tiles(share + 1, vecs, t, &hint, 0, taller)
        hint.next += taller * hint.ahead * hint.rows
    gemm_tiles(share, vecs, t, &hint, taller * (share + 1), tiles - taller)


cdef inline bint is_far(const Geometry* g) noexcept nogil:
    """Return true if the output is too large to lie in the L2 cache before it is written.

    The tile then asks for its part before it begins (112 x 112 x 64, Cascade Lake: 848 -> 788 us).
    """
    return g.n * g.oh * g.ow * g.oc > 2 * STRIP_FLOATS


cdef void multiply_pixels(
    const StepData* s, Strip strip, const float** pixels, Py_ssize_t first, Py_ssize_t count,
    Py_ssize_t length, const float* after,
) noexcept nogil:
    """Compute `count` output pixels of a step, from pixel `first` of all images on, for its panels.

    pixels: (count,) addresses of `length` inputs each.
    """
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t segment = 0, at
    cdef GemmJob t
    cdef Panels p
    p.columns = share_columns(g.oc, GEMM_VECS)
    at = first * g.oc + first_column(&p.columns, strip.first_panel)
    t.pixel, t.segment, t.segments, t.length = pixels, &segment, 1, length
    t.residual = NULL if s.residual == NULL else s.residual + at
    t.far = is_far(g)
    t.c, t.ldc, t.low, t.high = s.y + at, g.oc, g.low, g.high
    p.weight, p.bias = s.weight, s.bias
    p.first, p.last, p.after = strip.first_panel, strip.last_panel, after
    gemm_panels(&t, count, &p)
