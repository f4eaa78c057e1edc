"""How benchmarks count and judge."""

from __future__ import annotations

import pytest

from benchmarks.figures import Figure, jain, percentile


@pytest.mark.parametrize(("part", "expected"), [(0, 1), (0.5, 2.5), (0.75, 3.25), (1, 4)])
def test_a_percentile_is_interpolated(part: float, expected: float) -> None:
    assert percentile([4, 1, 3, 2], part) == expected


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7], 0.99) == 7


@pytest.mark.parametrize(("rates", "index"), [([3, 3, 3], 1), ([1, 0, 0, 0], 0.25), ([1, 3], 0.8), ([0, 0], 0)])
def test_fairness_is_jains_index(rates: list[float], index: float) -> None:
    assert jain(rates) == pytest.approx(index)


def test_ratios_are_of_the_same_round() -> None:
    assert Figure("x", "ms", ours=[1, 4], theirs=[2, 2]).ratios() == [0.5, 2]


def test_rounds_that_the_other_side_lacks_take_its_median() -> None:
    assert Figure("x", "ms", ours=[1, 2, 6], theirs=[2]).ratios() == [0.5, 1, 3]


def test_nothing_is_divided_by_zero() -> None:
    assert Figure("idle", "%", ours=[1, 1], theirs=[0, 2]).ratios() == [0.5]


@pytest.mark.parametrize(
    ("higher_is_better", "of_ratio", "bound", "met"),
    [
        (True, True, 0.5, True),
        (True, True, 0.6, False),
        (False, True, 0.5, True),
        (False, True, 0.4, False),
        (False, False, 2.0, True),
        (False, False, 1.9, False),
    ],
)
def test_the_median_is_judged(higher_is_better: bool, of_ratio: bool, bound: float, met: bool) -> None:
    figure = Figure(
        "x", "", higher_is_better=higher_is_better, of_ratio=of_ratio, ours=[1, 2, 30], theirs=[2, 4, 60], must=bound
    )
    assert figure.met(figure.must) is met


def test_what_was_not_measured_or_has_no_bound_is_not_judged() -> None:
    assert Figure("x", "", must=1).met(1) is None
    assert Figure("x", "", ours=[1], theirs=[1]).met(None) is None
