# Geometry: the numbers of a step, and the checks that do not depend on its op.

cdef enum:
    MOST_SETTING = 0x7fffffff     # kernel, stride, dilation, padding, groups, multiplier

cdef double MOST_FLOATS = 2.0 ** 40   # of a map, an array or the arena

cdef struct Geometry:
    Py_ssize_t n, h, w, c         # input: n maps of (h, w, c)
    Py_ssize_t oh, ow, oc         # output: n maps of (oh, ow, oc)
    Py_ssize_t kh, kw, sh, sw, dh, dw             # kernel, stride, dilation
    Py_ssize_t top, bottom, left, right           # padding in pixels
    Py_ssize_t groups, multiplier
    Py_ssize_t hidden                             # inverted residual: channels between
    Py_ssize_t tile                               # Winograd: output pixels of a tile, each way
    int mode                      # which activation, average or resize; size of a local response
    float low, high                               # clamp of the result
    float mid_low, mid_high                       # clamp behind the depthwise stage
    float in_low, in_high                         # clamp behind the expansion
    float alpha, beta, gamma      # leaky ReLU: slope; L2: epsilon; local response: as in its formula

GEOMETRY = {
    "n": 1, "h": 1, "w": 1, "c": 1, "oh": 1, "ow": 1, "oc": 1,
    "kh": 1, "kw": 1, "sh": 1, "sw": 1, "dh": 1, "dw": 1,
    "top": 0, "bottom": 0, "left": 0, "right": 0,
    "groups": 1, "multiplier": 1, "hidden": 0, "tile": 0, "mode": 0,
    "low": -INFINITY, "high": INFINITY, "mid_low": -INFINITY, "mid_high": INFINITY,
    "in_low": -INFINITY, "in_high": INFINITY, "alpha": 0.0, "beta": 0.0, "gamma": 0.0,
}


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline Py_ssize_t round_up(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b * b


cdef inline bint padded(const Geometry* g) noexcept nogil:
    return g.top > 0 or g.bottom > 0 or g.left > 0 or g.right > 0


cdef str outside(str name, double least, double number, double most):
    """Say that a number is outside of its range, or return None."""
    if least <= number <= most:
        return None
    return f"{name} must be from {least:.0f} to {most:.0f}, got {number:.0f}"


cdef str range_error(const Geometry* g):
    """Say which number of a geometry is out of its range, or return None."""
    return (outside("h", 1, g.h, MOST_FLOATS) or outside("oh", 1, g.oh, MOST_FLOATS)
            or outside("w", 1, g.w, MOST_FLOATS) or outside("ow", 1, g.ow, MOST_FLOATS)
            or outside("c", 1, g.c, MOST_FLOATS) or outside("oc", 1, g.oc, MOST_FLOATS)
            or outside("kh", 1, g.kh, MOST_SETTING) or outside("kw", 1, g.kw, MOST_SETTING)
            or outside("sh", 1, g.sh, MOST_SETTING) or outside("sw", 1, g.sw, MOST_SETTING)
            or outside("dh", 1, g.dh, MOST_SETTING) or outside("dw", 1, g.dw, MOST_SETTING)
            or outside("top", 0, g.top, MOST_SETTING) or outside("bottom", 0, g.bottom, MOST_SETTING)
            or outside("left", 0, g.left, MOST_SETTING) or outside("right", 0, g.right, MOST_SETTING)
            or outside("groups", 1, g.groups, MOST_SETTING)
            or outside("multiplier", 1, g.multiplier, MOST_SETTING)
            or outside("hidden", 0, g.hidden, MOST_FLOATS))


cdef str axis_error(
    str axis, Py_ssize_t size, Py_ssize_t kernel, Py_ssize_t stride, Py_ssize_t dilation,
    Py_ssize_t before, Py_ssize_t after, Py_ssize_t found,
):
    """Say that a window has another number of positions on an axis than `found`, or return None."""
    cdef Py_ssize_t room = size + before + after - ((kernel - 1) * dilation + 1)
    cdef Py_ssize_t outputs = room // stride + 1 if room >= 0 else 0
    if outputs == found:
        return None
    dilated = f", dilation {dilation}" if dilation > 1 else ""
    unit = "rows" if axis == "height" else "columns"
    return (f"{axis} {size}, kernel {kernel}{dilated}, stride {stride}, padding ({before}, {after}) "
            f"give {outputs} output {unit}, got {found}")


cdef str window_error(const Geometry* g):
    """Say on which axis input, window and output do not fit each other, or return None."""
    return (axis_error("height", g.h, g.kh, g.sh, g.dh, g.top, g.bottom, g.oh)
            or axis_error("width", g.w, g.kw, g.sw, g.dw, g.left, g.right, g.ow))
