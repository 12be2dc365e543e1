# Activations, elementwise over (n * h * w, c). Convolutions and sums do the clip themselves.
#
#   clip          min(max(x, low), high)            leaky relu     x if x >= 0 else alpha * x
#   hard sigmoid  min(max(x + 3, 0), 6) / 6         hard swish     x * hard_sigmoid(x)
#   sigmoid       1 / (1 + exp(-x))
#
# Loop nest:  for element
#
# There are no sums of products, so every build gives the same bits.

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


cdef void activation_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    cdef const Geometry* g = &s.g
    cdef Strip strip = locate(s, index)
    cdef Py_ssize_t i, first = strip.first * g.c, last = strip.last * g.c
    cdef float v
    if g.mode == CLIP:
        for i in range(first, last):
            s.y[i] = min_nan(g.high, max_nan(g.low, s.x[i]))
    elif g.mode == LEAKY_RELU:
        for i in range(first, last):
            v = s.x[i]
            s.y[i] = v * g.alpha if v < 0 else v
    elif g.mode == HARD_SIGMOID:
        for i in range(first, last):
            s.y[i] = min_nan(6, max_nan(0, s.x[i] + 3)) / 6
    elif g.mode == HARD_SWISH:
        for i in range(first, last):
            v = s.x[i]
            s.y[i] = v * (min_nan(6, max_nan(0, v + 3)) / 6)
    else:
        for i in range(first, last):
            s.y[i] = 1 / (1 + expf(-s.x[i]))


cdef Op* activation = new_elementwise_op("activation")
activation.strip = activation_strip
