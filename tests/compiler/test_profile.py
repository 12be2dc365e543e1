"""Profiles as people read them, and the memory of their vectors."""

import numpy as np

from dsconv import models
from dsconv.kernels.memory import Block


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


def test_vectors_of_a_block_are_aligned_and_apart():
    block = Block(1 << 20)
    vectors = [block(floats) for floats in (1, 16, 17, 1000)]
    for vector, other in zip(vectors, vectors[1:], strict=False):
        assert vector.ctypes.data % 64 == 0
        assert vector.ctypes.data + vector.nbytes <= other.ctypes.data
    assert vectors[0].ctypes.data % (2 << 20) == 0  # a huge page
