"""The English names of ImageNet's classes, which stand in `labels.txt`, one a line."""

from __future__ import annotations

import os

from dsconv.arguments.numbers import integer


def labels(count: int = 1000) -> list[str]:
    """Return the English names of the ImageNet (ILSVRC 2012) classes, in the order of the logits.

    torchvision's weights carry these names as "categories" (BSD-3-Clause). Each is the first
    synonym of a WordNet synset, made unique.

    Parameters
    ----------
    count
        1000, or 1001 for networks whose class 0 is "background".

    Raises
    ------
    ValueError
        If count is another number.
    """
    count = integer(count, "count")
    if count not in (1000, 1001):
        raise ValueError(f"count must be 1000 or 1001 (with background first), got {count}")
    path = os.path.join(os.path.dirname(__file__), "labels.txt")
    with open(path, encoding="utf-8") as file:
        return ["background"] * (count - 1000) + file.read().splitlines()
