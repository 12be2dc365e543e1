# Program: a list of steps with packed weights, run in one call.
#
# Maps are named by (array, offset). Array 0 is the arena, the program's own memory; array i is
# the i-th of the call. Offsets count floats per image, so one program serves any number of
# images. A Program never changes: each run has a copy of the steps and memory of its own, so
# several threads may run one program.

cdef enum:
    MOST_THREADS = 1024           # of one call


cdef class Program:
    """Steps in order. `run(arrays, n)` runs them on n images; arrays are numbered from 1 on.

    `inputs` and `outputs` are the floats of these arrays for one image, inputs first. Steps write
    into outputs and the arena alone.

    Attributes
    ----------
    arena : int
        Floats of array 0 for one image: as far as the steps reach.
    """
    cdef readonly tuple steps
    cdef readonly Py_ssize_t arena
    cdef tuple sizes                # floats of each array for one image
    cdef Py_ssize_t inputs

    def __cinit__(self, steps not None, tuple inputs not None, tuple outputs not None):
        cdef Step step
        cdef const Geometry* g
        self.steps, self.sizes, self.inputs = tuple(steps), inputs + outputs, len(inputs)
        for size in self.sizes:
            if not 1 <= size <= MOST_FLOATS:
                raise ValueError(f"arrays must have from 1 to {MOST_FLOATS:.0f} floats, got {size}")
        for number, item in enumerate(self.steps):
            if not isinstance(item, Step):
                raise TypeError(f"steps must be Step objects, got {type(item).__name__} as step {number}")
            step = item
            g = &step.data.g
            name = f"step {number} ({step.op})"
            self.reach(name, "reads", step.x, <double>g.h * g.w * g.c, 1)
            self.reach(name, "writes", step.y, output_floats(g), self.inputs + 1)
            if step.residual.array >= 0:
                self.reach(name, "reads", step.residual, step.data.op.second(g), 1)
        self.arena = round_up(self.arena, 16)

    cdef int reach(self, str name, str does, Place place, double floats, Py_ssize_t first) except -1:
        """Check that a map lies within its array, which is the arena or one from `first` on."""
        cdef double end = place.offset + floats, size = MOST_FLOATS
        if place.array:
            if not first <= place.array <= len(self.sizes):
                raise ValueError(
                    f"{name} {does} array {place.array}; it must be 0, or from {first} to {len(self.sizes)}")
            size = self.sizes[place.array - 1]
        if place.offset < 0 or end > size:
            raise ValueError(f"{name} {does} floats {place.offset} to {end:.0f} of "
                             f"{array_name(place.array)}, which has {'' if place.array else 'at most '}{size:.0f}")
        if not place.array:
            self.arena = max(self.arena, <Py_ssize_t>end)
        return 0

    def gap(self):
        """Say where it is not certain that what is read was written before, or return None."""
        cdef Written written = Written(self.sizes, self.inputs)
        cdef Step step
        for number, step in enumerate(self.steps):
            written.follow(f"step {number} ({step.op})", step)
        for i in range(self.inputs, len(self.sizes)):
            written.read("the caller", Place(i + 1, 0), self.sizes[i])
        return written.gap

    def run(self, tuple arrays not None, Py_ssize_t n, int threads, stamps=None):
        """Run the steps on `arrays`, C-contiguous float32 arrays of n images.

        `stamps`, a float64 array (steps + 1,), gets the time in seconds when the run began and when
        each step was complete. An exception of a signal handler ends the run.
        """
        cdef double size
        cdef Memory floats
        cdef double* moments = NULL
        cdef Run* run
        cdef list errors = []
        if len(arrays) != len(self.sizes) or n < 0 or not 1 <= threads <= MOST_THREADS:
            raise ValueError(
                f"run takes {len(self.sizes)} arrays, n of at least 0 images and from 1 to {MOST_THREADS} "
                f"threads, got {len(arrays)}, {n} and {threads}")
        if <double>self.arena * n > MOST_FLOATS:
            raise MemoryError(f"no memory for {n} times {4 * self.arena} bytes")
        if stamps is not None:
            moments = <double*>numbers_of(stamps, &size, True, c"d")
            if size != len(self.steps) + 1:
                raise ValueError(f"stamps must have {len(self.steps) + 1} elements, got {size:.0f}")
        run = self.plan(n, threads)
        try:
            floats = self.borrow_floats(run, n)
            self.set_addresses(run, arrays, n, floats.data)
        except BaseException:
            memory_give(run)
            raise
        run.stamps, run.error = moments, <void*>errors
        with nogil:
            run_team(run)
        give_back(floats)
        if errors:
            raise errors[0]

    cdef Run* plan(self, Py_ssize_t n, int threads) except NULL:
        """Copy the steps and cut them for n images and so many threads."""
        cdef Py_ssize_t i, count = len(self.steps)
        cdef size_t bytes = sizeof(Run) + count * (sizeof(StepData) + sizeof(Counters))
        cdef Run* run = <Run*>memory_take(bytes)
        cdef Step step
        cdef StepData* s
        if run == NULL:
            raise MemoryError(f"no memory for {bytes} bytes")
        memset(run, 0, bytes)
        run.steps = <StepData*>(run + 1)
        run.counters = <Counters*>(run.steps + count)
        run.count, run.team.seats = count, threads
        for i in range(count):
            step = self.steps[i]
            s = &run.steps[i]
            s[0] = step.data
            s.g.n = n
            s.op.cut(s, threads)
        return run

    cdef Memory borrow_floats(self, Run* run, Py_ssize_t n):
        """Borrow one block for the arena, what lies between two phases, and each thread's scratch."""
        cdef Py_ssize_t i, arena = self.arena * n, middle = 0, scratch = 0
        cdef const StepData* s
        cdef Memory memory
        for i in range(run.count):
            s = &run.steps[i]
            if s.op.scratch != NULL:
                scratch = max(scratch, s.op.scratch(s, ceil_div(s.rows, s.row_blocks)))
            if s.front_strips:
                middle = max(middle, n * s.g.oh * s.g.ow * s.g.hidden)
        middle = round_up(middle, 16)
        run.scratch_floats = round_up(scratch, 16) + 16
        memory = borrow(arena + middle + run.team.seats * run.scratch_floats)
        run.scratch = memory.data + arena + middle
        return memory

    cdef int set_addresses(self, Run* run, tuple arrays, Py_ssize_t n, float* arena) except -1:
        """Check the caller's arrays and let the steps point into them."""
        cdef double size
        cdef Py_ssize_t i
        cdef Step step
        cdef StepData* s
        cdef list address = [<size_t>arena]
        for i in range(1, len(arrays) + 1):
            address.append(<size_t>floats_of(arrays[i - 1], &size, i > self.inputs))
            if size != <double>n * <Py_ssize_t>self.sizes[i - 1]:
                raise ValueError(f"array {i} must have {n} x {self.sizes[i - 1]} floats, got {size:.0f}")
        for i in range(run.count):
            step = self.steps[i]
            s = &run.steps[i]
            s.middle = arena + self.arena * n
            s.following = NULL if i + 1 == run.count else first_weights(&run.steps[i + 1])
            s.x = <float*><size_t>address[step.x.array] + step.x.offset * n
            s.y = <float*><size_t>address[step.y.array] + step.y.offset * n
            if step.residual.array >= 0:
                s.residual = <float*><size_t>address[step.residual.array] + step.residual.offset * n
        return 0
