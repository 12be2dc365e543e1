# Pointwise convolution and dense layer: the input pixels themselves are the rows of A.
#
#   y[p, o] = clamp(bias[o] + sum over c of x[p * stride, c] * weight[c, o] + residual[p, o])
#
#       x: pixels               packed weight: panels of columns          y: pixels
#     +-------- C --------+        +---------+---------+---+                  +--- OC ---+
#     | pixel p ->        |   x  C | panel 0 | panel 1 |   |   + bias   =     |  tile    |
#     +-------------------+        +---------+---------+---+                  +----------+
#
# Loop nest:  for panel of weights: for tile of pixels: for c        (panels.pxi, gemm.pxi)

cdef str pointwise_error(const StepData* s):
    cdef const Geometry* g = &s.g
    if g.kh != 1 or g.kw != 1:
        return f"the kernel must be 1 x 1, got {g.kh} x {g.kw}"
    if padded(g):
        return f"padding must be 0, got ({g.top}, {g.bottom}) and ({g.left}, {g.right})"
    if g.groups != 1:
        return f"groups must be 1, got {g.groups}"
    return window_error(g)


cdef Sizes pointwise_weigh(const Geometry* g) noexcept:
    cdef Sizes sizes = no_weights(g)
    sizes.bias = filled(g.oc, LANES)
    sizes.weight = g.c * sizes.bias
    return sizes


cdef inline bint all_pixels(const Geometry* g) noexcept nogil:
    """Return true at stride 1, where the pixels of all images are one long list."""
    return g.sh == 1 and g.sw == 1


cdef void pointwise_cut(StepData* s, int threads) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t panels = ceil_div(g.oc, PANEL)
    if all_pixels(g):
        cut_rows(s, threads, 1, g.n * g.oh * g.ow, g.c, panels)
    else:
        cut_rows(s, threads, g.n, g.oh, g.ow * g.c, panels)


cdef Py_ssize_t pointwise_scratch(const StepData* s, Py_ssize_t rows) noexcept nogil:
    return 2 * (rows if all_pixels(&s.g) else rows * s.g.ow)         # pixel pointers


cdef void pointwise_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef const float** pixels = <const float**>scratch      # (count,)
    cdef Py_ssize_t count = strip.last - strip.first, first = strip.first, i, j
    cdef const float* x = s.x + strip.image * g.h * g.w * g.c
    if all_pixels(g):
        for i in range(count):
            pixels[i] = x + (first + i) * g.c
    else:
        for i in range(count):
            for j in range(g.ow):
                pixels[i * g.ow + j] = x + ((first + i) * g.sh * g.w + j * g.sw) * g.c
        first = (strip.image * g.oh + first) * g.ow
        count *= g.ow
    multiply_pixels(s, strip, pixels, first, count, g.c, weights_after(s, index))


cdef Op* pointwise = new_convolution("pointwise", convolution_mult_adds)
pointwise.error = pointwise_error
pointwise.weigh = pointwise_weigh
pointwise.second = output_floats
pointwise.cut = pointwise_cut
pointwise.scratch = pointwise_scratch
pointwise.strip = pointwise_strip
