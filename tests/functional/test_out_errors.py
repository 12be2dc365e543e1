"""Bad `out` arrays, and numbers that are too large for any machine."""

from __future__ import annotations

import re

import numpy as np
import processes
import pytest
from arguments import ARRAYS, GOOD, SLIDING, WITH_OUT, call, each, ones, refused
from calls import same_bits


@each(WITH_OUT)
def test_shapes_of_out(operation):
    shape = call(operation).shape
    allowed = rf"^out must have shape {re.escape(str(shape))}, got "
    for wrong in (shape[1:], (1, *shape), (*shape[:-1], shape[-1] + 1), (shape[0] + 1, *shape[1:])):
        message = allowed + re.escape(str(wrong))
        refused(ValueError, message, operation, out=np.zeros(wrong, np.float32))
    refused(ValueError, allowed, operation, out=np.zeros(int(np.prod(shape)), np.float32))


@each(WITH_OUT)
def test_dtypes_of_out(operation):
    shape = call(operation).shape
    for dtype in ("f8", "f2", "i4", "O", np.dtype("f4").newbyteorder()):
        refused(
            TypeError,
            "^out must be .*float32|^out must be in",
            operation,
            out=np.zeros(shape, dtype),
        )
    for thing in ([0.0], 1.0, "text", (np.zeros(shape, np.float32),), memoryview(b"1234")):
        message = f"^out must be a numpy array, got {type(thing).__name__}"
        refused(TypeError, message, operation, out=thing)


@each(WITH_OUT)
def test_layouts_of_out(operation):
    shape = call(operation).shape
    message = "^out must be C-contiguous.* writeable"
    refused(ValueError, message, operation, out=np.zeros((*shape, 2), np.float32)[..., 0])
    refused(ValueError, message, operation, out=np.zeros(shape, np.float32)[::-1])
    refused(ValueError, message, operation, out=np.zeros(shape, np.float32, order="F"))
    read_only = np.zeros(shape, np.float32)
    read_only.flags.writeable = False
    refused(ValueError, message, operation, out=read_only)
    assert not read_only.any()


@each(WITH_OUT)
def test_an_out_that_is_not_aligned(operation):
    y = call(operation)
    out = np.zeros(y.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(y.shape)
    refused(ValueError, "^out must be .*aligned", operation, out=out)


@each([operation for operation in WITH_OUT if operation != "add"])
def test_out_that_overlaps_x(operation):
    x, y = GOOD[operation]["x"], call(operation)
    memory = np.ones(x.size + y.size, np.float32)
    for start in (0, 1, x.size - 1):
        view = memory[: x.size].reshape(x.shape)
        out = memory[start : start + y.size].reshape(y.shape)
        refused(ValueError, "^out must not share memory with x", operation, x=view, out=out)
    assert (memory == 1).all()
    out = memory[x.size :].reshape(y.shape)  # side by side
    assert same_bits(call(operation, x=view, out=out), y)


@each({o: [n for n in ARRAYS[o] if n != "x"] for o in WITH_OUT if o not in ("add",)})
def test_out_that_overlaps_a_weight_or_bias_is_refused_or_harmless(operation, name):
    y, array = call(operation), GOOD[operation][name]
    memory = np.ones(max(array.size, y.size), np.float32)
    view, out = memory[: array.size].reshape(array.shape), memory[: y.size].reshape(y.shape)
    try:
        call(operation, out=out, **{name: view})
    except ValueError as error:
        assert re.match(f"out must not share memory with {name}", str(error))
    else:
        assert same_bits(out, y)


def test_out_that_overlaps_an_input_of_add():
    memory = np.arange(20, dtype=np.float32)
    a, b = memory[:6].reshape(2, 3), ones(2, 3)
    for start in (1, 3, 5):
        out = memory[start : start + 6].reshape(2, 3)
        refused(ValueError, "^out overlaps a without being the same array", "add", a=a, out=out)
        refused(
            ValueError, "^out overlaps b without being the same array", "add", a=b, b=a, out=out
        )
    out = memory[:6].reshape(2, 3)
    refused(ValueError, "^out overlaps a", "add", a=out[::-1], out=out)
    square = np.ones((3, 3), np.float32)
    refused(ValueError, "^out overlaps b", "add", a=ones(3, 3), b=square.T, out=square)
    assert memory.tolist() == list(range(20))


HUGE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))  # before a real shortage is felt
import numpy as np
import dsconv

one = np.ones((3, 3, 1), np.float32)
arguments = {"weight": np.ones((3, 3, 1, 1), np.float32)}
if sys.argv[1] == "separable_conv2d":
    arguments = {"depthwise_weight": arguments["weight"], "pointwise_weight": one[0, :1]}
numbers = [2**28, 2**29, 2**30, 2**31 - 1, 2**31, 2**61, 2**63, 10**30]
if sys.argv[2] == "taps":
    numbers.append((2**29 + 16383, 2**29 - 16385))  # 2n + 2 times 2m + 3 is 2**60 + 2**15
for n in numbers:
    options, expected = {
        "taps": ({"dilation": n}, one),  # the center alone falls on the map
        "frame": ({"padding": n, "stride": n}, np.pad([[[9]]], [(1, 1), (1, 1), (0, 0)])),
        "steps": ({"padding": "valid", "stride": n}, [[[9]]]),
    }[sys.argv[2]]
    try:
        y = getattr(dsconv, sys.argv[1])(one, **arguments, **options, threads=2)
    except (ValueError, MemoryError) as error:
        print(n, "refused:", error, flush=True)
    else:
        print(n, "right" if np.array_equal(y, expected) else f"wrong: {y.tolist()}", flush=True)
print("done")
"""


@pytest.mark.parametrize("apart", ["taps", "frame", "steps"])
@each(SLIDING)
def test_huge_numbers(operation, apart):
    """The result is right, or an error says what is too large: no crash, no wrong result."""
    pytest.importorskip("resource", reason="this system has no limit of memory to set")
    done = processes.run(HUGE, operation, apart, OPENBLAS_NUM_THREADS="1")
    assert done.returncode == 0, f"ended with {done.returncode} after {done.stdout}{done.stderr}"
    assert "wrong" not in done.stdout and done.stdout.endswith("done\n")


@pytest.mark.parametrize("padding", [10**6, 10**9, 10**18, 10**30])
@each(SLIDING)
def test_an_output_too_large_for_memory(operation, padding):
    with pytest.raises((ValueError, MemoryError)):
        call(operation, padding=padding)
