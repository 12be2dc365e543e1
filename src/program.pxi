# Program: a flat list of steps with packed weights, run in one call without the GIL.
#
# A team of threads enters once. For every step each thread takes strips from a shared counter until
# none is left; a barrier separates the steps. Buffers are named by (slot, offset): slot 0 is the
# program's own arena, slot i the i-th array of the call; offsets count floats per image, so that one
# program serves any batch size. A Program never changes: every run works on its own copy of the
# steps and its own block of memory.

cdef class Memory:
    """An aligned block of floats, on huge pages where the system has them."""
    cdef float* data
    cdef size_t floats

    def __cinit__(self, size_t floats):
        if floats > (<size_t>-1) // 8:
            raise MemoryError(f"{floats} floats do not fit into memory")
        self.data = <float*>memory_take(4 * floats + CACHE_LINE)
        self.floats = floats
        if self.data == NULL:
            raise MemoryError(f"no memory for {4 * floats} bytes")

    def __dealloc__(self):
        memory_give(self.data)


cdef list idle_memory = []      # blocks of finished runs, taken and given back under the GIL


cdef Memory borrow(size_t floats):
    """The smallest idle block that is large enough, or a new one."""
    cdef Memory memory, best = None
    for memory in idle_memory:
        if memory.floats >= floats and (best is None or memory.floats < best.floats):
            best = memory
    if best is not None:
        idle_memory.remove(best)
        return best
    return Memory(max(floats, 1 << 18))


cdef give_back(Memory memory):
    """Keep the latest idle blocks, up to 64 MB in all; the others go back to the system."""
    cdef Memory kept
    cdef size_t floats = 0
    idle_memory.insert(0, memory)
    for i, kept in enumerate(idle_memory):
        floats += kept.floats
        if floats > 16 << 20:
            del idle_memory[i:]
            break


cdef const float* floats_of(object array, bint writable=False) except? NULL:
    """Address of a C-contiguous float32 array; the caller keeps the array alive."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
    cdef const float* data = <const float*>view.buf
    cdef bint fits = view.itemsize == 4 and view.format != NULL and view.format[0] == c'f'
    PyBuffer_Release(&view)
    if not fits:
        raise TypeError("kernels take C-contiguous float32 arrays")
    return data


cdef void* doubles_of(object array, Py_ssize_t count) except? NULL:
    """Address of a writeable float64 vector of `count` elements."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    cdef void* data = view.buf
    cdef bint fits = view.len == 8 * count and view.format != NULL and view.format[0] == c'd'
    PyBuffer_Release(&view)
    if not fits:
        raise TypeError(f"stamps must be a float64 vector of {count} elements")
    return data


cdef int check_size(const Geometry* g) except -1:
    """Refuse windows out of all proportion to the map, before their size can overflow."""
    cdef double rows = <double>(g.kh - 1) * g.dh + 1 + g.sh
    cdef double columns = <double>(g.ow - 1) * g.sw + <double>(g.kw - 1) * g.dw + 1 + g.w
    cdef double maps = <double>g.h * g.w + <double>g.oh * g.ow + <double>g.kh * g.kw
    if rows * columns * (g.c * g.multiplier + BLOCK) > 2.0 ** 26 and rows * columns > 16 * maps:
        raise ValueError(
            f"dilation, stride and padding are too large for a map of {g.h} x {g.w}: the window "
            f"under one output row is {rows:.0f} x {columns:.0f} pixels")
    return 0


