# What the kernels use of platform.h and threads.h.

cdef extern from "platform.h" nogil:
    enum: CACHE_LINE
    void* memory_take(size_t bytes)
    void memory_give(void* p)
    double seconds()
    unsigned long long float_mode_flush()
    void float_mode_restore(unsigned long long mode)

cdef extern from "threads.h" nogil:
    Py_ssize_t atomic_add(Py_ssize_t* number, Py_ssize_t more)
    Py_ssize_t atomic_read(const Py_ssize_t* number)
