"""Control a worker process: it computes while it is called, and else it is stopped.

Thread pools go on spinning for a while after their work is done. SIGSTOP after each answer and
SIGCONT before each command keep them from taking the processor away from the engine that is timed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import Any

import dsconv

FOLDERS = [str(Path(dsconv.__file__).parents[1]), str(Path(__file__).parents[2])]
"""Folders from which this process imported `dsconv` and `benchmarks`."""

PATIENCE = 300.0  # seconds after which a worker counts as hanging


class WorkerError(Exception):
    """Report that an engine failed, died or hangs; the message has its name and last words."""


def environment(threads: int = 1) -> dict[str, str]:
    """Return variables of a child process: packages, OpenMP's default number of threads."""
    path = os.pathsep.join(filter(None, [*FOLDERS, os.environ.get("PYTHONPATH")]))
    variables = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": str(threads)}
    # Installed packages have their bytecode; let a checkout keep it, too.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    return variables


class Worker:
    """Start a process of `benchmarks.peers.worker`; the end of a `with` ends it.

    Parameters
    ----------
    name
        Name of the engine.
    threads
        Number of threads with which it will be loaded.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        self.name = name
        self._said = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            bufsize=0,
            env=environment(threads),
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(self, do: str, patience: float = PATIENCE, **arguments: Any) -> Any:
        """Let the worker run until it has answered one command.

        Raises
        ------
        WorkerError
            If it answers with an error, ends, or does not answer in `patience` seconds.
        """
        assert self._process.stdin is not None
        self._signal(signal.SIGCONT)
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            line = self._answer(patience)
        except BrokenPipeError:
            line = b""
        if not line:
            raise WorkerError(f"{self.name} ended: {self._last_words()}")
        self._stop()
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(f"{self.name}: {reply['error']}")
        return reply["value"]

    def _answer(self, patience: float) -> bytes:
        """Return one line of the worker, or nothing if it has ended."""
        assert self._process.stdout is not None
        end, line = monotonic() + patience, b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._process.stdout], [], [], max(0, end - monotonic()))
            if not ready:
                self._process.kill()
                raise WorkerError(f"{self.name} gave no answer in {patience:g} seconds")
            some = os.read(self._process.stdout.fileno(), 65536)
            if not some:
                return b""
            line += some
        return line

    def _stop(self) -> None:
        """Stop all its threads, and wait until they are."""
        self._signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:
            self._process.send_signal(number)

    def _last_words(self) -> str:
        """Return the exit status and the last line of standard error."""
        try:
            code: int | str = self._process.wait(10)
        except subprocess.TimeoutExpired:
            code = "unknown"
        self._said.seek(0)
        said = self._said.read()[-2000:].decode(errors="replace").split("\n")
        last = next((line for line in reversed(said) if line.strip()), "no message")
        return f"exit status {code}, {last.strip()}"

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.kill()
        self._process.wait()
        self._said.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
