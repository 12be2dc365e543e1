"""Try to break the kernels and the readers of files, and report the cases tried of each kind.

    python -m tools.torture --minutes 60      all of it
    python -m tools.torture --short           two minutes on two processors, for the gate

First come the builds (AddressSanitizer with UndefinedBehaviorSanitizer, ThreadSanitizer, plain
vec, clang), each with the tests of the kernels on every instruction set of this processor. What
time is left is shared by searches: random programs with exact buffers, damaged files for every
reader, bits compared over threads, batches and instruction sets. What needs a compiler or a library
that is not installed is skipped with a sentence. The exit status is 1 if anything failed. A file
that made a reader fail is kept in the folder that the report names; put it into
tools/torture/seeds/FORMAT, so that it is tried in every run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tools.torture.jobs import HELPERS, ROOT, Result, Skipped, search

sys.path[:0] = [str(ROOT), str(HELPERS)]

from tools.torture import suites  # noqa: E402
from tools.torture.builds import Builder  # noqa: E402

Job = Callable[[], Result]
AT_ONCE = os.cpu_count() or 1  # jobs
AT_LEAST = 5.0  # seconds of a search, however little time is left
SHORT_MINUTES = 1.5
SANITIZED, RACES = "ASan and UBSan", "TSan"


class Clock:
    """Shares the time that is left among the searches that have not begun."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes
        self.waiting = 0

    def share(self) -> float:
        """Return the seconds of the next search."""
        seconds = (self.end - time.monotonic()) * AT_ONCE / max(1, self.waiting)
        self.waiting -= 1
        return max(AT_LEAST, seconds)


def named(kind: str, where: str, job: Job) -> Job:
    """Return the job with its skips and crashes as results."""

    def run() -> Result:
        start = time.monotonic()
        try:
            return job()
        except Skipped as reason:
            return Result(kind, where, 0, 0, skipped=str(reason))
        except Exception as error:  # the other jobs go on
            return Result(
                kind, where, 0, time.monotonic() - start, f"{type(error).__name__}: {error}"
            )

    return run


def tests(builder: Builder, short: bool) -> Iterator[Job]:
    """Yield the jobs that run tests of the project on builds of their own."""
    plans = [(SANITIZED, suites.SHORT if short else suites.KERNELS)]
    if not short:
        plans += [(name, suites.KERNELS) for name in ("plain vec", "clang", "clang, plain vec")]
        plans += [(RACES, suites.THREADS)]
    for build, paths in plans:
        yield named("tests", build, partial(suites.suite, builder, build, paths))


def searches(
    builder: Builder, clock: Clock, isas: list[str], folder: Path, seed: int, short: bool
) -> list[Job]:
    """Return the jobs that try random cases for a share of the time."""
    from file_formats import FORMATS

    def shipped(kind: str, where: str, script: str, *arguments: str) -> Job:
        return lambda: search(kind, where, [script, str(seed), *arguments], clock.share())

    def built(kind: str, build: str, script: str, isa: str = "") -> Job:
        where = f"{build}, {isa}" if isa else build

        def job() -> Result:
            place, environment = builder.get(build)
            environment |= {"DSCONV_ISA": isa}
            return search(kind, where, [script, str(seed)], clock.share(), environment, place)

        return named(kind, where, job)

    jobs = [shipped("same bits", "as shipped", "determinism")]
    jobs.append(shipped("programs", "as shipped", "programs"))
    for name in FORMATS:
        place = folder / name
        place.mkdir()
        jobs.append(shipped("damaged files", name, "fuzz", name, str(place)))
    jobs += [built("programs", SANITIZED, "programs", isa) for isa in isas]
    if not short:
        jobs.append(built("same bits", RACES, "determinism"))
    return jobs


def run_all(jobs: list[Job]) -> list[Result]:
    """Run jobs, some at a time, and print each result when it and those before it are there."""
    results = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for result in pool.map(lambda job: job(), jobs):
            end = "FAILED" if result.fault else "ok"
            if result.skipped:
                end = f"skipped: {result.skipped}"
            print(
                f"{result.kind:14} {result.where:24} {result.cases:8} cases {result.seconds:6.0f} s"
                f"  {end}",
                flush=True,
            )
            results.append(result)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.torture", description="Try to break the kernels and the readers."
    )
    parser.add_argument("--minutes", type=float, default=30, help="time for all (default 30)")
    parser.add_argument("--short", action="store_true", help="the short form, about two minutes")
    parser.add_argument("--seed", type=int, help="where the searches begin (default: the time)")
    options = parser.parse_args()
    short = options.short
    seed = options.seed if options.seed is not None else 0 if short else int(time.time())
    print(f"seed {seed}")
    from dsconv.kernels import dispatch

    isas = ["baseline"] if short else dispatch.available()
    clock = Clock(SHORT_MINUTES if short else options.minutes)
    folder = Path(tempfile.mkdtemp(prefix="dsconv-torture-"))
    builder = Builder(folder, "baseline" if short else "")
    random = searches(builder, clock, isas, folder, seed, short)
    clock.waiting = len(random)
    planted = named("planted fault", SANITIZED, partial(suites.planted, builder, SANITIZED))
    return report(run_all([*tests(builder, short), *random, planted]), folder)


def report(results: list[Result], folder: Path) -> int:
    """Print what failed and the sums of the cases, and return the exit status."""
    failed = [result for result in results if result.fault]
    for result in failed:
        print(f"\n== {result.kind}, {result.where}\n{result.fault}")
    print()
    for kind in dict.fromkeys(result.kind for result in results):
        print(f"{kind}: {sum(r.cases for r in results if r.kind == kind)} cases")
    if failed:
        print(f"{len(failed)} of {len(results)} jobs failed; their files are in {folder}")
    else:
        shutil.rmtree(folder)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
