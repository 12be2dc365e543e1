"""Compare the speed of two built checkouts, interleaved: `tools/compare_checkouts.py OLD NEW`.

A worker process of each checkout, and a second one of OLD, take turns in every round: A B A' ...
The others wait at a pipe meanwhile. Each layer of benchmarks/shapes.txt and each network runs
several times in a round, and the best time of all rounds counts. The column "old" is the second
worker of OLD over the first one: no difference between OLD and NEW that is smaller means anything.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

SHAPES = Path(__file__).parents[1] / "benchmarks" / "shapes.txt"
NETWORKS: dict[str, dict[str, Any]] = {
    "mobilenet_v1": {},
    "mobilenet_v2": {},
    "mobilenet_v1 0.25-128": {"alpha": 0.25, "resolution": 128},
    "mobilenet_v1_standard": {},
    "resnet50": {},
    "shufflenet": {},
}


def layer(line: str, threads: int) -> Callable[[], object]:
    """Return a function that runs one line of shapes.txt once."""
    import numpy as np

    import dsconv

    kind, *numbers = line.split()
    height, width, cin, cout, stride = map(int, numbers)
    rng = np.random.default_rng(0)
    x = rng.random((height, width, cin), np.float32)
    depthwise = dsconv.pack(rng.random((3, 3, cin, 1), np.float32), "depthwise")
    pointwise = dsconv.pack(rng.random((cin, cout), np.float32), "pointwise")
    standard = dsconv.pack(rng.random((3, 3, cin, cout), np.float32), "conv2d")
    out = np.empty((-(-height // stride), -(-width // stride), cout), np.float32)
    options = {"stride": stride, "threads": threads, "out": out}
    return {
        "pointwise": lambda: dsconv.pointwise_conv2d(x, pointwise, **options),
        "standard": lambda: dsconv.conv2d(x, standard, **options),
        "depthwise": lambda: dsconv.depthwise_conv2d(x, depthwise, **options),
        "separable": lambda: dsconv.separable_conv2d(x, depthwise, pointwise, **options),
    }[kind]


def network(name: str, threads: int) -> Callable[[], object]:
    """Return a function that runs a network with seeded weights on one image."""
    import numpy as np

    import dsconv

    graph = getattr(dsconv.models, name.split()[0])(**NETWORKS[name])
    model = graph.compile(threads=threads)
    x = np.zeros((1, *graph.shape(graph.inputs[0])), np.float32)
    return lambda: model(x)


def work(threads: int, repeats: int) -> None:
    """Print the names of all cases, then their best times in microseconds for each line read."""
    lines = [line.split("#")[0] for line in SHAPES.read_text().splitlines()]
    cases = {" ".join(line.split()): layer(line, threads) for line in lines if line.strip()}
    cases |= {name: network(name, threads) for name in NETWORKS}
    print(*cases, sep=",", flush=True)
    for _ in sys.stdin:
        best = []
        for run in cases.values():
            times = []
            for _ in range(repeats + 1):
                start = time.perf_counter()
                run()
                times.append(time.perf_counter() - start)
            best.append(1e6 * min(times[1:]))
        print(*best, sep=",", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="OLD and NEW")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=5, help="in each round")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.threads, options.repeats)
        return
    old, new = options.folders
    command = [sys.executable, __file__, "--work", "--threads", str(options.threads)]
    command += ["--repeats", str(options.repeats)]
    workers = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.path.abspath(folder)},
        )
        for folder in (old, new, old)
    ]

    def reply(stream: IO[str] | None) -> list[str]:
        assert stream is not None
        return stream.readline().strip().split(",")

    names = [reply(worker.stdout) for worker in workers][0]
    best = [[float("inf")] * len(names) for _ in workers]
    for turn in range(options.rounds):
        for i in (0, 1, 2) if turn % 2 else (2, 1, 0):
            stdin = workers[i].stdin
            assert stdin is not None
            stdin.write("go\n")
            stdin.flush()
            times = map(float, reply(workers[i].stdout))
            best[i] = list(map(min, best[i], times))
    for worker in workers:
        worker.communicate()
    print(
        f"{'case, ' + str(options.threads) + ' threads':38} {'old us':>9} {'new us':>9}   new    old"
    )
    for name, a, b, c in zip(names, *best, strict=True):
        print(f"{name:38} {a:9.1f} {b:9.1f} {b / a:6.3f} {c / a:6.3f}")


if __name__ == "__main__":
    main()
