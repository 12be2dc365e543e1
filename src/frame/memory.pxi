# Memory: aligned blocks that runs borrow, and the addresses of the caller's arrays.

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


cdef list idle_memory = []      # blocks of finished runs, borrowed and given back under the GIL


cdef Memory borrow(size_t floats):
    """Return the smallest idle block that is large enough, or a new one."""
    cdef Memory memory, best = None
    for memory in idle_memory:
        if memory.floats >= floats and (best is None or memory.floats < best.floats):
            best = memory
    if best is not None:
        idle_memory.remove(best)
        return best
    return Memory(max(floats, <size_t>1 << 18))


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
    """Return address and size of a C-contiguous float32 array; the caller keeps the array alive."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
    cdef const float* data = <const float*>view.buf
    cdef bint fits = view.itemsize == 4 and view.format != NULL and view.format[0] == c'f'
    count[0] = view.len // 4
    PyBuffer_Release(&view)
    if not fits:
        raise TypeError("kernels take C-contiguous float32 arrays")
    return data


cdef double* doubles_of(object array, Py_ssize_t count) except? NULL:
    """Return the address of a writeable float64 vector of `count` elements, or NULL for None."""
    cdef Py_buffer view
    if array is None:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    cdef double* data = <double*>view.buf
    cdef bint fits = view.len == 8 * count and view.format != NULL and view.format[0] == c'd'
    PyBuffer_Release(&view)
    if not fits:
        raise TypeError(f"stamps must be a float64 vector of {count} elements")
    return data
