# Cutting: how the work of a step is divided into strips for a number of threads.

cdef enum:
    # Floats that a strip works with: half of an L2 cache of 512 KB. The other half is for the weights.
    STRIP_FLOATS = 64 * 1024

cdef double MOST_WORK = 2.0 ** 28        # of one row in one strip, so that signals need not wait for it

cdef struct Strip:
    Py_ssize_t image, first, last           # rows first .. last of an image or of the list of pixels
    Py_ssize_t first_panel, last_panel      # panels first .. last of the weights


cdef Strip locate(const StepData* s, Py_ssize_t index) noexcept nogil:
    """Return the part of the work that strip number `index` is."""
    cdef Strip strip
    cdef Py_ssize_t block = index // s.panel_blocks % s.row_blocks
    cdef Py_ssize_t panel = index % s.panel_blocks
    strip.image = index // (s.panel_blocks * s.row_blocks)
    strip.first = block * s.rows // s.row_blocks
    strip.last = (block + 1) * s.rows // s.row_blocks
    strip.first_panel = panel * s.panels // s.panel_blocks
    strip.last_panel = (panel + 1) * s.panels // s.panel_blocks
    return strip


cdef Py_ssize_t blocks_of_rows(
    Py_ssize_t rows, Py_ssize_t floats_per_row, Py_ssize_t maps, int threads
) noexcept nogil:
    """Return into how many nearly equal blocks to cut `rows`, so that each fits into the cache.

    With fewer than eight blocks a thread, their number is a multiple of the threads.
    """
    cdef Py_ssize_t blocks = ceil_div(rows, max(1, STRIP_FLOATS // max(1, floats_per_row)))
    if maps * blocks < 8 * threads and maps % threads != 0:
        blocks = round_up(blocks, threads)
    return max(1, min(blocks, rows))


cdef inline double unevenness(Py_ssize_t parts, int threads) noexcept nogil:
    """Return the relative time lost because equal parts do not divide evenly among threads."""
    return <double>(round_up(parts, threads)) / parts - 1


cdef void cut_rows(
    StepData* s, int threads, Py_ssize_t maps, Py_ssize_t rows, Py_ssize_t floats_per_row,
    Py_ssize_t panels=1, double redone=0,
) noexcept nogil:
    """Cut `rows` rows of each of `maps` maps, and the panels of weights where rows are too few.

    With a single map, threads share the panels if these divide more evenly than the rows: 7 rows
    are 4 and 3 for two threads (7 x 7, AVX2: separable 1024 -> 1024, 606 -> 548 us; standard 512 ->
    512, 1360 -> 1195 us, because each thread reads its own weights only). The price
    of each further thread is 2 % of the time, because it reads the whole map too, and the fraction
    `redone` of the work, which each thread does again.
    """
    cdef double cost = (0.02 + redone) * (threads - 1)
    cdef double work = <double>floats_per_row * panels * PANEL      # of a row, without its kernel
    s.rows = rows
    s.panels = panels
    s.panel_blocks = 1
    s.row_blocks = blocks_of_rows(rows, floats_per_row, maps, threads)
    if (maps == 1 and rows > 0 and panels >= threads
            and unevenness(panels, threads) + cost < unevenness(rows, threads)):
        s.row_blocks = blocks_of_rows(rows, floats_per_row, maps, 1)
        s.panel_blocks = threads
    elif maps > 0 and maps * s.row_blocks < threads:
        s.panel_blocks = min(panels, ceil_div(threads, maps * s.row_blocks))
    if redone == 0 and s.row_blocks == rows and work > MOST_WORK:
        s.panel_blocks = max(s.panel_blocks, <Py_ssize_t>min(panels, work / MOST_WORK + 1))
    s.strips = maps * s.row_blocks * s.panel_blocks if rows > 0 else 0


cdef inline const float* weights_after(const StepData* s, Py_ssize_t index) noexcept nogil:
    """Return the weights that are probably read after strip `index`, for prefetching.

    They are the same weights again or those of the next step. This takes 1 to 2 % off ResNet-50.
    """
    return s.weight if index + 1 < s.strips else s.following
