"""The team of threads without Python, by each compiler at hand and under the thread sanitizer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STRICT = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror"]
SANITIZERS = ["none", "thread", "address,undefined"]


def build(compiler: str, folder: Path, *options: str) -> str:
    """Compile team.c, which checks every strip itself, and return the path of the program."""
    if not shutil.which(compiler) or not (ROOT / "src").is_dir():
        pytest.skip(f"there is no {compiler}, or no source")
    program = str(folder / "team.exe")
    source = str(Path(__file__).with_name("team.c"))
    subprocess.run(
        [compiler, *STRICT, f"-I{ROOT / 'src'}", source, "-o", program, *options], check=True
    )
    return program


@pytest.mark.parametrize("sanitizer", SANITIZERS)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_strip_is_computed_once_and_in_order(
    tmp_path: Path, compiler: str, sanitizer: str
) -> None:
    options = ["-pthread"]
    if sanitizer != "none":
        options.append(f"-fsanitize={sanitizer}")
        probe = tmp_path / "probe.c"
        probe.write_text("int main(void) { return 0; }\n")
        if shutil.which(compiler):
            linked = subprocess.run(
                [compiler, str(probe), "-o", str(tmp_path / "probe"), *options], capture_output=True
            )
            if linked.returncode or subprocess.run([str(tmp_path / "probe")]).returncode:
                pytest.skip(f"{compiler} has no -fsanitize={sanitizer} here")
    done = subprocess.run(
        [build(compiler, tmp_path, *options)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "0 failures\n"), done.stderr


def test_it_compiles_for_windows(tmp_path: Path) -> None:
    build("x86_64-w64-mingw32-gcc", tmp_path)
