# What the kernels use of platform.h.

cdef extern from "platform.h" nogil:
    enum: CACHE_LINE
    void* memory_take(size_t bytes)
    void memory_give(void* p)
    Py_ssize_t counter_next(Py_ssize_t* counter)
    void team_barrier()
    double seconds()
