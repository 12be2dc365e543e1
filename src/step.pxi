# Step: one layer as the kernels see it, and how its work is cut into strips.
#
# A step is cut into strips that do not depend on each other; threads take strips until none is
# left. Every convolution is one function that computes one strip:
#
#     strip = (image or images) x (a block of output rows) x (a block of output panels)
#
# How the work is cut never changes a bit of the result: each output element is one chain of sums,
# whichever strip and tile it falls into.

cdef enum Op:
    OP_POINTWISE
    OP_STANDARD
    OP_WINOGRAD
    OP_DEPTHWISE
    OP_SEPARABLE
    OP_INVERTED
    OP_GLOBAL_AVERAGE
    OP_AVERAGE_POOL
    OP_MAX_POOL
    OP_ADD
    OP_MUL
    OP_SCALE
    OP_ACTIVATION
    OP_LOCAL_RESPONSE
    OP_L2
    OP_SOFTMAX
    OP_RESIZE
    OP_COPY
    OP_ZERO

cdef enum:
    # What a strip keeps at hand, in floats: half of a 512 KB L2 cache, the rest is for the weights.
    STRIP_FLOATS = 64 * 1024

cdef struct Geometry:
    Py_ssize_t n, h, w, c         # input: n maps of (h, w, c)
    Py_ssize_t oh, ow, oc         # output: n maps of (oh, ow, oc)
    Py_ssize_t kh, kw, sh, sw, dh, dw             # window
    Py_ssize_t top, bottom, left, right           # padding in pixels
    Py_ssize_t padded                             # 1 if any tap may fall outside of the map
    Py_ssize_t groups, multiplier
    Py_ssize_t hidden                             # inverted residual: channels between
    Py_ssize_t tile                               # Winograd: output pixels of a tile, each way
    int mode                      # which activation, average or resize; size of a local response
    float low, high                               # clamp of the result
    float mid_low, mid_high                       # clamp behind the depthwise stage
    float in_low, in_high                         # clamp behind the expansion
    float alpha, beta, gamma      # leaky ReLU: slope; L2: epsilon; local response: as in its formula

cdef struct Axes:
    Py_ssize_t[5] axis            # sizes, or strides in floats


