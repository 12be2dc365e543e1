# Panels outside, tiles inside: one strip of output pixels against a range of packed panels.
#
# Loop nest:  for panel of B: for tile of pixels: gemm_tile
#
# A panel stays in the L1 or L2 cache while all tiles of the strip pass over it, and while they do,
# each tile asks for its share of the next panel, so that weights arrive from memory in time.
# Tile heights share the pixels evenly: 49 pixels in tiles of at most 12 are 10, 10, 10, 10, 9.

cdef void gemm_panels(
    Tile* t, const float* const* pixels, Py_ssize_t count,
    const float* weight, const float* bias, const float* residual, float* c,
    Py_ssize_t columns, Py_ssize_t first_panel, Py_ssize_t last_panel,
) noexcept nogil:
    """c[0 .. count) for the panels given; `t` brings the segments, ldc and the clamp.

    weight, bias, residual and c point at panel 0; `columns` is their number over all panels.
    """
    cdef Py_ssize_t depth = t.segments * t.length         # k: rows of a packed panel
    cdef Py_ssize_t tiles = ceil_div(count, GEMM_ROWS)
    cdef Py_ssize_t share = count // tiles, taller = count % tiles
    cdef Py_ssize_t panel, tile, done, rows, line, lines, ahead
    cdef const float* next_panel
    cdef int vecs
    for panel in range(first_panel, last_panel):
        t.columns = min(BLOCK, columns - panel * BLOCK)
        vecs = 2 if t.columns > LANES else 1
        t.b = weight + panel * BLOCK * depth
        t.bias = bias + panel * BLOCK
        next_panel = t.b + BLOCK * depth
        lines = 0
        if panel + 1 < last_panel:
            lines = depth * min(BLOCK, round_up(columns - (panel + 1) * BLOCK, LANES)) // 16
        ahead = ceil_div(lines, tiles)
        done = 0
        for tile in range(tiles):
            for line in range(min(ahead, lines)):
                prefetch(next_panel + line * 16)
            next_panel += ahead * 16
            lines -= ahead
            rows = share + (1 if tile < taller else 0)
            t.pixel = pixels + done
            t.c = c + done * t.ldc + panel * BLOCK
            t.residual = NULL
            if residual != NULL:
                t.residual = residual + done * t.ldc + panel * BLOCK
            gemm_tile(rows, vecs, t)
            done += rows
