"""Describe the machine and the programs that made a measurement."""

from __future__ import annotations

import os
import platform
from datetime import datetime

import numpy as np

from dsconv import __version__
from dsconv.kernels import dispatch


def facts() -> dict[str, str]:
    """Return processor, system, kernels in use, versions and date, a line of text for each."""
    kernels = dispatch.kernels
    fma = "FMA" if kernels.has_fma else "no FMA: multiply, then add"
    return {
        "machine": f"{processor()}, {os.cpu_count()} CPUs, {_load()}",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "kernels": f"{dispatch.isa}, vectors of {kernels.lanes} floats, {fma}",
        "versions": f"dsconv {__version__}, Python {platform.python_version()}, "
        f"numpy {np.__version__}, {kernels.compiler}",
        "date": datetime.now().astimezone().isoformat(" ", "minutes"),
    }


def processor() -> str:
    """Return the name that the system has for the processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() in ("model name", "Model") and value.strip():
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown processor"


def load() -> float | None:
    """Return the load average of the last minute, or None where the system has none."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _load() -> str:
    """Describe how busy the machine is, because other programs lengthen every time."""
    now = load()
    return "load unknown" if now is None else f"load {now:.1f} before the run"
