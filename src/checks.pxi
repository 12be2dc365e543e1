# Checks: what makes a step and a program safe to run, whoever describes them - the compiler, an
# operation or a file. Nothing behind these checks reads or writes outside of the arrays it is given.
#
#   step:     its numbers are in range, they belong together, and its weights are large enough
#   program:  every map of every step lies within its array, for one image and so for any number
#
# Sizes are compared as double: products of numbers of up to 40 bits cannot overflow, and they are exact
# wherever they could be equal to the size of an array.

cdef enum:
    LARGEST = (1 << 31) - 1       # kernel, stride, dilation, padding, groups, multiplier

cdef double MOST_FLOATS = 2.0 ** 40   # of a map, an array or an arena


cdef struct Sizes:                # floats
    double weight, bias
    double mid_weight, mid_bias
    double in_weight, in_bias


cdef int check_geometry(Op op, const Geometry* g) except -1:
    """The numbers of a step fit each other, as far as its kernel relies on it."""
    cdef Py_ssize_t least = min(g.h, g.w, g.c, g.oh, g.ow, g.oc), most = max(g.h, g.w, g.c, g.oh, g.ow, g.oc)
    cdef bint plain = g.sh == 1 and g.sw == 1 and g.dh == 1 and g.dw == 1
    if least < 1 or most > MOST_FLOATS or not 0 <= g.hidden <= MOST_FLOATS:
        raise ValueError(f"the size of a map must be from 1 to {MOST_FLOATS:.0f}")
    if (min(g.kh, g.kw, g.sh, g.sw, g.dh, g.dw, g.groups, g.multiplier) < 1
            or min(g.top, g.bottom, g.left, g.right) < 0
            or max(g.kh, g.kw, g.sh, g.sw, g.dh, g.dw, g.groups, g.multiplier) > LARGEST
            or max(g.top, g.bottom, g.left, g.right) > LARGEST):
        raise ValueError(
            "kernel, stride, dilation, groups and multiplier must be at least 1, padding at least 0, "
            f"all at most {LARGEST}")
    check_size(g)
    if op in (OP_POINTWISE, OP_STANDARD, OP_WINOGRAD, OP_DEPTHWISE, OP_SEPARABLE, OP_INVERTED):
        fits = (outputs(g.h + g.top + g.bottom, g.kh, g.sh, g.dh) == g.oh
                and outputs(g.w + g.left + g.right, g.kw, g.sw, g.dw) == g.ow)
    elif op in (OP_AVERAGE_POOL, OP_MAX_POOL):
        # Every window has a pixel of the map; rounded up, the last one may reach beyond the padding.
        fits = (g.oc == g.c and g.top < g.kh and <double>(g.oh - 1) * g.sh < g.h + g.top
                and g.left < g.kw and <double>(g.ow - 1) * g.sw < g.w + g.left)
    elif op == OP_GLOBAL_AVERAGE:
        fits = g.oh == 1 and g.ow == 1 and g.oc == g.c
    elif op == OP_RESIZE:
        fits = g.oc == g.c
    else:
        fits = op in (OP_COPY, OP_ZERO) or (g.oh == g.h and g.ow == g.w and g.oc == g.c)
    if op == OP_POINTWISE:
        fits = fits and g.kh == 1 and g.kw == 1 and g.groups == 1 and not g.padded
    elif op == OP_STANDARD:
        fits = fits and g.c % g.groups == 0 and g.oc % g.groups == 0
    elif op == OP_WINOGRAD:
        fits = fits and g.kh == 3 and g.kw == 3 and plain and g.groups == 1 and g.tile in (2, 4)
    elif op == OP_DEPTHWISE:
        fits = fits and <double>g.c * g.multiplier == g.oc
    elif op == OP_INVERTED:
        fits = fits and g.multiplier == 1 and g.hidden > 0
    if not fits:
        raise ValueError("the sizes of input, window and output do not fit each other")
    return 0


