# Step: one layer with its numbers and packed weights. It is checked once, when it is made.
#
# Whoever describes a step - the compiler, an operation or a file - gets an error here if its
# numbers do not fit each other or its weights are too small. Program checks that its maps lie
# within their arrays. Behind these checks no kernel reads or writes outside of the arrays it is
# given.

cdef struct Place:
    Py_ssize_t array              # 0: the arena of the program; i: array i of the call; -1: none
    Py_ssize_t offset             # floats from its start, for one image


cdef Axes axes_of(object numbers) except *:
    cdef Axes axes
    axes.axis[0], axes.axis[1], axes.axis[2], axes.axis[3], axes.axis[4] = numbers
    return axes


cdef class Step:
    """One layer: its op, its geometry, the places of its maps and its packed weights.

    Parameters
    ----------
    op : str
        One of `OPS`.
    geometry : dict
        The fields of struct Geometry that differ from `GEOMETRY`.
    x, y, residual : (int, int)
        Array and offset of the input, the output and the second input, which may be None.
    weights : dict
        weight, bias, mid_weight, mid_bias, in_weight and in_bias, as far as the op has them.
    layout : tuple
        Copies only: sizes, strides of x, strides of y, shift of x, shift of y.
    """
    cdef StepData data
    cdef Place x, y, residual
    cdef readonly str op
    cdef readonly dict geometry
    cdef readonly tuple places      # x, y and residual as they were given
    cdef readonly dict weights
    cdef readonly object layout
    cdef list held                  # buffers held open, so that weights are neither freed nor resized

    def __cinit__(self, str op, dict geometry, x, y, residual=None, dict weights=None, layout=None):
        cdef StepData* s = &self.data
        if op not in OPS:
            raise ValueError(f"op must be one of {sorted(OPS)}, got {op!r}")
        self.op, self.geometry, self.layout = op, dict(geometry), layout
        self.places, self.weights = (x, y, residual), dict(weights or {})
        self.x.array, self.x.offset = x
        self.y.array, self.y.offset = y
        self.residual.array, self.residual.offset = residual or (-1, 0)
        whole = GEOMETRY | self.geometry
        if len(whole) > len(GEOMETRY):
            raise ValueError(f"{op}: geometry has no {sorted(whole.keys() - GEOMETRY.keys())}")
        s.op, s.g = &all_ops[<Py_ssize_t>OPS[op]], whole
        if layout is not None:
            size, x_strides, y_strides, s.shift, s.to_shift = layout
            s.size, s.x_strides, s.y_strides = axes_of(size), axes_of(x_strides), axes_of(y_strides)
        error = range_error(&s.g) or s.op.error(s)
        if error:
            raise ValueError(f"{op}: {error}")
        if s.op.second_required and self.residual.array < 0:
            raise ValueError(f"{op} takes a second input")
        if s.op.second == NULL and self.residual.array >= 0:
            raise ValueError(f"{op} takes no second input, got {residual}")
        self.hold_weights()

    @property
    def mult_adds(self):
        """Return the multiply-adds of convolutions for one image, an integer."""
        return 0 if self.data.op.mult_adds == NULL else int(self.data.op.mult_adds(&self.data.g))

    @property
    def work(self):
        """Return about how many operations one image takes."""
        return self.data.op.work(&self.data)

    cdef hold_weights(self):
        cdef StepData* s = &self.data
        cdef Sizes sizes = s.op.weigh(&s.g)
        self.held = [memoryview(array) for array in self.weights.values() if array is not None]
        s.weight = self.floats("weight", sizes.weight)
        s.bias = self.floats("bias", sizes.bias)
        s.mid_weight = self.floats("mid_weight", sizes.mid_weight)
        s.mid_bias = self.floats("mid_bias", sizes.mid_bias)
        s.in_weight = self.floats("in_weight", sizes.in_weight)
        s.in_bias = self.floats("in_bias", sizes.in_bias)

    cdef const float* floats(self, str name, double takes) except? NULL:
        """Return the address of a weight of so many floats, or NULL if the op takes none."""
        cdef double count = 0
        cdef const float* data = NULL
        array = self.weights.get(name)
        if array is not None:
            data = floats_of(array, &count)
        if count != takes:
            raise ValueError(f"{self.op} takes {takes:.0f} floats of {name}, got {count:.0f}")
        return data
