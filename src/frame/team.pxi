# A run: what the threads of a call compute together, step by step, without the GIL.
#
#     steps:    |      step 0      |          step 1           | ...       team.h has the picture of
#     phases:   |      strips      |  front strips  |  strips  | ...       threads, strips and phases
#
# Each step is one phase, or two if it has front strips. A run lies in a block of its own behind the
# team, because threads that come late may still look at it when the call has returned.

cdef extern from "frame/team.h" nogil:
    ctypedef struct Team:
        void (*compute)(Team* team, int seat) noexcept nogil
        int seats
    void team_run(Team* team)
    void team_wait(Team* team, Py_ssize_t phases)
    void team_complete(Team* team)
    bint team_is_lost(const Team* team)

cdef double LOOK_SECONDS = 0.05   # between two looks for signals, which may have to wait for the GIL
cdef double LONG_SECONDS = 0.01   # between two looks at the clock

cdef struct Counters:             # of one step
    Py_ssize_t front, front_done  # strips of the first phase that are taken, and that are done
    Py_ssize_t main, main_done    # of the second, or only one

cdef struct Run:
    Team team                     # first, so that the address of the team is that of the run
    StepData* steps               # (count,)
    Counters* counters            # (count,)
    Py_ssize_t count
    double* stamps                # (count + 1,): when the run began and when each step was complete
    float* scratch                # (seats, scratch_floats)
    Py_ssize_t scratch_floats
    double clock                  # when the caller last looked at the clock, which takes 50 ns
    int until                     # strips that it computes until it looks at the clock again
    double look                   # when it looks for signals again
    unsigned long long mode       # of the caller's floating-point numbers
    Py_ssize_t cancelled          # strips are taken as before, but not computed
    void* error                   # list for the exception of a signal handler


cdef void look_for_signals(Run* run) noexcept with gil:
    """Let Python handle signals, as it does on its main thread; an exception cancels the run."""
    float_mode_restore(run.mode)
    try:
        PyErr_CheckSignals()
        if threading.get_ident() != threading.main_thread().ident:
            run.look = INFINITY
    except BaseException as error:
        (<list>run.error).append(error)
        atomic_add(&run.cancelled, 1)
    if team_is_lost(&run.team):
        (<list>run.error).append(RuntimeError("a signal handler forked the process during a call"))
    float_mode_flush()


cdef void look_at_clock(Run* run) noexcept nogil:
    """Look for signals from time to time, and at the clock more often if strips are long."""
    cdef double now = seconds()
    run.until = 1 if now > run.clock + LONG_SECONDS else 4
    run.clock = now
    if now > run.look:
        run.look = now + LOOK_SECONDS
        look_for_signals(run)


cdef void compute_strips(
    Run* run, const StepData* s, bint front, int seat, Py_ssize_t* taken, Py_ssize_t* done,
) noexcept nogil:
    """Compute strips of a phase until none is left, and say so if these were the last ones."""
    cdef float* scratch = run.scratch + seat * run.scratch_floats
    cdef Py_ssize_t strips = s.front_strips if front else s.strips, mine = 0
    cdef Py_ssize_t strip = atomic_add(taken, 1)
    while strip < strips:
        if not atomic_read(&run.cancelled):
            if front:
                s.op.front(s, strip, scratch)
            else:
                s.op.strip(s, strip, scratch)
        mine += 1
        if seat == 0:
            run.until -= 1
            if run.until <= 0:
                look_at_clock(run)
        strip = atomic_add(taken, 1)
    if mine and atomic_add(done, mine) + mine == strips:
        if run.stamps != NULL and not front:
            run.stamps[s - run.steps + 1] = seconds()
        team_complete(&run.team)


cdef void compute_steps(Team* team, int seat) noexcept nogil:
    """Compute one thread's share of all steps."""
    cdef Run* run = <Run*>team
    cdef Py_ssize_t i, phases = 0
    cdef const StepData* s
    cdef Counters* taken
    cdef unsigned long long mode = float_mode_flush()
    if seat == 0:
        run.mode = mode
    for i in range(run.count):
        s, taken = &run.steps[i], &run.counters[i]
        if s.front_strips:
            phases += 1
            compute_strips(run, s, True, seat, &taken.front, &taken.front_done)
            if team_is_lost(team):
                break
            team_wait(team, phases)
        if s.strips:
            phases += 1
            compute_strips(run, s, False, seat, &taken.main, &taken.main_done)
            if team_is_lost(team):
                break
            team_wait(team, phases)
    float_mode_restore(mode)


cdef void run_team(Run* run) noexcept nogil:
    """Compute all steps, and free the run with its last thread."""
    cdef double start = seconds()
    if run.stamps != NULL:
        run.stamps[0] = start
    run.clock, run.look, run.until = start, start + LOOK_SECONDS, 1
    run.team.compute = compute_steps
    team_run(&run.team)
