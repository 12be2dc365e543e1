"""NamedProgram: a Program of the kernels, and the names that people have for its parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

Shapes = dict[str, tuple[int, ...]]  # by tensor name, without the batch
Place = tuple[int, int]


class LayerLine(NamedTuple):
    """One layer of the optimised graph, as profiles show it."""

    name: str
    kind: str
    parameters: int  # kernel weights
    steps: int  # how many steps it became


class Features(NamedTuple):
    """The place of the input of a classifier's last fully connected layer."""

    steps: int  # how many run before it is there
    place: Place
    shape: tuple[int, ...]


class NamedProgram:
    """Steps with packed weights, ready to run, with the names around them.

    Parameters
    ----------
    kernels
        The kernel module that runs the steps.
    steps
        In order. A place is (array, offset): array 0 is the arena, then come inputs and outputs.
    floats
        The memory that holds all weights of the steps.
    inputs, outputs
        Shapes by name, without the batch.
    layers
        The layers in order; together they have all steps.
    features
        None for a network that does not end in a fully connected layer.
    unshared
        Floats of the arena for one image if no two tensors shared memory.
    check
        Called before the weights are touched; raises ValueError if they are no longer there.

    Attributes
    ----------
    run
        `run(arrays, n, threads, stamps=None)` of the kernels' Program (src/frame/program.pxi).
    arena : int
        Floats of the arena for one image.
    mult_adds : list of int
        Multiply-adds of each layer for one image, counted on its steps.
    work : float
        About how many operations one image takes.

    Raises
    ------
    ValueError
        If layers and steps do not fit each other, the kernels refuse the steps, or one of them may
        read floats that nothing has written, which would give away what was in memory before.
    """

    def __init__(
        self,
        kernels: ModuleType,
        steps: Sequence[Any],
        floats: np.ndarray,
        inputs: Shapes,
        outputs: Shapes,
        layers: Sequence[LayerLine],
        features: Features | None = None,
        unshared: int = 0,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        ends = list(accumulate((layer.steps for layer in layers), initial=0))
        if ends[-1] != len(steps):
            raise ValueError(f"the layers have {ends[-1]} steps, but there are {len(steps)}")
        if features and features.steps not in ends:
            raise ValueError(f"no layer ends with step {features.steps}, where features should be")
        self.kernels, self.steps, self.floats = kernels, tuple(steps), floats
        self.inputs, self.outputs = inputs, outputs
        self.layers, self.features, self.unshared = tuple(layers), features, unshared
        self.check = check
        sizes = (tuple(map(math.prod, shapes.values())) for shapes in (inputs, outputs))
        program = kernels.Program(self.steps, *sizes)
        if gap := program.gap():
            raise ValueError(gap)
        self.run, self.arena = program.run, program.arena
        counts = [step.mult_adds for step in self.steps]
        self.mult_adds = [sum(counts[start:end]) for start, end in pairwise(ends)]
        self.work = sum(step.work for step in self.steps)

    def up_to_features(self, name: str) -> NamedProgram:
        """Return the program that ends at the features; it shares the weights.

        Raises
        ------
        ValueError
            If the network `name` does not end in a fully connected layer.
        """
        if self.features is None:
            raise ValueError(f"{name}: the network does not end in a fully connected layer")
        count, place, shape = self.features
        size, output = math.prod(shape), (1 + len(self.inputs), 0)  # the first behind the inputs
        layout = (1, 1, 1, 1, size), (0, 0, 0, 0, 1), (0, 0, 0, 0, 1), 0, 0
        copy = self.kernels.Step("copy", {"c": size, "oc": size}, place, output, layout=layout)
        ends = list(accumulate((layer.steps for layer in self.layers), initial=0))
        layers = [*self.layers[: ends.index(count)], LayerLine("features", "copy", 0, 1)]
        return NamedProgram(
            self.kernels,
            [*self.steps[:count], copy],
            self.floats,
            self.inputs,
            {"features": shape},
            layers,
            check=self.check,
        )
