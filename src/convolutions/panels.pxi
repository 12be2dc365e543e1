# Panels outside, tiles inside: one strip of output pixels against a range of packed panels.
#
# Loop nest:  for panel of B: for tiles of one height: gemm_tiles
#
# A panel stays in the L1 or L2 cache while all tiles of the strip pass over it, and while they do,
# the tiles ask for the next panel, a little at each k, so that weights arrive from memory in time
# (7 x 7 x 1024, AVX2: 82 -> 97 % of the peak; the same in bursts between tiles stopped every load
# behind them). Short panels arrive soon enough without.
# Tile heights share the pixels evenly: 49 pixels in tiles of at most 12 are 10, 10, 10, 10, 9.
# A single pixel, as in dense layers, takes several whole panels at a time.

cdef enum:
    PREFETCH_DEPTH = 64           # from this k on


cdef inline void begin_panel(
    Panel* t, Py_ssize_t panel, Py_ssize_t depth, const float* weight, const float* bias,
    const float* residual, float* c, Py_ssize_t columns,
) noexcept nogil:
    t.columns = min(BLOCK, columns - panel * BLOCK)
    t.b = weight + panel * BLOCK * depth
    t.bias = bias + panel * BLOCK
    t.c = c + panel * BLOCK
    t.residual = NULL if residual == NULL else residual + panel * BLOCK


cdef void gemm_panels(
    Panel* t, const float* const* pixels, Py_ssize_t count,
    const float* weight, const float* bias, const float* residual, float* c,
    Py_ssize_t columns, Py_ssize_t first_panel, Py_ssize_t last_panel,
) noexcept nogil:
    """c[0 .. count) for the panels given; `t` brings the segments, ldc and the clamp.

    weight, bias, residual and c point at panel 0; `columns` is their number over all panels.
    """
    cdef Py_ssize_t depth = t.segments * t.length         # k: rows of a packed panel
    cdef Py_ssize_t panel, tiles, share, taller
    cdef int vecs
    t.pixel = pixels
    while count == 1 and first_panel + GEMM_PANELS <= min(last_panel, columns // BLOCK):
        begin_panel(t, first_panel, depth, weight, bias, residual, c, columns)
        gemm_row(t, BLOCK * depth)
        first_panel += GEMM_PANELS
    for panel in range(first_panel, last_panel):
        begin_panel(t, panel, depth, weight, bias, residual, c, columns)
        vecs = 2 if t.columns > LANES else 1
        tiles = ceil_div(count, GEMM_ROWS if vecs == 2 else GEMM_ROWS_NARROW)
        share = count // tiles
        taller = count % tiles
        t.ahead = 0
        t.next = t.b + BLOCK * depth if panel + 1 < last_panel else t.after
        if t.next != NULL and depth >= PREFETCH_DEPTH:
            t.end = t.next + BLOCK * depth
            t.ahead = ceil_div(BLOCK, tiles)
        if taller:
            gemm_tiles(share + 1, vecs, t, 0, taller)
            t.next += taller * t.ahead * depth
        gemm_tiles(share, vecs, t, taller * (share + 1), tiles - taller)
