# Register: where each file of ops/ enters its record when the module is imported.
#
#     cdef Op* name = new_op("name")       then the fields of its record

cdef Op[32] all_ops
OPS = {}                          # the number of each op in all_ops, by name


cdef Op* new_op(str name):
    """Enter an op without weights, second input and scratch; its file sets whatever it has."""
    cdef Op* op = &all_ops[len(OPS)]
    if len(OPS) == 32:
        raise OverflowError("all_ops is full")
    OPS[name] = len(OPS)
    op.weigh, op.work = no_weights, map_work
    return op
