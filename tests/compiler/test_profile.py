"""Profiles as people read them, and the memory of their vectors."""

import numpy as np

from dsconv import models
from dsconv.kernels.memory import aligned_copy
from dsconv.text.peak import FOOTNOTE


def test_the_table_of_a_profile():
    graph = models.mobilenet_v1(alpha=0.25, resolution=32, classes=10)
    profile = graph.compile().profile(np.zeros((3, 32, 32, 3), np.float32), repeats=2)
    lines = str(profile).splitlines()
    assert [line.split()[0] for line in lines[2:-1]] == [step.name for step in profile.steps]
    counts = [int(line.split()[1].replace(",", "")) for line in lines[2:-1]]
    assert sum(counts) == 3 * graph.cost().mult_adds
    assert f"{3 * graph.cost().mult_adds:,} mult-adds" in lines[-1]
    assert f"arena {profile.arena_bytes:,} bytes" in lines[-1]
    assert profile.peak > 0
    table = profile.to_markdown().splitlines()
    assert table[0].startswith("| layer | mult-adds |")
    assert len(table) == len(profile.steps) + 4


def test_copies_are_aligned_and_read_only():
    for floats, alignment in ((1, 64), (1000, 64), (1 << 20, 2 << 20)):  # a cache line, a huge page
        copy = aligned_copy(np.arange(floats, dtype=np.float32))
        assert copy.ctypes.data % alignment == 0 and copy[-1] == floats - 1
        assert not copy.flags.writeable


def test_a_figure_above_the_peak_is_marked():
    graph = models.mobilenet_v1(alpha=0.25, resolution=32, classes=10)
    profile = graph.compile().profile(np.zeros((32, 32, 3), np.float32), repeats=1)
    profile.steps[0].times = [1e-9]
    for text in (str(profile), profile.to_markdown()):
        assert "*" in text.splitlines()[2] and FOOTNOTE in text
