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


cdef const void* numbers_of(
    object array, double* count, bint writable=False, char kind=c"f",
) except? NULL:
    """Return address and size of a C-contiguous array of float32, or of float64 for kind d.

    The caller keeps the array alive.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
    cdef const void* data = view.buf
    cdef int size = 4 if kind == c"f" else 8
    cdef bint fits = view.itemsize == size and view.format != NULL and view.format[0] == kind
    count[0] = view.len // size
    PyBuffer_Release(&view)
    if not fits:
        raise TypeError(f"kernels take C-contiguous float{8 * size} arrays")
    return data


cdef const float* floats_of(object array, double* count, bint writable=False) except? NULL:
    return <const float*>numbers_of(array, count, writable)
