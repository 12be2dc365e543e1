"""Instruction sets, the folder of shared files, and the effort of hypothesis, for all tests.

The number of examples is a hypothesis profile: "ci" (few, the same in every run) where CI is set in
the environment, else "dev". For a long search: ``pytest --hypothesis-profile thorough``, or
HYPOTHESIS_PROFILE=thorough in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

# Tests ask for threads where they mean it; a team for every small call would wait most of the time.
os.environ.setdefault("DSCONV_NUM_THREADS", "1")

import dsconv  # noqa: E402
from dsconv.kernels import dispatch  # noqa: E402

settings.register_profile(
    "dev",
    max_examples=40,
    deadline=None,
    # The fixture `isa` is meant to hold for all examples of a test.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile(
    "ci", settings.get_profile("dev"), max_examples=20, derandomize=True, database=None
)
settings.register_profile("thorough", settings.get_profile("dev"), max_examples=500)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)


@pytest.fixture(params=dispatch.ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """Put the kernel module of one instruction set in use while the test runs."""
    if request.param not in dispatch.available():
        with pytest.raises(ValueError) as refused:
            dispatch.kernel_module(request.param)
        pytest.skip(str(refused.value))
    with dispatch.use(request.param) as kernels:
        yield kernels


@pytest.fixture
def set_num_threads() -> Iterator[Callable[[int], None]]:
    """Give `dsconv.set_num_threads`, undone after the test."""
    before = dsconv.get_num_threads()
    yield dsconv.set_num_threads
    dsconv.set_num_threads(before)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder with trained weights, pictures and golden logits, DSCONV_SHARED."""
    folder = os.environ.get("DSCONV_SHARED")
    if not folder:
        pytest.skip("DSCONV_SHARED is not set: no trained weights, pictures and golden logits")
    return Path(folder)
