# Activations, elementwise over (n * h * w, c). Convolutions and sums do the clip themselves.
#
#   clip          min(max(x, low), high)            leaky relu     x if x >= 0 else alpha * x
#   hard sigmoid  min(max(x + 3, 0), 6) / 6         hard swish     x * hard_sigmoid(x)
#   sigmoid       1 / (1 + exp(-x))
#
# Loop nest:  for vec of the list of all elements
#
# There are no sums of products but those of exp. So every build gives the same bits, and in sigmoid
# every build with FMA.

cdef enum Activation:
    CLIP
    LEAKY_RELU
    HARD_SIGMOID
    HARD_SWISH
    SIGMOID

MODES = {
    "clip": CLIP,
    "leaky_relu": LEAKY_RELU,
    "hard_sigmoid": HARD_SIGMOID,
    "hard_swish": HARD_SWISH,
    "sigmoid": SIGMOID,
}


cdef inline vec hard_sigmoid(vec x) noexcept nogil:
    x = vec_add(x, vec_fill(3))
    return vec_div(vec_min(vec_fill(6), vec_max(vec_fill(0), x)), vec_fill(6))


cdef inline INLINE_VOID activate(
    Activation kind, const Geometry* g, const float* x, float* y, Py_ssize_t count
) noexcept nogil:
    """Compute `count` floats of y; all callers pass a constant for `kind`."""
    cdef vec low = vec_fill(g.low), high = vec_fill(g.high), alpha = vec_fill(g.alpha)
    cdef vec one = vec_fill(1), zero = vec_fill(0), v
    cdef Py_ssize_t i = 0
    while i < count:
        v = vec_load_up_to(x + i, count - i)
        if kind == CLIP:
            v = vec_min(high, vec_max(low, v))
        elif kind == LEAKY_RELU:
            v = vec_if_negative(v, vec_mul(v, alpha), v)
        elif kind == HARD_SIGMOID:
            v = hard_sigmoid(v)
        elif kind == HARD_SWISH:
            v = vec_mul(v, hard_sigmoid(v))
        else:
            v = vec_div(one, vec_add(one, exponential(vec_sub(zero, v))))
        vec_store_up_to(y + i, v, count - i)
        i += LANES


cdef void activation_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef Py_ssize_t count = (strip.last - strip.first) * g.c
    cdef const float* x = s.x + strip.first * g.c
    cdef float* y = s.y + strip.first * g.c
    if g.mode == CLIP:
        activate(CLIP, g, x, y, count)
    elif g.mode == LEAKY_RELU:
        activate(LEAKY_RELU, g, x, y, count)
    elif g.mode == HARD_SIGMOID:
        activate(HARD_SIGMOID, g, x, y, count)
    elif g.mode == HARD_SWISH:
        activate(HARD_SWISH, g, x, y, count)
    else:
        activate(SIGMOID, g, x, y, count)


cdef Op* activation = new_elementwise_op("activation")
activation.strip = activation_strip
