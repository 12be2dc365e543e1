"""Decide how many threads a call uses.

The default is DSCONV_NUM_THREADS, else the first number of OMP_NUM_THREADS, else the CPUs that the
process may use: those of its affinity, and no more than the quota of its control groups pays for.
"""

from __future__ import annotations

import os

from dsconv.arguments.numbers import integer
from dsconv.kernels.cgroups import cpu_quota

# More threads than this cannot be of use; the results are the same for any number.
MAX_THREADS = min(1024, max(8, os.cpu_count() or 1))


def set_num_threads(n: int) -> None:
    """Set the number of threads that operations use where `threads` is not given.

    Parameters
    ----------
    n : int
        At least 1.
    """
    global _num_threads
    _num_threads = integer(n, "n")


def get_num_threads() -> int:
    """Return the number of threads that operations use where `threads` is not given."""
    return _num_threads


def threads_or_default(threads: int | None) -> int:
    """Return a checked thread count: the default for None, and no more than can be of use."""
    number = _num_threads if threads is None else integer(threads, "threads")
    return min(number, MAX_THREADS)


def _default_threads() -> int:
    """Return the number of threads that the environment, or else the machine, gives."""
    wanted = os.environ.get("DSCONV_NUM_THREADS")
    if wanted:
        try:
            return integer(int(wanted), "DSCONV_NUM_THREADS")
        except ValueError:
            raise ImportError(
                f"DSCONV_NUM_THREADS must be a whole number of at least 1, got {wanted!r}"
            ) from None
    try:  # "4", or "4,2" for teams within teams; nonsense is no error, because it is not ours
        return integer(int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0]), "OMP_NUM_THREADS")
    except ValueError:
        pass
    if hasattr(os, "sched_getaffinity"):
        cpus = len(os.sched_getaffinity(0))
    else:
        cpus = os.cpu_count() or 1
    return min(cpus, cpu_quota() or cpus)


_num_threads = _default_threads()
