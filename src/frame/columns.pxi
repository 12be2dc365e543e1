# Columns: how the columns of a weight matrix are shared among packed panels.
#
# A panel is at most as wide as the widest GEMM tile. The panels of a matrix share its vecs evenly,
# the wider ones first, because narrow tiles are slow: with GEMM_VECS = 4, ten vecs are 4 + 3 + 3 and
# not 4 + 4 + 2.
#
#     160 columns of AVX-512:   | 4 vecs  | 3 vecs | 3 vecs |

cdef struct Columns:
    Py_ssize_t count              # that exist; the last vec is filled up
    Py_ssize_t panels
    Py_ssize_t share, wider       # vecs of a panel; the first `wider` panels have one more


cdef inline Columns share_columns(Py_ssize_t count, Py_ssize_t most) noexcept nogil:
    """Share columns among panels of at most `most` vecs."""
    cdef Py_ssize_t vecs = ceil_div(count, LANES)
    cdef Columns columns
    columns.count, columns.panels = count, ceil_div(vecs, most)
    columns.share, columns.wider = vecs // columns.panels, vecs % columns.panels
    return columns


cdef inline Py_ssize_t first_column(const Columns* c, Py_ssize_t panel) noexcept nogil:
    """Return where a panel begins. Panel number `panels` begins behind the last vec."""
    return (panel * c.share + min(panel, c.wider)) * LANES


cdef inline Py_ssize_t panel_vecs(const Columns* c, Py_ssize_t panel) noexcept nogil:
    return c.share + (1 if panel < c.wider else 0)


cdef inline Py_ssize_t whole_panels(const Columns* c) noexcept nogil:
    """Return how many of the first panels have PANEL columns."""
    if panel_vecs(c, 0) < GEMM_VECS:
        return 0
    return c.wider if c.wider > 0 else c.count // PANEL
