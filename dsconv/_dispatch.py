"""Which kernel module runs, and on how many threads: decided once, at import."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
from collections.abc import Iterator
from types import ModuleType

from dsconv import _cpu
from dsconv._numbers import integer

ISAS = (
    ("baseline", "avx2", "avx512")
    if platform.machine().lower() in ("x86_64", "amd64")
    else ("baseline",)
)


def kernel_module(isa: str) -> ModuleType:
    """The kernel module of one instruction set of this machine.

    Raises
    ------
    ValueError
        For an unknown instruction set, or one that the processor or this build does not have:
        importing its module could end in an illegal instruction, so it is not tried.
    """
    if isa not in ISAS:
        raise ValueError(f"instruction set must be one of {', '.join(ISAS)}, got {isa!r}")
    if isa not in _cpu.supported():
        raise ValueError(
            f"this processor does not have {isa!r}; it has {', '.join(_cpu.supported())}"
        )
    try:
        return importlib.import_module(f"dsconv._kernels_{isa}")
    except ModuleNotFoundError:
        raise ValueError(f"this build of dsconv has no kernels for {isa!r}") from None


@contextlib.contextmanager
def use(name: str) -> Iterator[ModuleType]:
    """Run the operations on another instruction set of this machine, for tests and comparisons.

    It holds for the whole process until the block ends; weights packed for one instruction set are
    refused by the others.
    """
    global isa, kernels
    before = isa, kernels
    isa, kernels = name, kernel_module(name)
    try:
        yield kernels
    finally:
        isa, kernels = before


def available() -> list[str]:
    """Instruction sets that this processor has and this build has kernels for."""
    from importlib.util import find_spec

    found = []
    for isa in _cpu.supported():
        if find_spec(f"dsconv._kernels_{isa}") is not None:
            found.append(isa)
    return found


def _choose() -> tuple[str, ModuleType]:
    """The best instruction set, or the one that DSCONV_ISA names."""
    wanted = os.environ.get("DSCONV_ISA")
    if wanted:
        try:
            return wanted, kernel_module(wanted)
        except ValueError as error:
            raise ImportError(f"DSCONV_ISA={wanted}: {error}") from None
    for isa in reversed(_cpu.supported()):
        try:
            return isa, kernel_module(isa)
        except ValueError:
            continue
    raise ImportError(
        "the compiled kernels of dsconv are missing. In a checkout, build them with "
        "`pip install -e .`; a folder dsconv/ in the working directory hides an installed copy"
    )


def _cgroup_cpus() -> int | None:
    """CPUs that the cgroup's quota allows (rounded up), or None without a quota."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        return None if quota == "max" else max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        return None


def _default_threads() -> int:
    """DSCONV_NUM_THREADS, else the CPUs that this process may use."""
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

isa, kernels = _choose()
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
    """Number of threads that operations use where `threads` is not given."""
    return _num_threads


def threads_or_default(threads: int | None) -> int:
    """A checked thread count: the default for None, and 1 where more cannot run."""
    number = _num_threads if threads is None else integer(threads, "threads")
    return min(number, MAX_THREADS) if kernels.has_openmp and not _forked else 1


def _after_fork() -> None:
    """GNU OpenMP hangs in a forked child that asks for a team; one thread is safe."""
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def show_config() -> None:
    """Print version, instruction sets, compiler, flags and threads."""
    from dsconv import __version__

    openmp = "yes" if kernels.has_openmp else "no (one thread)"
    print(f"dsconv {__version__}")
    print(f"instruction set: {isa} (available: {', '.join(available())})")
    print(f"vec: {kernels.lanes} floats, FMA: {'yes' if kernels.has_fma else 'no'}")
    print(f"compiler: {kernels.compiler}")
    print(f"flags: {kernels.flags}")
    print(f"threads: {get_num_threads()}, OpenMP: {openmp}")
