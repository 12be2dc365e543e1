"""Compiled models in files that nobody vouches for: what is in memory, time, and the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from compiled import assert_bits
from compiled_files import instruction_set_of_other_widths, own_widths, refused, saved, write
from processes import LIMIT
from small_models import GATE, MAP, two_inputs

from dsconv.files.load import load
from dsconv.kernels import dispatch


def spy(path: Path, steps: list[str], inputs: str, outputs: str) -> None:
    fields = {
        "class": ["Model"], "name": ["spy"], "unshared": ["0"], "input": [f"{inputs} x"],
        "output": [f"{outputs} y"], "layer": [f"{len(steps)} 0 any all"], "step": steps,
        **own_widths(),
    }  # fmt: skip
    write(path, fields, np.zeros(0, np.float32))


AS_IT_LIES = "layout=1,1,1,1,2048,0,0,0,0,1,0,0,0,0,1,0,0"
UNWRITTEN = "but the steps before do not write all of them"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([f"copy 0:0 2:0 - c=2048 oc=2048 {AS_IT_LIES}"], "step 0 .copy. reads .* of the arena"),
        (["zero 1:0 0:0 -"], "the caller reads floats 0 to 2048 of array 2"),
        (["activation 2:0 2:0 - c=2048 oc=2048"], "step 0 .activation. reads .* of array 2"),
        (["zero 1:0 2:0 - oc=2047"], "the caller reads floats 0 to 2048 of array 2"),
        (
            [
                "zero 1:0 0:0 - oc=2048",
                "add 0:0 2:0 0:1 c=2048 oc=2048",
            ],
            "step 1 .add. reads floats 1 to 2049 of the arena",
        ),
        (
            [
                f"copy 1:0 2:0 - oc=2048 {AS_IT_LIES.replace('2048', '1024').replace('0,1,0,0', '0,2,0,0')}"
            ],
            "the caller reads|reaches beyond its map",
        ),
    ],
)
def test_memory_of_others_is_not_read(tmp_path: Path, steps: list[str], message: str) -> None:
    """Refuse steps that read, or let the caller read, what nothing has written."""
    path = tmp_path / "model.dsconv"
    spy(path, steps, "1", "2048")
    refused(path, message)


def test_work_without_limit_is_refused(tmp_path: Path) -> None:
    """Refuse 4e12 additions in less than 400 bytes, unless they are asked for."""
    path = tmp_path / "model.dsconv"
    step = "average_pool 1:0 2:0 - h=2000 w=2000 oh=2000 ow=2000 kh=2000 kw=2000 top=1000 left=1000"
    spy(path, [step], "2000,2000,1", "2000,2000,1")
    refused(path, "one image takes about 1.6e.13 operations, and work_limit is 1e.12")
    assert load(path, work_limit=None)._program.work == 2000.0**4
    assert load(path, work_limit=2e13).inputs == {"x": (2000, 2000, 1)}


def test_the_limit_holds_for_weight_files_too(tmp_path: Path) -> None:
    import dsconv

    path = tmp_path / "weights.npz"
    dsconv.save(two_inputs().compile(), path)
    with pytest.raises(ValueError, match="weights.npz: one image takes about .* operations"):
        load(path, work_limit=100)
    load(path, work_limit=None)


def test_options_of_compiled_models_alone(tmp_path: Path) -> None:
    import dsconv

    path = tmp_path / "weights.npz"
    dsconv.save(two_inputs().compile(), path)
    with pytest.raises(ValueError, match="verify does not apply to a file that is no compiled"):
        load(path, verify=True)
    load(path, mmap=False)


def test_a_model_that_was_read_needs_the_file_no_more(tmp_path: Path) -> None:
    path = saved("Model", tmp_path)
    model, expected = load(path, mmap=False), two_inputs().compile()((MAP, GATE))
    path.write_bytes(b"")
    assert_bits(model((MAP, GATE)), expected)


LOADS = """
import sys, time
from dsconv.files.load import load
end = time.monotonic() + 4
loaded = 0
while time.monotonic() < end:
    try:
        load(sys.argv[1], verify=loaded % 2 == 0)
        loaded += 1
    except (ValueError, OSError):
        pass
print(loaded)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is mapped cannot be cut short")
@pytest.mark.parametrize("widths", ["own", "others"])
def test_loading_a_file_that_is_overwritten_in_place(tmp_path: Path, widths: str) -> None:
    """Overwrite the file again and again while it is loaded: no SIGBUS ends the process."""
    environment = dict(os.environ)
    if widths == "others":
        environment["DSCONV_ISA"] = instruction_set_of_other_widths()
    else:
        environment["DSCONV_ISA"] = dispatch.isa
    path = saved("Classifier", tmp_path)
    data = path.read_bytes()
    process = subprocess.Popen(
        [sys.executable, "-c", LOADS, str(path)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        path.write_bytes(data)
        time.sleep(0.0002)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, signal.Signals(-process.returncode).name
    assert int(output) > 0
