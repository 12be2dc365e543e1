# Register: where each file of ops/ enters its record when the module is imported.
#
#     cdef Op* name = new_op("name")       then the fields that differ from those that new_op chooses

cdef Op[32] all_ops
OPS = {}                          # the number of each op in all_ops, by name


cdef Op* new_op(str name):
    """Enter an elementwise op without weights; its file sets `strip` and whatever else differs."""
    cdef Op* op = &all_ops[len(OPS)]
    if len(OPS) == 32:
        raise OverflowError("all_ops is full")
    OPS[name] = len(OPS)
    memset(op, 0, sizeof(Op))
    op.error = same_shape_error
    op.weigh = no_weights
    op.cut = cut_pixels
    return op


cdef str same_shape_error(const StepData* s):
    """Say on which axis the output differs from the input, or return None."""
    return (same_error("height", s.g.h, s.g.oh) or same_error("width", s.g.w, s.g.ow)
            or same_error("channels", s.g.c, s.g.oc))
