"""Intervals, per cents and sentences that say when a benchmark cannot be trusted."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsconv.text.tables import WIDTH
from dsconv.text.trust import Conditions, as_text, interval, percents_of_peak


@pytest.mark.parametrize(
    ("count", "rank"),
    [
        # Ranks of the lower limit as in published tables of the sign test at 95 %.
        (6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (15, 4), (17, 5), (20, 6), (25, 8), (30, 10),
        (40, 14), (50, 18),
        # With fewer than six values no interval covers 95 %, so it is the whole range.
        (1, 1), (2, 1), (5, 1),
    ],
)  # fmt: skip
def test_the_limits_are_order_statistics(count: int, rank: int) -> None:
    values = list(range(1, count + 1))
    found = interval(reversed(values))
    assert found == ((count + 1) / 2, rank, count + 1 - rank)


@pytest.mark.parametrize("count", range(6, 13))
def test_the_interval_covers_the_median(count: int) -> None:
    """Count all ways in which values fall below and above the true median, 0; one rank is best."""
    cut = int(interval(range(count)).low)

    def missed(cut: int) -> Fraction:
        # The limits miss 0 if both are below or both are above it.
        sides = (sorted(signs) for signs in product((-1, 1), repeat=count))
        misses = sum(ordered[cut] == ordered[-1 - cut] for ordered in sides)
        return Fraction(misses, 2**count)

    assert missed(cut) <= Fraction(5, 100) < missed(cut + 1)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=40))
def test_the_median_is_inside(values: list[float]) -> None:
    middle, low, high = interval(values)
    assert min(values) <= low <= middle <= high <= max(values)
    assert interval(values[::-1]) == (middle, low, high)


def test_per_cents_are_those_of_the_peak_beside_each_time() -> None:
    # 1 G mult-adds are 2 G operations: in 20 ms they are 100 GFLOP/s. The clock doubles.
    found = percents_of_peak(10**9, [0.020, 0.010], [200.0, 400.0])
    assert found == pytest.approx((50, 50))
    # 50 %, 80 % and 40 %; the shortest time has the largest peak.
    found = percents_of_peak(10**9, [0.020, 0.010, 0.005], [200.0, 250.0, 1000.0])
    assert found == pytest.approx((50, 40))
    assert percents_of_peak(0, [0.020], [200.0]) == (0, 0)


def test_conditions_keep_the_extremes() -> None:
    conditions = Conditions(processors=4)
    for peak, load in ((100.0, 0.5), (95.0, 3.0), (104.0, 1.0)):
        conditions.add(peak, load)
    assert conditions == Conditions(4, 3.0, 95.0, 104.0, 3)
    assert conditions.peak().startswith("95.0 to 104.0 GFLOP/s a thread, 3 samples")


@pytest.mark.parametrize(
    ("conditions", "percents", "words"),
    [
        (Conditions(2, 2.0, 100.0, 105.0, 9), [100.04, 3.0], []),
        (Conditions(2, 2.1, 100.0, 105.0, 9), [], ["rose to 2.1 on 2 processors, so"]),
        (Conditions(1, 1.5, 100.0, 105.0, 9), [], ["rose to 1.5 on 1 processor, so"]),
        (Conditions(0, 7.0, 100.0, 105.0, 9), [], []),  # the processors are unknown
        (Conditions(2, 0.0, 100.0, 105.1, 9), [], ["moved from 100.0 to 105.1 GFLOP/s during"]),
        (Conditions(2, 0.0, 100.0, 101.0, 9), [7.0, 107.25, 103.0], ["A figure is 107.2 %"]),
        (
            Conditions(2, 3.0, 92.1, 153.4, 9),
            [101.0],
            ["load average", "moved from 92.1 to 153.4 GFLOP/s", "A figure is 101.0 %"],
        ),
        (Conditions(), [], []),  # nothing was measured
    ],
)
def test_warnings(conditions: Conditions, percents: list[float], words: list[str]) -> None:
    found = conditions.warnings(percents)
    assert len(found) == len(words)
    for sentence, part in zip(found, words, strict=True):
        assert part in sentence and sentence.endswith(".")
    assert all(len(line) <= WIDTH for line in as_text(found).splitlines())