cdef int check_size(const Geometry* g) except -1:
    """Refuse windows out of all proportion to the map, before their size can overflow."""
    cdef double rows = <double>(g.kh - 1) * g.dh + 1 + g.sh
    cdef double under = <double>(g.ow - 1) * g.sw + <double>(g.kw - 1) * g.dw + 1
    cdef double columns = max(under, g.left) + g.w
    cdef double window = rows * columns * (<double>g.c * g.multiplier + BLOCK)     # of a strip
    cdef double maps = <double>g.h * g.w + <double>g.oh * g.ow + <double>g.kh * g.kw
    if (window > 2.0 ** 26 or window * g.oh > 2.0 ** 28) and rows * columns > 16 * maps:
        raise ValueError(
            f"dilation, stride and padding are too large for a map of {g.h} x {g.w}: the window "
            f"under one output row is {rows:.0f} x {columns:.0f} pixels")
    return 0


cdef inline Py_ssize_t outputs(Py_ssize_t size, Py_ssize_t kernel, Py_ssize_t stride, Py_ssize_t dilation) noexcept:
    """Positions of a window on a padded axis."""
    cdef Py_ssize_t room = size - ((kernel - 1) * dilation + 1)
    return room // stride + 1 if room >= 0 else 0


cdef double filled(double channels, int width) noexcept:
    """A number of channels, filled up to whole vecs or blocks."""
    cdef Py_ssize_t most = <Py_ssize_t>min(channels, 2.0 ** 60)
    return round_up(most, width)


cdef Sizes weights_of(Op op, const Geometry* g) noexcept:
    """Floats of each packed weight and bias that a step reads."""
    cdef Sizes sizes
    cdef double taps = <double>g.kh * g.kw, middle = <double>g.c * g.multiplier
    memset(&sizes, 0, sizeof(Sizes))
    if op == OP_POINTWISE or op == OP_STANDARD:
        sizes.bias = g.groups * filled(g.oc // g.groups, LANES)
        sizes.weight = taps * (g.c // g.groups) * sizes.bias
    elif op == OP_WINOGRAD:
        sizes.bias = filled(g.oc, LANES)
        sizes.weight = (g.tile + 2) * (g.tile + 2) * g.c * sizes.bias
    elif op == OP_DEPTHWISE:
        sizes.bias = filled(g.oc, BLOCK)
        sizes.weight = taps * sizes.bias
    elif op == OP_SEPARABLE or op == OP_INVERTED:
        if op == OP_INVERTED:
            middle = g.hidden
            sizes.in_bias = filled(middle, LANES)
            sizes.in_weight = g.c * sizes.in_bias
        sizes.mid_bias = filled(middle, BLOCK)
        sizes.mid_weight = taps * sizes.mid_bias
        sizes.bias = filled(g.oc, LANES)
        sizes.weight = middle * sizes.bias
    elif op == OP_SCALE:
        sizes.weight = sizes.bias = filled(g.c, LANES)
    elif op == OP_L2:
        sizes.weight = g.c
    return sizes


cdef int check_axes(const StepData* s) except -1:
    """A strided copy stays within its maps, and is no longer than what it writes."""
    cdef double copied = 1
    cdef int i
    check_span(s.size, s.x_strides, s.shift, <double>s.g.h * s.g.w * s.g.c)
    check_span(s.size, s.y_strides, s.to_shift, <double>s.g.oh * s.g.ow * s.g.oc)
    for i in range(5):
        copied *= s.size.axis[i]
    if copied > <double>s.g.oh * s.g.ow * s.g.oc:
        raise ValueError("a copy writes more floats than its map has")
    return 0


cdef int check_span(Axes size, Axes strides, double first, double floats) except -1:
    cdef double last = first, reach
    cdef int i
    for i in range(5):
        if size.axis[i] < 1:
            raise ValueError("the axes of a copy must be at least 1 long")
        reach = <double>(size.axis[i] - 1) * strides.axis[i]
        first += min(reach, 0)
        last += max(reach, 0)
    if not (0 <= first and last < floats):
        raise ValueError("a copy reaches beyond its map")
    return 0


cdef double residual_floats(const StepData* s) noexcept:
    """Of the second input, for one image; 0 where a step has none."""
    cdef const Geometry* g = &s.g
    if s.op == OP_MUL and g.mode == 1:
        return g.c
    if s.op in (OP_ADD, OP_MUL, OP_POINTWISE, OP_STANDARD, OP_WINOGRAD, OP_SEPARABLE, OP_INVERTED):
        return <double>g.oh * g.ow * g.oc
    return 0