cdef class Step:
    """One layer: `op`, its geometry, (slot, offset) of its maps and its packed weights.

    `weights` may hold weight, bias, mid_weight, mid_bias, in_weight and in_bias; `layout`, for
    copies, is (sizes, strides of x, strides of y, shift of x, shift of y).
    """
    cdef StepData data
    cdef Py_ssize_t[2] x
    cdef Py_ssize_t[2] y
    cdef Py_ssize_t[2] residual
    cdef dict weights           # keeps alive what data points into

    def __init__(self, str op, dict geometry, x, y, residual=None, dict weights=None, layout=None):
        cdef int i
        memset(&self.data, 0, sizeof(StepData))
        if op not in OPS:
            raise ValueError(f"op must be one of {sorted(OPS)}, got {op!r}")
        self.data.op = OPS[op]
        self.data.g = geometry
        check_size(&self.data.g)
        self.x[0], self.x[1] = x
        self.y[0], self.y[1] = y
        self.residual[0], self.residual[1] = residual or (-1, 0)
        self.weights = weights or {}
        self.data.weight = self.floats("weight")
        self.data.bias = self.floats("bias")
        self.data.mid_weight = self.floats("mid_weight")
        self.data.mid_bias = self.floats("mid_bias")
        self.data.in_weight = self.floats("in_weight")
        self.data.in_bias = self.floats("in_bias")
        if layout is not None:
            for i in range(5):
                self.data.size.axis[i] = layout[0][i]
                self.data.x_strides.axis[i] = layout[1][i]
                self.data.y_strides.axis[i] = layout[2][i]
            self.data.shift = layout[3]
            self.data.to_shift = layout[4]

    cdef const float* floats(self, str name) except? NULL:
        array = self.weights.get(name)
        return NULL if array is None else floats_of(array)


cdef Py_ssize_t strip_scratch(const StepData* s, Py_ssize_t rows) noexcept nogil:
    """Floats that one strip of a step works in, beside its input and output."""
    cdef const Geometry* g = &s.g
    cdef Py_ssize_t most = ceil_div(rows, s.row_blocks), pixels = most * g.ow
    if s.op == OP_POINTWISE:
        return 2 * (most if g.sh == 1 and g.sw == 1 else pixels)
    if s.op == OP_STANDARD:
        return round_up(2 * (g.kh * g.kw + pixels), 16) + (
            window_rows(g, most) * padded_width(g) * g.c if g.padded else 0)
    if s.op == OP_WINOGRAD:
        return winograd_scratch(g, most)
    if s.op == OP_DEPTHWISE:
        return depthwise_scratch(g)
    if s.op == OP_SEPARABLE:
        return depthwise_scratch(g) + round_up(pixels * g.c * g.multiplier, 16) + 2 * pixels
    if s.op == OP_INVERTED and s.front_strips:
        return max(front_scratch(g, g.oh), 2 * most)
    if s.op == OP_INVERTED:
        return inverted_scratch(g, most)
    return 0


cdef void run_strip(const StepData* s, Py_ssize_t index, float* scratch) noexcept nogil:
    if s.op == OP_POINTWISE:
        pointwise_strip(s, index, scratch)
    elif s.op == OP_STANDARD:
        standard_strip(s, index, scratch)
    elif s.op == OP_WINOGRAD:
        winograd_strip(s, index, scratch)
    elif s.op == OP_DEPTHWISE:
        depthwise_strip(s, index, scratch)
    elif s.op == OP_SEPARABLE:
        separable_strip(s, index, scratch)
    elif s.op == OP_INVERTED:
        inverted_strip(s, index, scratch)
    elif s.op == OP_GLOBAL_AVERAGE:
        global_average_strip(s, index, scratch)
    elif s.op == OP_AVERAGE_POOL or s.op == OP_MAX_POOL:
        pool_strip(s, index, scratch)
    elif s.op == OP_ADD:
        add_strip(s, index, scratch)
    elif s.op == OP_MUL:
        mul_strip(s, index, scratch)
    elif s.op == OP_SCALE:
        scale_strip(s, index, scratch)
    elif s.op == OP_ACTIVATION:
        activation_strip(s, index, scratch)
    elif s.op == OP_LOCAL_RESPONSE:
        local_response_strip(s, index, scratch)
    elif s.op == OP_L2:
        l2_strip(s, index, scratch)
    elif s.op == OP_SOFTMAX:
        softmax_strip(s, index, scratch)
    elif s.op == OP_RESIZE:
        resize_strip(s, index, scratch)
    elif s.op == OP_COPY:
        copy_strip(s, index, scratch)
    elif s.op == OP_ZERO:
        zero_strip(s, index, scratch)


cdef const float* first_weights(const StepData* s) noexcept nogil:
    """What a step reads first of its weights."""
    return s.in_weight if s.in_weight != NULL else s.weight


