"""Read how many CPUs the control groups of Linux, with which containers are limited, pay for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def cpu_quota(root: Path = Path("/")) -> int | None:
    """Return the CPUs that the groups of this process pay for, rounded up; None without a quota.

    Groups are nested, each has a quota of its own, and the smallest one holds. A container may see
    the path of its group on the host, but finds the files of its own group at the top.

    Parameters
    ----------
    root
        The folder that has `proc` and `sys`.
    """
    found = [_group_quota(folder) for folder in _folders(root)]
    return min((quota for quota in found if quota), default=None)


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folders of all groups of this process that may limit its CPUs."""
    groups = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines() or ["0::/"]:
        _, controllers, name = (line + "::").split(":")[:3]
        path = PurePosixPath("/", name).relative_to("/")
        if controllers == "" or "cpu" in controllers.split(","):
            top = groups / "cpu" if controllers else groups  # version 1 has a tree for the CPUs
            yield from (top / part for part in (path, *path.parents))


def _group_quota(folder: Path) -> int | None:
    """Return the CPUs that one group pays for, rounded up; None without a quota."""
    text = _read(folder / "cpu.max")  # version 2; version 1 has two files
    text = text or _read(folder / "cpu.cfs_quota_us") + " " + _read(folder / "cpu.cfs_period_us")
    try:
        quota, period = map(int, text.split())
        return -(-quota // period) if quota > 0 else None
    except (ValueError, ZeroDivisionError):  # "max", no such file, or something else
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