cdef struct StepData:
    Op op
    Geometry g
    const float* weight           # packed; separable: of the pointwise half
    const float* bias             # padded with zeros to whole vecs, per group
    const float* mid_weight       # of the depthwise stage
    const float* mid_bias
    const float* in_weight        # of the expansion
    const float* in_bias
    const float* x
    const float* residual
    float* y
    Axes size, x_strides, y_strides               # copy: what moves, and how it lies
    Py_ssize_t shift, to_shift    # copy: floats from the start of x and y
    const float* following        # the first weights of the next step, or NULL
    float* middle                 # inverted residual in two phases: (pixels, hidden)
    Py_ssize_t row_blocks, panel_blocks, strips, scratch    # set by divide()
    Py_ssize_t front_strips       # strips of a first phase, or 0; also set by divide()


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline Py_ssize_t round_up(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b * b


cdef Py_ssize_t blocks_of_rows(
    Py_ssize_t rows, Py_ssize_t floats_per_row, Py_ssize_t maps, int threads
) noexcept nogil:
    """Into how many even blocks to cut `rows`: each fits the cache, every thread gets its share."""
    cdef Py_ssize_t blocks = ceil_div(rows, max(1, STRIP_FLOATS // max(1, floats_per_row)))
    if maps * blocks < 8 * threads and maps % threads != 0:
        blocks = round_up(blocks, threads)
    return max(1, min(blocks, rows))


cdef void divide(StepData* s, int threads) noexcept nogil:
    """Choose the strips of a step, and the scratch floats that one strip needs."""
    cdef Geometry* g = &s.g
    cdef Py_ssize_t maps = g.n, rows = g.oh, panels = 1, floats_per_row = 1
    s.front_strips = 0
    if s.op == OP_POINTWISE:
        pointwise_shape(g, &maps, &rows, &floats_per_row)
        panels = ceil_div(g.oc, BLOCK)
    elif s.op == OP_STANDARD:
        floats_per_row = g.sh * padded_width(g) * g.c
        panels = g.groups * ceil_div(g.oc // g.groups, BLOCK)
    elif s.op == OP_WINOGRAD:
        maps = min(1, g.n)
        winograd_shape(g, &rows, &floats_per_row)
        panels = ceil_div(g.oc, BLOCK)
    elif s.op == OP_DEPTHWISE:
        floats_per_row = g.sh * g.w * g.c
    elif s.op == OP_SEPARABLE:
        floats_per_row = g.ow * g.c * g.multiplier
        panels = ceil_div(g.oc, BLOCK)
    elif s.op == OP_INVERTED:
        # Four times the usual strip: expanding fewer rows twice is worth more than the L2 cache
        # (28 x 28 x 192: 5 %, 14 x 14 x 576: 7 %). Panels are not shared: each would expand again.
        floats_per_row = g.ow * g.hidden // 4
        if inverted_in_phases(g, threads):
            s.front_strips = g.n * min(ceil_div(g.hidden, BLOCK), 4 * threads)
            maps = 1
            rows = g.n * g.oh * g.ow
            floats_per_row = g.hidden
            panels = ceil_div(g.oc, BLOCK)
    elif s.op == OP_GLOBAL_AVERAGE:
        rows = ceil_div(g.c, BLOCK)
    elif s.op == OP_COPY:
        rows = s.size.axis[0]
    elif s.op == OP_SOFTMAX:
        maps = 1
        rows = g.n * g.h
    elif s.op in (OP_AVERAGE_POOL, OP_MAX_POOL, OP_RESIZE, OP_ZERO):
        floats_per_row = g.ow * g.oc
    else:
        maps = 1
        rows = g.n * g.h * g.w
        floats_per_row = 4 * g.c
    s.panel_blocks = 1
    if s.op == OP_WINOGRAD:
        # Few strips share the panels: transforming the input again costs less than a smaller strip.
        s.row_blocks = blocks_of_rows(rows, floats_per_row, maps, 1)
        if s.row_blocks < 4 * threads:
            s.panel_blocks = min(panels, threads)
    elif maps == 1 and panels_are_more_even(s, rows, panels, threads):
        s.row_blocks = blocks_of_rows(rows, floats_per_row, maps, 1)
        s.panel_blocks = threads
    else:
        s.row_blocks = blocks_of_rows(rows, floats_per_row, maps, threads)
        if maps > 0 and maps * s.row_blocks < threads:
            s.panel_blocks = min(panels, ceil_div(threads, maps * s.row_blocks))
    s.strips = maps * s.row_blocks * s.panel_blocks
    s.scratch = strip_scratch(s, rows)


cdef inline double unevenness(Py_ssize_t parts, int threads) noexcept nogil:
    """How much longer `threads` threads take for so many equal parts than if these could be cut."""
    return <double>(round_up(parts, threads)) / parts - 1


cdef inline bint panels_are_more_even(
    const StepData* s, Py_ssize_t rows, Py_ssize_t panels, int threads
) noexcept nogil:
    """Whether threads share the panels of a map, because its few rows are not shared evenly.

    7 rows are 4 and 3 for two threads (7 x 7, AVX2: separable 1024 -> 1024, 606 -> 548 us; standard
    512 -> 512, 1360 -> 1195 us, each thread reading its own weights only). Every thread but one pays
    for it: 2 %, since each reads the whole map, and a depthwise stage done anew, at about a third of
    the tile's speed.
    """
    cdef double cost = 0.02
    if s.op == OP_SEPARABLE:
        cost += 3.0 * s.g.kh * s.g.kw / s.g.oc
    cost *= threads - 1
    return rows > 0 and panels >= threads and unevenness(panels, threads) + cost < unevenness(rows, threads)


cdef inline bint inverted_in_phases(const Geometry* g, int threads) noexcept nogil:
    """Whether all threads expand their share of the channels before any of them projects.

    Strips of rows would expand the rows where they meet twice: half as much again where two threads
    share a map of 7 x 7 (block 15 of V2 on two threads: 230 -> 180 us). On larger maps that is little,
    and the channels in between would leave the caches (28 x 28 x 192: 128 -> 150 us).
    """
    return 0 < g.n < threads and g.oh * g.ow * g.hidden <= STRIP_FLOATS


cdef inline const float* weights_after(const StepData* s, Py_ssize_t index) noexcept nogil:
    """What is likely to be read after strip `index`: the same weights again, or the next step's.

    Asking for it early takes 1 to 2 % off ResNet-50.
    """
    return s.weight if index + 1 < s.strips else s.following


cdef struct Strip:
    Py_ssize_t image, first, last           # output rows first .. last of one image
    Py_ssize_t first_panel, last_panel


cdef Strip locate(const StepData* s, Py_ssize_t index, Py_ssize_t rows, Py_ssize_t panels) noexcept nogil:
    """Which part of the output strip number `index` is."""
    cdef Strip strip
    cdef Py_ssize_t block = index // s.panel_blocks % s.row_blocks
    cdef Py_ssize_t panel = index % s.panel_blocks
    strip.image = index // (s.panel_blocks * s.row_blocks)
    strip.first = block * rows // s.row_blocks
    strip.last = (block + 1) * rows // s.row_blocks
    strip.first_panel = panel * panels // s.panel_blocks
    strip.last_panel = (panel + 1) * panels // s.panel_blocks
    return strip
