# Op: the record that each kind of layer fills once, and the step that it computes.
#
# A step is cut into strips that do not depend on each other; threads take strips until none is
# left.
#
#     strip = (image or images) x (a block of rows) x (a block of weight panels)
#
# How a step is cut never changes a bit of its result, because each output element is one chain of
# sums, whichever strip and tile it belongs to.

cdef struct Axes:
    Py_ssize_t[5] axis            # sizes, or strides in floats

cdef struct Op                    # forward: see below

cdef struct StepData:
    const Op* op
    Geometry g
    const float* weight           # packed; separable, inverted residual: of the last pointwise stage
    const float* bias             # filled up with zeros to whole vecs, per group
    const float* mid_weight       # of the depthwise stage
    const float* mid_bias
    const float* in_weight        # of the expansion
    const float* in_bias
    const float* x                # n maps (h, w, c)
    const float* residual         # the second input: n maps like the output, or NULL
    float* y                      # n maps (oh, ow, oc)
    Axes size, x_strides, y_strides               # copy: the floats it moves, and how they lie
    Py_ssize_t shift, to_shift    # copy: floats from the start of x and y
    Py_ssize_t rows, panels       # what is cut: rows of each map or list, panels of weights
    Py_ssize_t row_blocks, panel_blocks, strips   # into how many blocks, and strips in all
    Py_ssize_t front_strips       # strips of a first phase, or 0
    const float* following        # the first weights of the next step, or NULL
    float* middle                 # memory of all threads between the two phases

cdef struct Sizes:                # floats of the packed weights that a step reads
    double weight, bias
    double mid_weight, mid_bias
    double in_weight, in_bias

cdef struct Op:
    # Say in a sentence why a step does not fit this op, or return None.
    str (*error)(const StepData* s)
    # Return the floats of each weight.
    Sizes (*weigh)(const Geometry* g) noexcept
    # Return the floats of the second input for one image; NULL: there is none.
    double (*second)(const Geometry* g) noexcept
    bint second_required
    bint by_layout                # writes the floats that its layout names, not its whole map
    # Return the multiply-adds of convolutions for one image, as dsconv.cost counts; NULL: none.
    double (*mult_adds)(const Geometry* g) noexcept
    # Return about how many operations one image takes: multiply-adds, or floats that are touched.
    double (*work)(const StepData* s) noexcept
    # Choose the strips: call cut_rows.
    void (*cut)(StepData* s, int threads) noexcept nogil
    # Return the floats of memory that one strip of at most `rows` rows needs; NULL: none.
    Py_ssize_t (*scratch)(const StepData* s, Py_ssize_t rows) noexcept nogil
    # Compute strip number `index`.
    void (*strip)(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil
    # The same for a first phase, which all threads finish before any begins the second; or NULL.
    void (*front)(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil


cdef Sizes no_weights(const Geometry* g) noexcept:
    cdef Sizes sizes
    memset(&sizes, 0, sizeof(Sizes))
    return sizes


cdef double filled(double channels, int width) noexcept:
    """Return a number of channels, filled up to whole vecs or blocks.

    Sizes are computed as double, because products of numbers up to 2^40 cannot overflow there. They
    are exact wherever they could be equal to the size of an array.
    """
    return round_up(<Py_ssize_t>min(channels, 2.0 ** 60), width)


cdef double output_floats(const Geometry* g) noexcept:
    """Return the size of a second input that is laid out like the output."""
    return <double>g.oh * g.ow * g.oc


cdef double convolution_mult_adds(const Geometry* g) noexcept:
    """Return the multiply-adds of one convolution, the padding's among them."""
    return output_floats(g) * g.kh * g.kw * (g.c // g.groups)


cdef double map_work(const StepData* s) noexcept:
    """Return the work of an op that touches each float of its maps once."""
    return max(<double>s.g.h * s.g.w * s.g.c, output_floats(&s.g))


cdef inline const float* first_weights(const StepData* s) noexcept nogil:
    """Return the weights that a step reads first."""
    return s.in_weight if s.in_weight != NULL else s.weight
