"""Builds of the kernels with other settings than setup.py's, made once for all tests of this folder."""

from __future__ import annotations

import ast
import functools
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def _directives() -> list[str]:
    """Return the Cython directives of setup.py as arguments of the cython command."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DIRECTIVES":
            values = ast.literal_eval(node.value)
            return [word for key in values for word in ("-X", f"{key}={values[key]}")]
    raise LookupError("setup.py has no DIRECTIVES")


@pytest.fixture(scope="session")
def compile_kernels(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compile the source with the flags of a kernel module, more flags and some macros defined."""
    compiler = (sysconfig.get_config_var("CC") or "").split()
    if not compiler or not shutil.which(compiler[0]) or not (ROOT / "src").is_dir():
        pytest.skip("there is no C compiler, or no source, to build the kernels anew")
    pytest.importorskip("Cython")
    folder = tmp_path_factory.mktemp("kernels")
    source = folder / "_kernels_baseline.c"
    command = [sys.executable, "-m", "cython", "-3", *_directives(), "-o", str(source)]
    subprocess.run([*command, "src/_kernels_baseline.pyx"], cwd=ROOT, check=True)

    @functools.cache
    def compiled(flags: str, *arguments: str) -> Path:
        out = folder / f"{len(list(folder.iterdir()))}.so"
        include = ["-I", str(ROOT / "src"), "-I", sysconfig.get_path("include")]
        options = [*compiler, "-w", "-DNDEBUG", "-fwrapv", "-fPIC", "-shared", *include]
        subprocess.run(
            [*options, *flags.split(), *arguments, str(source), "-o", str(out)], check=True
        )
        return out

    return compiled


@pytest.fixture(scope="session")
def build_kernels(compile_kernels: Callable[..., Path]) -> Callable[..., ModuleType]:
    """Compile as `compile_kernels` does and import the module."""

    def built(flags: str, *arguments: str) -> ModuleType:
        path = str(compile_kernels(flags, *arguments))
        loader = ExtensionFileLoader("_kernels_baseline", path)
        spec = importlib.util.spec_from_file_location("_kernels_baseline", path, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        return module

    return built
