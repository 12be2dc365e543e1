# Pointwise convolution and dense layer: the input pixels themselves are the rows of A.
#
#   y[p, o] = clamp(bias[o] + sum over c of x[p * stride, c] * weight[c, o] + residual[p, o])
#
# Loop nest:  for panel of weights: for tile of pixels: for c        (panels.pxi, gemm.pxi)
#
# At stride 1 all pixels of all images are one long list; otherwise strips are blocks of output rows.

cdef void pointwise_shape(
    const Geometry* g, Py_ssize_t* maps, Py_ssize_t* rows, Py_ssize_t* floats_per_row
) noexcept nogil:
    """What divide() cuts: pixels of one list at stride 1, rows of each image otherwise."""
    floats_per_row[0] = g.ow * g.c
    if g.sh == 1 and g.sw == 1:
        maps[0] = min(1, g.n)
        rows[0] = g.n * g.oh * g.ow
        floats_per_row[0] = g.c


cdef void pointwise_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef const float** pixels = <const float**>scratch
    cdef Py_ssize_t segment = 0, maps = g.n, rows = g.oh, unused, count, first, i, j
    cdef Py_ssize_t panels = ceil_div(g.oc, BLOCK)
    cdef const float* x
    cdef Strip strip
    cdef Panel t
    pointwise_shape(g, &maps, &rows, &unused)
    strip = locate(s, index, rows, panels)
    if g.sh == 1 and g.sw == 1:
        first = strip.first
        count = strip.last - strip.first
        for i in range(count):
            pixels[i] = s.x + (first + i) * g.c
    else:
        first = (strip.image * g.oh + strip.first) * g.ow
        count = (strip.last - strip.first) * g.ow
        x = s.x + strip.image * g.h * g.w * g.c
        for i in range(strip.last - strip.first):
            for j in range(g.ow):
                pixels[i * g.ow + j] = x + ((strip.first + i) * g.sh * g.w + j * g.sw) * g.c
    t.after = weights_after(s, index)
    t.segment = &segment
    t.segments = 1
    t.length = g.c
    t.ldc = g.oc
    t.low = g.low
    t.high = g.high
    gemm_panels(
        &t, pixels, count, s.weight, s.bias,
        NULL if s.residual == NULL else s.residual + first * g.oc, s.y + first * g.oc,
        g.oc, strip.first_panel, strip.last_panel)
