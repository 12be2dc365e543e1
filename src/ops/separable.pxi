# Depthwise separable convolution in one pass: the depthwise output is never stored whole.
#
#   y = clamp(bias + pointwise(clamp(mid_bias + depthwise(x))) + residual)
#
#     x rows -> ring -> middle (pixels of the strip, C * multiplier) -> panels of the pointwise -> y rows
#
# Loop nest:  depthwise rows of the strip; then for panel of weights: for tile of pixels: for channel
#
# `middle`, the depthwise output of a strip, is the A of the GEMM tile. It stays in the L2 cache.

cdef str separable_error(const StepData* s):
    return proportion_error(&s.g) or window_error(&s.g)


cdef Sizes separable_weigh(const Geometry* g) noexcept:
    cdef Sizes sizes = no_weights(g)
    cdef double channels = <double>g.c * g.multiplier
    sizes.mid_bias = filled(channels, BLOCK)
    sizes.mid_weight = <double>g.kh * g.kw * sizes.mid_bias
    sizes.bias = filled(g.oc, LANES)
    sizes.weight = channels * sizes.bias
    return sizes


cdef double separable_mult_adds(const Geometry* g) noexcept:
    return <double>g.oh * g.ow * g.c * g.multiplier * (<double>g.kh * g.kw + g.oc)


cdef void separable_cut(StepData* s, int threads) noexcept nogil:
    """Cut output rows. A depthwise multiply-add takes about three times as long as one of the tile."""
    cdef const Geometry* g = &s.g
    cut_rows(
        s, threads, g.n, g.oh, g.ow * g.c * g.multiplier, ceil_div(g.oc, PANEL),
        3.0 * g.kh * g.kw / g.oc)


cdef Py_ssize_t separable_scratch(const StepData* s, Py_ssize_t rows) noexcept nogil:
    """Return the floats of the ring, of `middle` and of the pixel pointers."""
    cdef Py_ssize_t count = rows * s.g.ow
    return depthwise_scratch(s, rows) + round_up(count * s.g.c * s.g.multiplier, 16) + 2 * count


cdef void separable_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef Py_ssize_t channels = g.c * g.multiplier, count = (strip.last - strip.first) * g.ow, i
    cdef float* middle = scratch + depthwise_scratch(s, 0)                   # (count, channels)
    cdef const float** pixels = <const float**>(middle + round_up(count * channels, 16))
    depthwise_rows(
        g, s.x + strip.image * g.h * g.w * g.c, s.mid_weight, s.mid_bias, g.mid_low, g.mid_high,
        strip.first, strip.last, middle, channels, scratch)
    for i in range(count):
        pixels[i] = middle + i * channels
    multiply_pixels(
        s, strip, pixels, (strip.image * g.oh + strip.first) * g.ow, count, channels,
        weights_after(s, index))


cdef Op* separable = new_convolution("separable", separable_mult_adds)
separable.error = separable_error
separable.weigh = separable_weigh
separable.second = output_floats
separable.cut = separable_cut
separable.scratch = separable_scratch
separable.strip = separable_strip
