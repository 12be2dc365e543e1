# The FMA peak of one thread: twelve independent chains of multiply-adds stay in registers.
# Every per cent of peak that dsconv reports is relative to this loop.

def fma_chains(Py_ssize_t rounds):
    """Run `rounds` x 12 vec multiply-adds and return the number of floating-point operations."""
    cdef vec acc[12]
    cdef float start = <float>rounds      # known at run time only: nothing can be folded
    cdef vec half = vec_fill(start / (2 * start))
    cdef vec one = vec_fill(start / start)
    cdef Py_ssize_t k
    cdef int i
    cdef float lanes[LANES]
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    with nogil:
        for i in range(12):
            acc[i] = vec_fill(start + i)
        for k in range(rounds):
            for i in range(12):
                acc[i] = vec_fma(acc[i], half, one)
        for i in range(1, 12):
            acc[0] = vec_add(acc[0], acc[i])
        vec_store(lanes, acc[0])
    if lanes[0] < 0:             # never: the result has to be used
        raise ArithmeticError("the sum of positive numbers is negative")
    return 2 * 12 * LANES * rounds
