"""Python in a process of its own, for what may crash, hang, or is decided at import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dsconv

LIMIT = 60  # seconds after which a process counts as hanging


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code`, or a file of this folder, with arguments and additional environment variables."""
    name = Path(__file__).with_name(code) if code.endswith(".py") else None
    command = [str(name)] if name else ["-P", "-c", code]  # -P: the working directory hides nothing
    package = str(Path(dsconv.__file__).parents[1])  # the same dsconv as in this process
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, *command, *arguments],
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
