"""Decide how many threads a call uses."""

from __future__ import annotations

import os

from dsconv.arguments.numbers import integer
from dsconv.kernels import dispatch


def _cgroup_cpus() -> int | None:
    """Return how many CPUs the quota of the cgroup allows, rounded up; None without a quota."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        return None if quota == "max" else max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        return None


def _default_threads() -> int:
    """Return DSCONV_NUM_THREADS, else the number of CPUs that this process may use."""
    wanted = os.environ.get("DSCONV_NUM_THREADS")
    if wanted:
        try:
            return integer(int(wanted), "DSCONV_NUM_THREADS")
        except ValueError:
            raise ImportError(
                f"DSCONV_NUM_THREADS must be a whole number of at least 1, got {wanted!r}"
            ) from None
    if hasattr(os, "sched_getaffinity"):
        cpus = len(os.sched_getaffinity(0))
    else:
        cpus = os.cpu_count() or 1
    return min(cpus, _cgroup_cpus() or cpus)


# More threads than this cannot be of use; the results are the same for any number.
MAX_THREADS = min(1024, max(8, os.cpu_count() or 1))

_num_threads = _default_threads()
_forked = False


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
    """Return a checked thread count: the default for None, and 1 where more cannot run."""
    number = _num_threads if threads is None else integer(threads, "threads")
    return min(number, MAX_THREADS) if dispatch.kernels.has_openmp and not _forked else 1


def _after_fork() -> None:
    """Run on one thread from now on, because GNU OpenMP hangs in a forked child with more."""
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
