"""Build the package into a folder of its own: with sanitizers, without vectors, with clang."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from tools.torture.jobs import ROOT, Skipped, run_python

# A package that is installed for editing would lend its kernels to the build beside it.
ONLY_THIS_BUILD = """import sys

sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder)]
"""


class Build(NamedTuple):
    """What a build is made with, and what its programs need to run."""

    variables: dict[str, str]  # for setup.py
    preload: str = ""  # library that must be loaded before all others
    environment: dict[str, str] = {}  # noqa: RUF012


BUILDS = {
    "ASan and UBSan": Build(
        {"DSCONV_SANITIZE": "1"},
        "libasan.so",
        {
            "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "PYTHONMALLOC": "malloc",
        },
    ),
    "TSan": Build(
        {"DSCONV_SANITIZE": "thread"},
        "libtsan.so",
        {"TSAN_OPTIONS": "halt_on_error=1:die_after_fork=0"},
    ),
    "plain vec": Build({"DSCONV_PLAIN_VEC": "1"}),
    "clang": Build({"CC": "clang"}),
    "clang, plain vec": Build({"CC": "clang", "DSCONV_PLAIN_VEC": "1"}),
}


class Builder:
    """Makes each build at its first use; several threads may ask for it."""

    def __init__(self, folder: Path, isas: str = "") -> None:
        self.folder, self.isas = folder, isas
        self._locks = {name: Lock() for name in BUILDS}

    def get(self, name: str) -> tuple[str, dict[str, str]]:
        """Return the folder of a build and the environment that its programs need.

        Raises
        ------
        Skipped
            If the compiler, a library of the sanitizer or Cython is not installed or does not run.
        RuntimeError
            If it does not compile.
        """
        build = BUILDS[name]
        environment = dict(build.environment)
        if build.preload:
            environment["LD_PRELOAD"] = _library(build.preload)
            status, output = run_python(["-c", "pass"], environment, 60)
            if status:  # some kernels place memory where the sanitizer has its own
                raise Skipped(f"{build.preload} does not run on this system: {output[-200:]}")
        compiler = build.variables.get("CC", "gcc")
        if not shutil.which(compiler):
            raise Skipped(f"{compiler} is not installed")
        if not (importlib.util.find_spec("Cython") and importlib.util.find_spec("setuptools")):
            raise Skipped("Cython and setuptools are not installed")
        target = self.folder / name.replace(" ", "-").replace(",", "")
        with self._locks[name]:
            if not target.exists():
                self._make(target, build.variables)
        return str(target), environment

    def _make(self, target: Path, variables: dict[str, str]) -> None:
        objects = target.with_suffix(".objects")  # never those of another build
        where = ["--build-base", str(objects), "--build-lib", str(target)]
        done = subprocess.run(
            [sys.executable, "setup.py", "-q", "build", *where],
            cwd=ROOT,
            env=os.environ | {"DSCONV_BUILD_ISAS": self.isas} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"it does not compile:\n{done.stdout[-3000:]}")
        (target / "sitecustomize.py").write_text(ONLY_THIS_BUILD)


def _library(name: str) -> str:
    """Return the path of a library of gcc."""
    if shutil.which("gcc"):
        command = ["gcc", f"-print-file-name={name}"]
        path = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        if os.path.isabs(path) and os.path.exists(path):
            return path
    raise Skipped(f"{name} is not installed")
