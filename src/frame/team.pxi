# Team: the threads that run a list of steps together, without the GIL.
#
# The threads start once for all steps. For each step every thread takes strips from a shared counter
# until none is left, and then waits at a barrier for the others. A step in two phases has a second
# barrier between them.
#
#     thread 0:  | strip 0 | strip 3 | strip 4 |    wait | strip 0 | ...
#     thread 1:  | strip 1      | strip 2           | end | strip 1 | ...
#                step 0                             ^ step 0 ends with its last thread

cdef struct Run:
    StepData* steps               # (count,)
    Py_ssize_t count
    Py_ssize_t* counters          # (count, 2): strips taken of the first phase, of the second
    double* stamps                # (threads, count + 1), or NULL: see Program.run
    float* scratch                # (threads, scratch_floats)
    Py_ssize_t scratch_floats
    int threads


cdef void run_member(const Run* run, int thread) noexcept nogil:
    """Compute one thread's share of all steps."""
    cdef Py_ssize_t i, strip
    cdef float* scratch = run.scratch + thread * run.scratch_floats
    cdef double* stamps = NULL if run.stamps == NULL else run.stamps + thread * (run.count + 1)
    cdef const StepData* s
    if stamps != NULL:
        stamps[0] = seconds()
    for i in range(run.count):
        s = &run.steps[i]
        if s.front_strips:
            strip = counter_next(&run.counters[2 * i])
            while strip < s.front_strips:
                s.op.front(s, strip, scratch)
                strip = counter_next(&run.counters[2 * i])
            if run.threads > 1:
                team_barrier()
        strip = counter_next(&run.counters[2 * i + 1])
        while strip < s.strips:
            s.op.strip(s, strip, scratch)
            strip = counter_next(&run.counters[2 * i + 1])
        if stamps != NULL:
            stamps[i + 1] = seconds()
        if run.threads > 1:
            team_barrier()


cdef void run_team(const Run* run) noexcept nogil:
    if run.threads == 1:
        run_member(run, 0)
    else:
        with parallel(num_threads=run.threads):
            run_member(run, threadid())
