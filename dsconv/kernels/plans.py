"""Plan steps before their weights are packed, and make the steps from the plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from dsconv.kernels.memory import aligned_empty
from dsconv.kernels.named_program import Place
from dsconv.kernels.packing import Widths, round_up, weights_of
from dsconv.kernels.steps import geometry

CACHE_LINE = 16  # floats


class StepPlan(NamedTuple):
    """A step whose weights are still plain arrays, or not read yet.

    The fields are those of the kernels' `Step`; `weights` returns plain arrays by name, where None
    stands for zeros, and is called once, when they are packed.
    """

    op: str
    geometry: dict[str, Any]
    x: Place
    y: Place
    residual: Place | None = None
    layout: tuple[Any, ...] | None = None
    weights: Callable[[], Mapping[str, np.ndarray | None]] = dict


def pack_steps(kernels: ModuleType, plans: Sequence[StepPlan]) -> tuple[list[Any], np.ndarray]:
    """Read and pack the weights of one step after the other.

    Parameters
    ----------
    kernels
        The kernel module that will run the steps.
    plans
        The steps in order.

    Returns
    -------
    list of Step
    ndarray of float32
        The memory that holds all their weights, each from a cache line on, read-only.
    """
    widths = Widths.of(kernels)
    packings = [weights_of(plan.op, kernels.GEOMETRY | plan.geometry) for plan in plans]
    sizes = [{field: p.floats(widths) for field, p in wanted.items()} for wanted in packings]
    floats = aligned_empty(sum(round_up(n, CACHE_LINE) for each in sizes for n in each.values()))
    steps, start = [], 0
    for plan, wanted, size in zip(plans, packings, sizes, strict=True):
        plain, packed = plan.weights(), {}
        for field, packing in wanted.items():
            end, following = start + size[field], start + round_up(size[field], CACHE_LINE)
            packed[field] = floats[start:end]
            packing.pack(plain.get(field), packed[field], widths)
            floats[end:following] = 0
            start = following
        steps.append(kernels.Step(*plan[:5], packed, plan.layout))
    floats.flags.writeable = False
    return steps, floats


def copy_plan(size: int, x: Place, y: Place) -> StepPlan:
    """Plan a copy of `size` floats as they lie."""
    axes = (1, 1, 1, 1, size), (0, 0, 0, 0, 1), (0, 0, 0, 0, 1)
    return StepPlan("copy", geometry((1, 1, size), (1, 1, size)), x, y, layout=(*axes, 0, 0))
