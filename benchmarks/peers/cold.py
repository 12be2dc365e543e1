"""Start every engine from nothing: time to the first result, import, peak memory, bytes on disk.

Each start is a fresh Python that imports the engine, loads MobileNetV1 from the engine's own kind
of file and runs one image on one thread. dsconv starts once more from trained weights, which it
must recognise, fold and pack. The clock stops when the process has written one byte. All engines
take turns; the files are in the system's cache, as they are for a program that was used before.
What disagrees with the reference is not timed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

import dsconv
from benchmarks.peers import sizes
from benchmarks.peers.engines import engine
from benchmarks.peers.process import PATIENCE, Worker, WorkerError, environment
from benchmarks.peers.results import OURS, Cold, Results, Times, Timing
from benchmarks.peers.rounds import Files, agrees
from dsconv.bench import check
from dsconv.weights import open_weights
from dsconv.weights.families import recognise

ROUNDS = 30  # one start takes up to twice as long as another
MEMORY_ROUNDS = 3
OF_WEIGHTS = "weights"  # the row of dsconv from trained weights
WEIGHTS = "weights/mobilenet_v1_1.0_224_google_slim.npz"  # in the folder DSCONV_SHARED

EMPTY = "print(flush=True)"

FIRST_RESULT = """
import sys
from pathlib import Path
import numpy as np
{load}
x = np.ones((1, 224, 224, 3), np.float32)
run = load(Path(sys.argv[1]), 1, x)
for _ in range(int(sys.argv[2])):
    run()
"""

LOAD = "from benchmarks.peers.engines.{name} import load"

LOAD_WEIGHTS = """
import dsconv
def load(path, threads, x):
    model = dsconv.load(path, threads)
    return lambda: model(x)
"""

LOAD_NOTHING = """
def load(path, threads, x):
    return None
"""

PEAK_MEMORY = """
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        print(line.split()[1])
"""


def measure(results: Results, files: Files, progress: Callable[[str], object]) -> None:
    """Fill `results.cold`, `results.empty` and `results.without`; `files` are those of V1."""
    rows = {}
    for name in results.engines:
        if name.startswith(f"{OURS}_"):  # the same program with another option
            continue
        size, with_needs = sizes.installed(engine(name).DISTRIBUTION)
        progress(f"cold start: {name} is checked")
        timing = Timing(name)
        with Worker(name) as worker:
            agrees(timing, worker, files, threads=1)
        rows[name] = Cold(name, size=size, size_with_needs=with_needs, failure=timing.failure)
        if name == OURS and _weights():
            rows[OF_WEIGHTS] = Cold(
                f"{name}, weights as .npz", size=size, size_with_needs=with_needs,
                failure=_failure_of_weights(np.load(files.x)),
            )  # fmt: skip
    results.cold += rows.values()
    taken: dict[str, list[float]] = defaultdict(list)  # all times of one kind in seconds

    def timed(what: str, *arguments: str) -> Times:
        taken[what].append(seconds(arguments))
        return Times.of(taken[what])

    order = random.Random(0)
    for number in range(1, ROUNDS + 1):
        progress(f"cold start: round {number} of {ROUNDS}")
        results.empty = timed("empty", EMPTY)
        results.without = timed("without", FIRST_RESULT.format(load=LOAD_NOTHING) + EMPTY, "", "0")
        names = list(rows)
        order.shuffle(names)
        for name in names:
            if rows[name].failure:
                continue
            try:
                program, path = first_result(name, files)
                module = engine(OURS if name == OF_WEIGHTS else name).MODULE
                rows[name].imports = timed(f"{name} import", f"import {module}\n{EMPTY}")
                rows[name].start = timed(f"{name} start", program + EMPTY, path, "1")
                if number <= MEMORY_ROUNDS:
                    memory = 1024 * int(output([program + PEAK_MEMORY, path, "10"]))
                    rows[name].memory = min(rows[name].memory or memory, memory)
            except (WorkerError, ValueError) as error:
                rows[name].failure = str(error)


def first_result(name: str, files: Files) -> tuple[str, str]:
    """Return a program that loads V1, and its file: the engine's own, or weights (`OF_WEIGHTS`)."""
    if name == OF_WEIGHTS:
        return FIRST_RESULT.format(load=LOAD_WEIGHTS), _weights()
    return FIRST_RESULT.format(load=LOAD.format(name=name)), files.of(name)


def _weights() -> str:
    """Return the file of trained weights, or "" if there is none."""
    shared = os.environ.get("DSCONV_SHARED")
    path = Path(shared or "") / WEIGHTS
    return str(path) if shared and path.is_file() else ""


def _failure_of_weights(x: np.ndarray) -> str:
    """Return why V1 with the trained weights may not be timed, or "" if it agrees for x."""
    with open_weights(_weights()) as file:
        network = recognise(file)
        (expected,) = check.graph_of(network.graph, network.weights, x)
    return check.failure(check.error(dsconv.load(_weights(), 1)(x), expected, len(x)))


def seconds(arguments: Sequence[str]) -> float:
    """Return the seconds from the start of a Python process to its first byte of output."""
    start = perf_counter()
    with _python(arguments) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        elapsed = perf_counter() - start
        _finish(process)
    if not first:
        raise WorkerError(f"a process ended with status {process.returncode}, without a result")
    return elapsed


def output(arguments: Sequence[str]) -> str:
    """Return all that a Python process prints."""
    with _python(arguments) as process:
        text = _finish(process)
    if process.returncode:
        raise WorkerError(f"a process ended with status {process.returncode}")
    return text


def _python(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    program, *rest = arguments
    return subprocess.Popen(
        [sys.executable, "-c", program, *rest],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env=environment(),
    )


def _finish(process: subprocess.Popen[bytes]) -> str:
    try:
        return process.communicate(timeout=PATIENCE)[0].decode()
    except subprocess.TimeoutExpired:
        process.kill()
        raise WorkerError(f"a process did not end in {PATIENCE:g} seconds") from None