cdef void run_team_member(
    const StepData* steps, Py_ssize_t count, Py_ssize_t* counters, float* scratch, double* stamps,
    bint team,
) noexcept nogil:
    """What every thread of the team does; `scratch` is its own, `stamps` are the first one's."""
    cdef Py_ssize_t i, strip
    if stamps != NULL:
        stamps[0] = seconds()
    for i in range(count):
        if steps[i].front_strips:
            strip = counter_next(&counters[count + i])
            while strip < steps[i].front_strips:
                inverted_front_strip(&steps[i], strip, scratch)
                strip = counter_next(&counters[count + i])
            if team:
                team_barrier()
        strip = counter_next(&counters[i])
        while strip < steps[i].strips:
            run_strip(&steps[i], strip, scratch)
            strip = counter_next(&counters[i])
        if team:
            team_barrier()
        if stamps != NULL:
            stamps[i + 1] = seconds()


cdef class Program:
    """Steps in order. `run(arrays, n)` runs them on n images; arrays are slots 1, 2, ..."""
    cdef list steps
    cdef Py_ssize_t arena

    def __init__(self, list steps not None, Py_ssize_t arena=0):
        for step in steps:
            if not isinstance(step, Step):
                raise TypeError(f"steps must be Step objects, got {type(step).__name__}")
        self.steps = list(steps)
        self.arena = arena

    def run(self, tuple arrays not None, Py_ssize_t n, int threads, stamps=None):
        """`arrays` are C-contiguous float32 arrays of the sizes that the steps were built for.

        `stamps`, a float64 vector one longer than the steps, takes the seconds between steps.
        """
        cdef Py_ssize_t count = len(self.steps), scratch = 0, middle = 0, i, slots = len(arrays) + 1
        cdef Py_ssize_t arena = round_up(self.arena * n, 16)
        cdef Py_ssize_t head = round_up(
            (count * sizeof(StepData) + 2 * count * sizeof(Py_ssize_t) + slots * sizeof(void*)) // 4 + 1, 16)
        cdef Step step
        cdef StepData* s
        cdef double* clock = NULL if stamps is None else <double*>doubles_of(stamps, count + 1)
        # One block: steps, counters and slots; the arena; what two phases share; each thread's scratch.
        plan = <StepData*>malloc(count * sizeof(StepData) + 1)
        if plan == NULL:
            raise MemoryError
        for i in range(count):
            step = self.steps[i]
            plan[i] = step.data
            plan[i].g.n = n
            divide(&plan[i], threads)
            scratch = max(scratch, plan[i].scratch)
            if plan[i].front_strips:
                middle = max(middle, n * plan[i].g.oh * plan[i].g.ow * plan[i].g.hidden)
        scratch = round_up(scratch, 16) + 16
        middle = round_up(middle, 16)
        cdef Memory memory
        try:
            memory = borrow(head + arena + middle + threads * scratch)
        except MemoryError:
            free(plan)
            raise
        cdef StepData* steps = <StepData*>memory.data
        cdef Py_ssize_t* counters = <Py_ssize_t*>(steps + count)
        cdef float** slot = <float**>(counters + 2 * count)
        cdef float* own = memory.data + head + arena + middle
        memcpy(steps, plan, count * sizeof(StepData))
        free(plan)
        memset(counters, 0, 2 * count * sizeof(Py_ssize_t))
        try:
            slot[0] = memory.data + head
            for i in range(1, slots):
                slot[i] = <float*>floats_of(arrays[i - 1])
            for i in range(count):
                step = self.steps[i]
                s = &steps[i]
                s.middle = memory.data + head + arena
                s.following = NULL if i + 1 == count else first_weights(&steps[i + 1])
                s.x = slot[step.x[0]] + step.x[1] * n
                s.y = slot[step.y[0]] + step.y[1] * n
                s.residual = NULL if step.residual[0] < 0 else slot[step.residual[0]] + step.residual[1] * n
            with nogil:
                if threads == 1:
                    run_team_member(steps, count, counters, own, clock, False)
                else:
                    with parallel(num_threads=threads):
                        run_team_member(steps, count, counters, own + threadid() * scratch,
                                        clock if threadid() == 0 else NULL, True)
        finally:
            give_back(memory)
