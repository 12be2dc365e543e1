"""Choose the kernel module for this processor: once, at import."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
from collections.abc import Iterator
from types import ModuleType

from dsconv import _cpu

ISAS = (
    ("baseline", "avx2", "avx512")
    if platform.machine().lower() in ("x86_64", "amd64")
    else ("baseline",)
)


def kernel_module(isa: str) -> ModuleType:
    """Import the kernel module of one instruction set of this machine.

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
    """Return the instruction sets that this processor has and this build has kernels for."""
    from importlib.util import find_spec

    found = []
    for isa in _cpu.supported():
        if find_spec(f"dsconv._kernels_{isa}") is not None:
            found.append(isa)
    return found


def _choose() -> tuple[str, ModuleType]:
    """Return the best instruction set, or the one that DSCONV_ISA names, with its module."""
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


isa, kernels = _choose()
