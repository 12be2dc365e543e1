"""Public names: listed by `dir`, reached by attribute in any order of imports, hidden by no file."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest

from dsconv import models

PACKAGES = ("dsconv", "dsconv.functional", "dsconv.images", "dsconv.models", "dsconv.onnx")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize("package", PACKAGES)
def test_dir_has_the_public_names(package: str) -> None:
    module = import_module(package)
    assert set(module.__all__) <= set(dir(module))
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        getattr(module, name)
    with pytest.raises(AttributeError, match="'nothing'"):
        module.nothing  # noqa: B018


@pytest.mark.parametrize("package", PACKAGES)
def test_dir_needs_no_import_before(package: str) -> None:
    code = f"import {package} as m; print(set(m.__all__) <= set(dir(m)))"
    assert run(code) == "True"


TOPOLOGIES = "import dsconv.models.topologies.mobilenet_v1 as m, dsconv.models.topologies.vgg as v"


@pytest.mark.parametrize(
    "lines",
    [
        [TOPOLOGIES, "from dsconv import models"],
        ["from dsconv import models", "models.mobilenet_v1", TOPOLOGIES],
        ["from dsconv.models import mobilenet_v1", TOPOLOGIES, "from dsconv import models"],
    ],
)
def test_builders_and_their_files_have_names_of_their_own(lines: list[str]) -> None:
    end = "print(type(m).__name__, type(v).__name__, models.mobilenet_v1().name, m.mobilenet_v1 is"
    assert run("\n".join([*lines, end + " models.mobilenet_v1)"])) == (
        "module module mobilenet_v1 True"
    )


def test_a_builder_is_not_a_module() -> None:
    assert callable(models.mobilenet_v1)
    with pytest.raises(ModuleNotFoundError, match="dsconv.models.mobilenet_v1"):
        import_module("dsconv.models.mobilenet_v1")
    assert callable(models.mobilenet_v1)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_hides_a_public_name(package: str) -> None:
    """Check that no file bears another's name, because importing it sets an attribute."""
    module = import_module(package)
    for name in module.__all__:
        if not isinstance(getattr(module, name), ModuleType):
            with pytest.raises(ModuleNotFoundError):
                import_module(f"{package}.{name}")
