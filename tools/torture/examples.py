"""Draw examples of a hypothesis strategy until the time is up."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

CHUNK = 25


def try_for(
    seconds: float, seed: int, strategy: SearchStrategy[Any], check: Callable[[Any], None]
) -> int:
    """Check examples for some seconds, and return their number.

    The seed of each chunk goes to standard error, where it is read if the process dies.
    """
    end, tried = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        print(f"seed {seed}", file=sys.stderr, flush=True)

        @hypothesis.seed(seed)
        @settings(
            max_examples=CHUNK,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def chunk(case: Any) -> None:
            nonlocal tried
            tried += 1
            check(case)

        chunk()
        seed += 1
    return tried
