# Written: the floats of each array that hold a result, and the first step that may read any others.
#
# The memory of a call is not cleared: the arena is a block of earlier runs, perhaps of another
# model, and outputs are new arrays. A program in which a step reads a float that no step before it
# has written, or which leaves a float of an output as it was, would hand out what was there before.
# So Program.gap follows the steps and says where it cannot prove that there is no such float. Every
# model asks once, when it is made, and refuses such a program. The compiler makes none.
#
# The floats of an array that are written are a sorted list of bounds: first, end, first, end, ...
#
#     [0, 120, 128, 160]:    |########|  |####|  . . .
#                            0        120 128  160
#
# Every op writes its whole map but a copy, which may write a part of each row of its map, as in a
# concat along the channels. Those parts are collected by map and row length, until they cover a
# row. Because offsets and maps grow alike with the number of images, one image stands for all.
#
#     map of a concat:    | part 0 | part 1 | part 0 | part 1 | ...
#                         |<-- row length ->|

from bisect import bisect_left, bisect_right


cdef struct Rows:
    Py_ssize_t first, end         # floats of each row that are written
    Py_ssize_t length             # of a row; the map has whole rows. 0: it is not known what is written


cdef int add_floats(list bounds, Py_ssize_t first, Py_ssize_t end) except -1:
    """Enter floats first .. end as written."""
    cdef Py_ssize_t i = bisect_left(bounds, first), j = bisect_right(bounds, end)
    bounds[i:j] = ([] if i % 2 else [first]) + ([] if j % 2 else [end])
    return 0


cdef bint has_floats(list bounds, Py_ssize_t first, Py_ssize_t end) except -1:
    """Return true if floats first .. end, at least one, are all written."""
    cdef Py_ssize_t i = bisect_right(bounds, first)
    return i % 2 == 1 and bounds[i] >= end


cdef Rows rows_of(const StepData* s) noexcept:
    """Return what a copy writes: some floats of each row of its map.

    The axes are sorted by their strides in y. From the smallest on, an axis that continues where
    the one before it ends makes a longer run of it; the first one that does not must be the rows.
    """
    cdef Rows rows
    cdef Py_ssize_t[5] size, stride
    cdef Py_ssize_t i, j, step, count = 0, run = 1, outer = 1, floats = s.g.oh * s.g.ow * s.g.oc
    rows.first, rows.end, rows.length = s.to_shift, 0, 0
    for i in range(5):
        step = s.y_strides.axis[i]
        if s.size.axis[i] == 1 or step == 0:        # the same floats once more
            continue
        if step < 0:
            rows.first += (s.size.axis[i] - 1) * step
            step = -step
        j = count
        while j > 0 and stride[j - 1] > step:
            size[j], stride[j] = size[j - 1], stride[j - 1]
            j -= 1
        size[j], stride[j] = s.size.axis[i], step
        count += 1
    i = 0
    while i < count and stride[i] == run:
        run *= size[i]
        i += 1
    rows.end = rows.first + run
    if i == count:
        rows.length = floats
        return rows
    step = stride[i]
    while i < count and stride[i] == step * outer:
        outer *= size[i]
        i += 1
    if i == count and step * outer == floats and rows.end <= step:
        rows.length = step
    return rows


cdef class Written:
    """Follow the steps of a program: what they have written so far, and the first gap.

    `sizes` are the floats of inputs and outputs for one image, of which the first `inputs` are
    there from the start.
    """
    cdef list arrays                # bounds of each array; array 0 is the arena
    cdef dict parts                 # (array, offset, floats, length of a row): bounds within a row
    cdef str gap                    # what may be read that was not written, or None

    def __cinit__(self, tuple sizes, Py_ssize_t inputs):
        self.arrays = [[]] + [[0, size] if i < inputs else [] for i, size in enumerate(sizes)]
        self.parts = {}

    cdef int follow(self, str name, Step step) except -1:
        """Enter the maps of a step, which lie within their arrays."""
        cdef const Geometry* g = &step.data.g
        self.read(name, step.x, <double>g.h * g.w * g.c)
        if step.residual.array >= 0:
            self.read(name, step.residual, step.data.op.second(g))
        return self.write(step.y, &step.data)

    cdef int read(self, str reader, Place place, double floats) except -1:
        """Enter what a step or the caller reads, which should be there."""
        cdef Py_ssize_t end = place.offset + <Py_ssize_t>floats
        if self.gap is None and not has_floats(self.arrays[place.array], place.offset, end):
            self.gap = (f"{reader} reads floats {place.offset} to {end} of {array_name(place.array)}, "
                        "but the steps before do not write all of them")
        return 0

    cdef int write(self, Place place, const StepData* s) except -1:
        """Enter what a step writes."""
        cdef Py_ssize_t floats = s.g.oh * s.g.ow * s.g.oc
        cdef Rows rows
        cdef list row
        if s.op.by_layout:
            rows = rows_of(s)
            if rows.length == 0:
                return 0
            if rows.end - rows.first < rows.length:
                row = self.parts.setdefault((place.array, place.offset, floats, rows.length), [])
                add_floats(row, rows.first, rows.end)
                if not has_floats(row, 0, rows.length):
                    return 0
        return add_floats(self.arrays[place.array], place.offset, place.offset + floats)


cdef str array_name(Py_ssize_t array):
    return f"array {array}" if array else "the arena"
