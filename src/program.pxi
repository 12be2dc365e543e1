# Program: a flat list of steps with packed weights, run in one call without the GIL.
#
# A team of threads enters once. For every step each thread takes strips from a shared counter until
# none is left; a barrier separates the steps. Buffers are named by (slot, offset): slot 0 is the
# program's own arena, slot i the i-th array of the call; offsets count floats per image, so that one
# program serves any batch size. A Program never changes: every run works on its own copy of the
# steps and its own block of memory.

cdef enum:
    MOST_THREADS = 1024           # libgomp crashes somewhere above


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


cdef const float* floats_of(object array, double* count, bint writable=False) except? NULL:
    """Address and size of a C-contiguous float32 array; the caller keeps the array alive."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
    cdef const float* data = <const float*>view.buf
    cdef bint fits = view.itemsize == 4 and view.format != NULL and view.format[0] == c'f'
    count[0] = view.len // 4
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


GEOMETRY = {
    "n": 1, "h": 1, "w": 1, "c": 1, "oh": 1, "ow": 1, "oc": 1,
    "kh": 1, "kw": 1, "sh": 1, "sw": 1, "dh": 1, "dw": 1,
    "top": 0, "bottom": 0, "left": 0, "right": 0, "padded": 0,
    "groups": 1, "multiplier": 1, "hidden": 0, "tile": 0, "mode": 0,
    "low": -INFINITY, "high": INFINITY, "mid_low": -INFINITY, "mid_high": INFINITY,
    "in_low": -INFINITY, "in_high": INFINITY, "alpha": 0.0, "beta": 0.0, "gamma": 0.0,
}


cdef Axes axes_of(object numbers):
    """Five numbers."""
    cdef Axes axes
    axes.axis[0], axes.axis[1], axes.axis[2], axes.axis[3], axes.axis[4] = numbers
    return axes


cdef class Step:
    """One layer: `op`, its geometry, (slot, offset) of its maps and its packed weights.

    `geometry` has the fields of struct Geometry that are not as in `GEOMETRY`; `weights` may hold
    weight, bias, mid_weight, mid_bias, in_weight and in_bias; `layout`, for copies, is (sizes,
    strides of x, strides of y, shift of x, shift of y). All of it can be read again.
    """
    cdef StepData data
    cdef Py_ssize_t[2] x
    cdef Py_ssize_t[2] y
    cdef Py_ssize_t[2] residual
    cdef readonly str op
    cdef readonly dict geometry
    cdef readonly tuple places      # of x, y and residual, which may be None
    cdef readonly dict weights
    cdef readonly object layout
    cdef list held                  # keeps what data points into alive, and where it is

    def __cinit__(self, str op, dict geometry, x, y, residual=None, dict weights=None, layout=None):
        cdef StepData* s = &self.data
        cdef Sizes sizes
        memset(s, 0, sizeof(StepData))
        if op not in OPS:
            raise ValueError(f"op must be one of {sorted(OPS)}, got {op!r}")
        self.op, self.geometry, self.layout = op, geometry, layout
        self.places, self.weights = (x, y, residual), dict(weights or {})
        self.held = [memoryview(array) for array in self.weights.values() if array is not None]
        s.op = OPS[op]
        whole = GEOMETRY | geometry
        if len(whole) > len(GEOMETRY):
            raise ValueError(f"geometry has no {sorted(whole.keys() - GEOMETRY.keys())}")
        s.g = whole
        s.g.padded = s.g.top > 0 or s.g.bottom > 0 or s.g.left > 0 or s.g.right > 0
        check_geometry(s.op, &s.g)
        self.x[0], self.x[1] = x
        self.y[0], self.y[1] = y
        self.residual[0], self.residual[1] = residual or (-1, 0)
        sizes = weights_of(s.op, &s.g)
        s.weight = self.floats("weight", sizes.weight)
        s.bias = self.floats("bias", sizes.bias)
        s.mid_weight = self.floats("mid_weight", sizes.mid_weight)
        s.mid_bias = self.floats("mid_bias", sizes.mid_bias)
        s.in_weight = self.floats("in_weight", sizes.in_weight)
        s.in_bias = self.floats("in_bias", sizes.in_bias)
        if s.op == OP_COPY:
            sizes_of_axes, x_strides, y_strides, s.shift, s.to_shift = layout
            s.size = axes_of(sizes_of_axes)
            s.x_strides, s.y_strides = axes_of(x_strides), axes_of(y_strides)
            check_axes(s)

    cdef const float* floats(self, str name, double least) except? NULL:
        """Address of a weight that has at least so many floats, or NULL where none is read."""
        cdef double count = 0
        cdef const float* data = NULL
        array = self.weights.get(name)
        if array is not None:
            data = floats_of(array, &count)
        if count < least:
            raise ValueError(f"{self.op} takes {least:.0f} floats of {name}, got {count:.0f}")
        return data


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
    """Steps in order. `run(arrays, n)` runs them on n images; arrays are slots 1, 2, ...

    `inputs` and `outputs` are the floats of these arrays for one image, inputs first. Steps write
    into outputs and the arena alone.

    Attributes
    ----------
    arena : int
        Floats of slot 0 for one image: as far as the steps reach.
    """
    cdef readonly tuple steps
    cdef readonly Py_ssize_t arena
    cdef tuple sizes
    cdef Py_ssize_t inputs

    def __cinit__(self, steps not None, tuple inputs not None, tuple outputs not None):
        cdef Step step
        cdef const Geometry* g
        self.steps, self.sizes, self.inputs = tuple(steps), inputs + outputs, len(inputs)
        for size in self.sizes:
            if not 1 <= size <= MOST_FLOATS:
                raise ValueError(f"arrays must have from 1 to {MOST_FLOATS:.0f} floats, got {size}")
        for item in self.steps:
            if not isinstance(item, Step):
                raise TypeError(f"steps must be Step objects, got {type(item).__name__}")
            step = item
            g = &step.data.g
            self.reach(step.x, <double>g.h * g.w * g.c, False)
            self.reach(step.y, <double>g.oh * g.ow * g.oc, True)
            if step.residual[0] >= 0:
                self.reach(step.residual, residual_floats(&step.data), False)
            elif step.data.op in (OP_ADD, OP_MUL):
                raise ValueError(f"{step.op} takes a second input")
        self.arena = round_up(self.arena, 16)

    cdef int reach(self, const Py_ssize_t* place, double floats, bint written) except -1:
        """A map must lie within its array; the arena becomes as large as it takes."""
        cdef Py_ssize_t slot = place[0], first = self.inputs + 1 if written else 1
        cdef double end = place[1] + floats, size = MOST_FLOATS
        if slot:
            if not first <= slot <= len(self.sizes):
                raise ValueError(f"slot must be 0, or from {first} to {len(self.sizes)}, got {slot}")
            size = self.sizes[slot - 1]
        if place[1] < 0 or end > size:
            raise ValueError(f"floats {place[1]} to {end:.0f} of slot {slot} are not all there")
        if not slot:
            self.arena = max(self.arena, <Py_ssize_t>end)
        return 0

    def run(self, tuple arrays not None, Py_ssize_t n, int threads, stamps=None):
        """`arrays` are C-contiguous float32 arrays of n images.

        `stamps`, a float64 vector one longer than the steps, takes the seconds between steps.
        """
        cdef Py_ssize_t count = len(self.steps), scratch = 0, middle = 0, i, slots = len(arrays) + 1
        cdef Py_ssize_t arena
        cdef double size
        if <double>self.arena * n > MOST_FLOATS:
            raise MemoryError(f"no memory for {n} times {4 * self.arena} bytes")
        if slots != len(self.sizes) + 1 or n < 0 or not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"run takes {len(self.sizes)} arrays, images and threads, got "
                             f"{len(arrays)}, {n} and {threads}")
        arena = round_up(self.arena * n, 16)
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
                slot[i] = <float*>floats_of(arrays[i - 1], &size, i > self.inputs)
                if size != <double>n * <Py_ssize_t>self.sizes[i - 1]:
                    raise ValueError(f"array {i} must have {n} x {self.sizes[i - 1]} floats, got {size:.0f}")
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
