"""Print what this installation runs with."""

from __future__ import annotations

from dsconv.kernels import dispatch
from dsconv.kernels.threads import get_num_threads
from dsconv.version import VERSION


def show_config() -> None:
    """Print version, instruction sets, compiler, flags and threads."""
    print(f"dsconv {VERSION}")
    print(f"instruction set: {dispatch.isa} (available: {', '.join(dispatch.available())})")
    print(
        f"vec: {dispatch.kernels.lanes} floats, FMA: {'yes' if dispatch.kernels.has_fma else 'no'}"
    )
    print(f"compiler: {dispatch.kernels.compiler}")
    print(f"flags: {dispatch.kernels.flags}")
    print(f"threads: {get_num_threads()}")
