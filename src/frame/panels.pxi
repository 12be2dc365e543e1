# Panels outside, tiles inside: some output pixels against some packed panels of weights.
#
# Loop nest:  for panel of B: for tiles of one height: gemm_tiles
#
# A panel stays in the L1 or L2 cache while all tiles of the strip pass over it. Meanwhile the
# tiles ask memory for the next panel, a little at each k, so that it has arrived when its turn
# comes (7 x 7 x 1024, AVX2: 82 -> 97 % of the peak). Prefetching a whole panel between two tiles
# fills the load queue and stalls the next tile. Panels with fewer than 64 rows need no
# prefetching.
#
# Tile heights share the pixels evenly: 49 pixels in tiles of at most 12 are 10, 10, 10, 10, 9.
# A single pixel, as in dense layers, takes several whole panels at a time.

cdef enum:
    PREFETCH_DEPTH = 64           # rows of a panel from which on the next one is prefetched

cdef struct Panels:
    const float* weight           # packed: panels of BLOCK columns, the last one maybe of LANES
    const float* bias             # (columns,) filled up with zeros to whole vecs
    Py_ssize_t columns            # of all panels together
    Py_ssize_t first, last        # the panels to compute: first .. last
    const float* after            # the panel that is read next, or NULL: a hint for prefetching


cdef void gemm_panels(GemmJob* t, Py_ssize_t count, const Panels* p) noexcept nogil:
    """Compute `count` pixels of the panels p.first .. p.last.

    `t` brings pixel, segment, segments, length, ldc, low, high, and the addresses c and residual of
    the first pixel's first column of panel p.first.
    """
    cdef Py_ssize_t depth = t.segments * t.length         # k: rows of a packed panel
    cdef Py_ssize_t panel = p.first, tiles, share, taller
    cdef const float* residual = t.residual
    cdef float* c = t.c
    cdef Prefetch hint
    cdef int vecs
    while panel < p.last:
        t.columns = min(BLOCK, p.columns - panel * BLOCK)
        t.b = p.weight + panel * BLOCK * depth
        t.bias = p.bias + panel * BLOCK
        t.c = c + (panel - p.first) * BLOCK
        t.residual = NULL if residual == NULL else residual + (panel - p.first) * BLOCK
        if count == 1 and panel + GEMM_PANELS <= min(p.last, p.columns // BLOCK):
            gemm_row(t, BLOCK * depth)
            panel += GEMM_PANELS
            continue
        vecs = 2 if t.columns > LANES else 1
        tiles = ceil_div(count, GEMM_ROWS if vecs == 2 else GEMM_ROWS_NARROW)
        share = count // tiles
        taller = count % tiles
        panel += 1
        hint.ahead = 0
        hint.next = t.b + BLOCK * depth if panel < p.last else p.after
        if hint.next != NULL and depth >= PREFETCH_DEPTH:
            hint.end = hint.next + BLOCK * depth
            hint.ahead = ceil_div(BLOCK, tiles)
        if taller:
            gemm_tiles(share + 1, vecs, t, &hint, 0, taller)
            hint.next += taller * hint.ahead * depth
        gemm_tiles(share, vecs, t, &hint, taller * (share + 1), tiles - taller)


cdef void multiply_pixels(
    const StepData* s, Strip strip, const float** pixels, Py_ssize_t first, Py_ssize_t count,
    Py_ssize_t length, const float* after,
) noexcept nogil:
    """Compute `count` output pixels of a step, from pixel `first` of all images on, for its panels.

    pixels: (count,) addresses of `length` inputs each.
    """
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t segment = 0, at = first * g.oc + strip.first_panel * BLOCK
    cdef GemmJob t
    cdef Panels p
    t.pixel, t.segment, t.segments, t.length = pixels, &segment, 1, length
    t.residual = NULL if s.residual == NULL else s.residual + at
    t.c, t.ldc, t.low, t.high = s.y + at, g.oc, g.low, g.high
    p.weight, p.bias, p.columns = s.weight, s.bias, g.oc
    p.first, p.last, p.after = strip.first_panel, strip.last_panel, after
    gemm_panels(&t, count, &p)
