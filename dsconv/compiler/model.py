"""Model: a program that people call. Immutable, safe to call from several threads, picklable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsconv.arguments.arrays import contiguous, float32, is_float32
from dsconv.arguments.numbers import integer
from dsconv.kernels.memory import aligned_copy
from dsconv.kernels.program_text import program_lines, program_of
from dsconv.kernels.threads import threads_or_default
from dsconv.text.lines import from_text, one, to_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from dsconv.compiler.profile import Profile
    from dsconv.compiler.source import GraphSource
    from dsconv.kernels.named_program import NamedProgram
    from dsconv.text.lines import Fields
    from dsconv.weights.source import FileSource

# A batch runs in parts, so that the activations of a part stay in the caches. The best times per
# image of 32 images were, for MobileNetV1, 13.2 ms one or two at a time, 13.9 four and 14.2
# thirteen; for MobileNetV2 8.7 ms one at a time, 7.7 four and 8.2 thirteen (AVX2).
CHUNK_BYTES = 10 << 20  # of the arena in one run

PICKLE = 5  # version of what is in a pickle


class Model:
    """A compiled network: call it with arrays.

    Attributes
    ----------
    name : str
        Of the graph.
    threads : int or None
        For every call; None: the default at the time of the call.
    inputs, outputs : dict of str to tuple
        Shapes by tensor name, without the batch.
    arena_bytes : (int, int)
        Bytes of activations for each image, without sharing of memory and with it.
    source : GraphSource, FileSource or None
        The weights before they were folded, for `dsconv.save`. None for a model that comes out of
        a pickle, a .dsconv or an .onnx file.
    """

    source: GraphSource | FileSource | None = None

    def __init__(self, name: str, program: NamedProgram, threads: int | None = None) -> None:
        self.name = name
        self.threads = None if threads is None else integer(threads, "threads")
        self._program = program
        self.inputs, self.outputs = program.inputs, program.outputs
        self.arena_bytes = 4 * program.unshared, 4 * program.arena
        self._mult_adds = sum(program.mult_adds)
        self._chunk = max(1, CHUNK_BYTES // max(self.arena_bytes[1], 1))

    def __call__(self, x: Any) -> Any:
        """Run the model.

        Parameters
        ----------
        x : ndarray of float32
            (N, H, W, C) with H, W, C as built and any N, or one example without the batch axis.
            Several inputs: a tuple in the order of `inputs`, or a dict by name.

        Returns
        -------
        ndarray of float32, or a tuple of them for several outputs
            With the batch axis if x has one.

        Raises
        ------
        ValueError, TypeError
            For a wrong shape or dtype; names the input.
        """
        arrays, single = self._arrays(x)
        count = len(arrays[0])
        results = tuple(np.empty((count, *s), np.float32) for s in self.outputs.values())
        threads = self._threads(count)
        for views, images in self._parts(arrays + results):
            self._program.run(views, images, threads)
        if single:
            results = tuple(result[0] for result in results)
        return results[0] if len(results) == 1 else results

    def profile(self, x: Any, repeats: int = 10) -> Profile:
        """Measure the time of every layer within whole calls.

        Parameters
        ----------
        x
            One example or more, as in a call.
        repeats : int
            How many calls are timed, at least 1.

        Returns
        -------
        Profile

        Raises
        ------
        ValueError, TypeError
            For an empty batch, and for what a call refuses.
        """
        from dsconv.compiler.profile import Profile, StepProfile
        from dsconv.kernels.peak import Peak

        arrays, _ = self._arrays(x)
        count = len(arrays[0])
        if not count:
            raise ValueError("x must have at least one example for a profile, got none")
        results = tuple(np.empty((count, *s), np.float32) for s in self.outputs.values())
        threads = self._threads(count)
        layers, total, peak = self._program.layers, [], Peak(self._program.kernels)
        starts = np.cumsum([0] + [layer.steps for layer in layers])
        profiles = [
            StepProfile(layer.name, layer.kind, mult_adds, layer.parameters, [])
            for layer, mult_adds in zip(layers, self._program.mult_adds, strict=True)
        ]
        for _ in range(integer(repeats, "repeats")):
            peak.sample()
            times = np.zeros(len(layers))
            for views, images in self._parts(arrays + results):
                stamps = np.zeros(len(self._program.steps) + 1)
                self._program.run(views, images, threads, stamps)
                times += np.diff(stamps[starts])
            total.append(float(times.sum()))
            for profile, seconds in zip(profiles, times, strict=True):
                profile.times.append(float(seconds))
        arena = self.arena_bytes[1] * min(count, self._chunk)
        return Profile(profiles, total, threads * peak.gflops, arena, count)

    def _parts(
        self, arrays: tuple[np.ndarray, ...]
    ) -> Iterator[tuple[tuple[np.ndarray, ...], int]]:
        """Yield parts of at most `_chunk` examples: views of the arrays, and their number."""
        self._program.check()
        count = len(arrays[0])
        if 0 < count <= self._chunk:
            yield arrays, count
            return
        for start in range(0, count, self._chunk):
            stop = min(start + self._chunk, count)
            yield tuple(array[start:stop] for array in arrays), stop - start

    def _threads(self, images: int) -> int:
        """Return the threads of a call; by default a network of a few microseconds runs on one."""
        if self.threads is None and images * self._mult_adds < 1 << 20:
            return 1
        return threads_or_default(self.threads)

    def _arrays(self, x: Any) -> tuple[tuple[np.ndarray, ...], bool]:
        """Return the inputs as C-contiguous batches, and True if they had no batch axis."""
        names = tuple(self.inputs)
        if isinstance(x, np.ndarray):
            x = (x,)
        elif isinstance(x, Mapping):
            if set(x) != set(names):
                raise ValueError(f"x must hold the inputs {names}, got {tuple(x)}")
            x = tuple(x[name] for name in names)
        elif not isinstance(x, tuple):
            x = (x,)
        if len(x) != len(names):
            raise ValueError(f"x must hold {len(names)} inputs {names}, got {len(x)}")
        arrays: list[np.ndarray] = []
        single: list[bool] = []
        for (name, shape), given in zip(self.inputs.items(), x, strict=True):
            array = given
            if type(array) is not np.ndarray or not is_float32(array):
                array = float32(given, f"input {name!r}")
            single.append(array.shape == shape)
            if single[-1]:
                array = array[np.newaxis]
            elif array.shape[1:] != shape:
                text = ", ".join(map(str, shape))
                raise ValueError(
                    f"input {name!r} must have shape (N, {text}) or ({text}), got {array.shape}"
                )
            if single[-1] != single[0]:
                raise ValueError("all inputs must be batches, or all single examples")
            if arrays and len(array) != len(arrays[0]):
                raise ValueError(
                    f"all inputs must have one batch size, got {len(arrays[0])} and {len(array)}"
                )
            arrays.append(contiguous(array))
        return tuple(arrays), single[0]

    def _details(self) -> Fields:
        """Return further arguments of the constructor, as lines of text."""
        return {}

    @classmethod
    def _checked_details(cls, lines: Fields) -> dict[str, Any]:
        """Return the arguments that `_details` wrote, out of a file that nobody vouches for.

        Raises
        ------
        ValueError
            If a line is missing, left over or out of range.
        """
        if lines:
            raise ValueError(f"a model has no lines {sorted(lines)}")
        return {}

    def _described(self) -> tuple[Fields, np.ndarray]:
        """Return all of the model as lines of text and weights, for files and pickles."""
        self._program.check()
        lines = {"name": [self.name], **self._details(), **program_lines(self._program)}
        return lines, self._program.floats

    @classmethod
    def _restored(
        cls,
        lines: Fields,
        floats: np.ndarray,
        threads: int | None,
        check: Callable[[], None] = lambda: None,
    ) -> Self:
        """Make the model that `_described` described, for the instruction set in use."""
        name = one(lines, "name")
        program = program_of(lines, floats, check)
        return cls(name, program, threads, **cls._checked_details(lines))

    def __getstate__(self) -> dict[str, Any]:
        lines, floats = self._described()
        text = to_text(lines)
        return {"version": PICKLE, "text": text, "floats": floats, "threads": self.threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state.get("version") != PICKLE:
            raise ValueError(
                "the pickle was written by another version of dsconv; compile the model again"
            )
        floats = aligned_copy(state["floats"])
        restored = self._restored(from_text(state["text"]), floats, state["threads"])
        self.__dict__.update(restored.__dict__)

    def __repr__(self) -> str:
        return f"Model({self.name!r}, inputs={self.inputs}, outputs={self.outputs})"
