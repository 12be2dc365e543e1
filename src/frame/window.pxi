# Window: what lies under the output rows of a strip, and the ring of input rows that holds it.
#
# A ring keeps copies of the input rows under one output row, for one or more blocks of channels,
# with zero pixels at both ends. Row y of the input lies in slot y % rows. A row outside of the
# map is the zero row.
#
#     (KH - 1) * dh + 1 rows, at most H    | 0 | W x BLOCK | 0 |
#     the same for the next block ...      | 0 | W x BLOCK | 0 |
#     zero row                             | 0   0  ...  0 | 0 |
#     row pointers of the taps             (KH,)

cdef struct Ring:
    Py_ssize_t rows, pitch        # rows of a block, floats of a row
    float* data                   # (blocks, rows, pitch)
    float* zero                   # (pitch,)
    const float** row             # (KH,) the rows under the taps of one output row


cdef inline Py_ssize_t padded_width(const Geometry* g) noexcept nogil:
    """Return the columns of a window row: all that the taps of the last output pixel reach."""
    return max((g.ow - 1) * g.sw + (g.kw - 1) * g.dw + 1, g.left + g.w)


cdef inline Py_ssize_t window_rows(const Geometry* g, Py_ssize_t rows) noexcept nogil:
    """Return the input rows under `rows` output rows."""
    return (rows - 1) * g.sh + (g.kh - 1) * g.dh + 1


cdef double window_floats(const Geometry* g) noexcept:
    """Return the floats of the windows under all output rows, which a strip may have to fill."""
    cdef double rows = <double>(g.kh - 1) * g.dh + 1 + g.sh
    return rows * window_columns(g) * g.oh * (<double>g.c * g.multiplier + BLOCK)


cdef double window_columns(const Geometry* g) noexcept:
    cdef double under = <double>(g.ow - 1) * g.sw + <double>(g.kw - 1) * g.dw + 1
    return max(under, g.left) + g.w


cdef double convolution_work(const StepData* s) noexcept:
    return s.op.mult_adds(&s.g) + window_floats(&s.g)


cdef Op* new_convolution(str name, double (*mult_adds)(const Geometry* g) noexcept):
    """Enter an op that runs one or more convolutions."""
    cdef Op* op = new_op(name)
    op.mult_adds, op.work = mult_adds, convolution_work
    return op


cdef str proportion_error(const Geometry* g):
    """Refuse a window out of all proportion to its map, before its size can overflow, or return None.

    Padding, stride and dilation may make the window under an output row far larger than the map,
    and it has to be filled for each row. That may cost as much as 2^27 floats, or as sixteen times
    the pixels of input, output and kernel. All networks that we know stay far below.
    """
    cdef double rows = <double>(g.kh - 1) * g.dh + 1 + g.sh
    cdef double columns = window_columns(g)
    cdef double maps = <double>g.h * g.w + <double>g.oh * g.ow + <double>g.kh * g.kw
    if window_floats(g) <= 2.0 ** 27 or rows * columns <= 16 * maps:
        return None
    return (f"dilation, stride and padding are too large for a map of {g.h} x {g.w}: the window "
            f"under one output row has {rows:.0f} x {columns:.0f} pixels")


cdef inline Py_ssize_t ring_rows(const Geometry* g) noexcept nogil:
    return min((g.kh - 1) * g.dh + 1, g.h)


cdef inline Py_ssize_t ring_floats(const Geometry* g, Py_ssize_t blocks) noexcept nogil:
    """Return the memory of a ring: rows of each block, the zero row, row pointers."""
    return (blocks * ring_rows(g) + 1) * padded_width(g) * BLOCK + round_up(2 * g.kh, 16)


cdef inline Ring new_ring(const Geometry* g, Py_ssize_t blocks, float* memory) noexcept nogil:
    """Return a ring of zeros in the memory given."""
    cdef Ring ring
    ring.rows = ring_rows(g)
    ring.pitch = padded_width(g) * BLOCK
    ring.data = memory
    ring.zero = memory + blocks * ring.rows * ring.pitch
    ring.row = <const float**>(ring.zero + ring.pitch)
    memset(memory, 0, 4 * (blocks * ring.rows + 1) * ring.pitch)
    return ring


cdef inline void point_rows(
    const Ring* ring, const Geometry* g, Py_ssize_t block, Py_ssize_t output_row
) noexcept nogil:
    """Let ring.row point at the rows of a block under the taps of an output row."""
    cdef Py_ssize_t i, y
    for i in range(g.kh):
        y = output_row * g.sh - g.top + i * g.dh
        ring.row[i] = ring.zero
        if 0 <= y < g.h:
            ring.row[i] = ring.data + (block * ring.rows + y % ring.rows) * ring.pitch
