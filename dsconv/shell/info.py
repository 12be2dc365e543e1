"""Describe a compiled model in a file, for `dsconv info FILE`."""

from __future__ import annotations

import os

from dsconv.files.compiled import load_compiled
from dsconv.files.formats import format_of
from dsconv.text.terminal import printable


def describe(path: str) -> str:
    """Return what a .dsconv file holds, once all of it agrees with its checksums.

    The model is not run, so it may take any amount of work.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, is damaged, or is no compiled model.
    """
    form = format_of(path)
    if form != "dsconv":
        raise ValueError(f"{path}: the format is {form}; info describes .dsconv files alone")
    model = load_compiled(path, None, verify=True)
    program = model._program
    lines = [
        f"{type(model).__name__} {model.name!r}, {os.path.getsize(path):,} bytes, checksums agree",
        *(f"input {name}: {shape}" for name, shape in model.inputs.items()),
        *(f"output {name}: {shape}" for name, shape in model.outputs.items()),
        f"{len(program.layers)} layers, {len(program.steps)} steps",
        f"{sum(program.mult_adds):,} mult-adds and about {program.work:.3g} operations for an image",
        f"{model.arena_bytes[1]:,} bytes of activations for an image",
    ]
    return "\n".join(map(printable, lines))
