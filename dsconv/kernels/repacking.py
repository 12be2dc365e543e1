"""Pack the weights of steps again, for an instruction set with other widths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from dsconv.kernels.packing import Packing, Widths, weights_of
from dsconv.kernels.plans import StepPlan, pack_steps

if TYPE_CHECKING:
    from dsconv.kernels.program_text import DescribedStep


def repacked(
    kernels: ModuleType, steps: Sequence[DescribedStep], widths: Widths, available: int
) -> tuple[list[Any], np.ndarray]:
    """Return the same steps and their weights as `pack_steps` makes them for these kernels.

    Parameters
    ----------
    kernels
        The kernel module that will run the steps.
    steps
        Steps with packed weights.
    widths
        Those for which they are packed.
    available
        How many floats their weights are parts of.

    Raises
    ------
    ValueError
        If a step lacks a weight, a weight has too few floats, or weights overlap; before memory is
        taken for them.
    """
    total = sum(len(array) for step in steps for array in step.weights.values())
    if total > available:  # else a small file could ask for any amount of memory
        raise ValueError(f"the weights of the steps overlap: {total} floats out of {available}")
    plans = [
        StepPlan(*step[:5], step.layout, _unpacker(kernels, step, widths))  # type: ignore[arg-type]
        for step in steps
    ]
    return pack_steps(kernels, plans)


def _unpacker(
    kernels: ModuleType, step: DescribedStep, widths: Widths
) -> Callable[[], Mapping[str, np.ndarray]]:
    geometry = kernels.GEOMETRY | step.geometry
    if unknown := geometry.keys() - kernels.GEOMETRY.keys():
        raise ValueError(f"geometry has no {sorted(unknown)}")
    packings = weights_of(step.op, geometry)
    for field, packing in packings.items():
        floats, needed = step.weights.get(field, ()), packing.floats(widths)
        if len(floats) < needed:
            raise ValueError(f"{step.op} takes {needed} floats of {field}, got {len(floats)}")
    return partial(_unpacked, packings, step.weights, widths)


def _unpacked(
    packings: Mapping[str, Packing], packed: Mapping[str, np.ndarray], widths: Widths
) -> dict[str, np.ndarray]:
    return {
        field: packing.unpack(packed[field][: packing.floats(widths)], widths)
        for field, packing in packings.items()
    }
