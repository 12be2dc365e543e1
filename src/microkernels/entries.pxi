# Entries for the tests, which call a tile with sizes of their own choice. Nothing else calls these.

def gemm_tile(
    int rows, int vecs, x, Py_ssize_t pitch, segments, Py_ssize_t length, b, bias, residual, c,
    Py_ssize_t ldc, Py_ssize_t columns, float low, float high, Py_ssize_t tiles=1, bint fetch=False,
    bint resume=False,
):
    """Compute tiles of `rows` pixels; pixel i of x begins at i * pitch, a segment at its offset.

    A single row of GEMM_VECS * GEMM_PANELS vecs is what gemm_row computes; its panels lie one after
    the other in b. With `resume` the sums begin with what c has, not with the bias. The arrays
    must be large enough: nothing is checked but the size of the tile.
    """
    cdef double size
    cdef GemmJob t
    cdef Prefetch hint
    cdef Py_ssize_t i, count = len(segments)
    cdef Memory memory = Memory(2 * (count + rows * tiles))
    cdef Py_ssize_t* segment = <Py_ssize_t*>memory.data
    cdef const float** pixel = <const float**>(segment + count)
    if (rows, vecs) != (1, GEMM_VECS * GEMM_PANELS) and not (
            1 <= vecs <= GEMM_VECS and 1 <= rows <= gemm_rows(vecs)):
        raise ValueError(f"there is no tile of {rows} x {vecs}")
    for i in range(count):
        segment[i] = segments[i]
    for i in range(rows * tiles):
        pixel[i] = floats_of(x, &size) + i * pitch
    t.pixel, t.segment, t.segments, t.length = pixel, segment, count, length
    t.b, t.bias, t.c = floats_of(b, &size), floats_of(bias, &size), <float*>floats_of(c, &size, True)
    t.residual = NULL if residual is None else floats_of(residual, &size)
    t.ldc, t.columns, t.low, t.high = ldc, columns, low, high
    t.far, t.resume = fetch, resume
    hint.next, hint.end, hint.ahead, hint.rows = t.b, t.b + 1, 8, 5 if fetch else 0
    if vecs > GEMM_VECS:
        gemm_row(&t, PANEL * count * length)
    else:
        gemm_tiles(rows, vecs, &t, &hint, 0, tiles)


def depthwise_line(
    int rows, int columns, Py_ssize_t stride, Py_ssize_t dilation, window, Py_ssize_t window_pitch,
    weight, bias, out, Py_ssize_t pitch, Py_ssize_t width, Py_ssize_t channels, float low, float high,
):
    """Compute an output row of one block; rows of the window lie `window_pitch` floats apart."""
    cdef double size
    cdef DepthwiseRow r
    cdef Py_ssize_t i
    cdef Memory memory = Memory(2 * rows)
    cdef const float** row = <const float**>memory.data
    for i in range(rows):
        row[i] = floats_of(window, &size) + i * window_pitch
    r.row, r.weight, r.bias = row, floats_of(weight, &size), floats_of(bias, &size)
    r.out, r.pitch, r.width, r.channels = <float*>floats_of(out, &size, True), pitch, width, channels
    r.low, r.high = low, high
    depthwise_row(rows, columns, stride, dilation, &r)


def exponentials(x, y):
    """Compute e^x of the floats of x, which are whole vecs, into y, with denormals as zeros."""
    cdef double size
    cdef const float* from_x = floats_of(x, &size)
    cdef float* to_y = <float*>floats_of(y, &size, True)
    cdef Py_ssize_t i = 0
    cdef unsigned long long mode = float_mode_flush()
    while i < size:
        vec_store(to_y + i, exponential(vec_load(from_x + i)))
        i += LANES
    float_mode_restore(mode)
