# Depthwise separable convolution in one pass: the depthwise output is never stored whole.
#
#   y = clamp(bias + pointwise(clamp(depthwise_bias + depthwise(x))))
#
# Loop nest:  depthwise rows of the strip; then for panel of weights: for tile of pixels: for channel
#
# A strip of depthwise output rows, small enough for the L2 cache, is the A of the GEMM tile:
#
#     x rows -> window -> strip (rows * OW, C * multiplier) -> panels of the pointwise -> y rows

cdef void separable_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t channels = g.c * g.multiplier, segment = 0, at, i
    cdef Strip strip = locate(s, index, g.oh, ceil_div(g.oc, BLOCK))
    cdef Py_ssize_t count = (strip.last - strip.first) * g.ow
    cdef float* middle = scratch + depthwise_scratch(g)
    cdef const float** pixels = <const float**>(middle + round_up(count * channels, 16))
    cdef Panel t
    depthwise_rows(
        g, s.x + strip.image * g.h * g.w * g.c, s.mid_weight, s.mid_bias, g.mid_low, g.mid_high,
        strip.first, strip.last, middle, channels, scratch)
    for i in range(count):
        pixels[i] = middle + i * channels
    t.after = weights_after(s, index)
    t.segment = &segment
    t.segments = 1
    t.length = channels
    t.ldc = g.oc
    t.low = g.low
    t.high = g.high
    at = (strip.image * g.oh + strip.first) * g.ow * g.oc
    gemm_panels(
        &t, pixels, count, s.weight, s.bias,
        NULL if s.residual == NULL else s.residual + at, s.y + at,
        g.oc, strip.first_panel, strip.last_panel)
