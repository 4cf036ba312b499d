import itertools

import numpy as np
import pytest
import scipy.stats

from experiments.reproduce import intervals


@pytest.mark.parametrize(
    ("values", "mean"),
    [([7], 7), ([0, 3], 1.5), ([1, 2, 12], 5), ([9, 0, 4, 1], 2.5), ([50, 1, 2, 3, 4, -9, 5, 6], 3.5)],
)
def test_interquartile_means_leave_out_the_outer_quarters(values: list[float], mean: float) -> None:
    assert intervals.interquartile_mean(values) == mean


def test_an_interval_is_that_of_a_public_implementation() -> None:
    values = np.random.default_rng(1).normal(5, 2, 20)
    theirs = scipy.stats.bootstrap(
        (values,), lambda x, axis: scipy.stats.trim_mean(x, 0.25, axis=axis), method="percentile", n_resamples=20_000,
        rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    np.testing.assert_allclose(intervals.interval(values), theirs, atol=0.05)
    assert intervals.interval(values) == intervals.interval(values)


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    drawn = np.random.default_rng(0).normal(size=(300, 20))
    held = [low < 0 < high for low, high in map(intervals.interval, drawn)]
    assert 0.88 < np.mean(held) < 0.98


@pytest.mark.parametrize(
    ("values", "text"), [([], ""), ([0.25], "0.2"), ([1, 1, 1], "1.0 [1.0, 1.0]"), ([0, 1], "0.5 [0.0, 1.0]")]
)
def test_what_is_shown(values: list[float], text: str) -> None:
    assert intervals.shown(values, 1) == text


@pytest.mark.parametrize(
    ("a", "b", "chance"), [([1, 2], [3, 4], 1), ([3, 4], [1, 2], 0), ([1, 3], [2, 3], 0.625), ([np.inf], [np.inf], 0.5)]
)
def test_the_probability_that_one_is_lower(a: list[float], b: list[float], chance: float) -> None:
    assert intervals.probability(a, b) == chance


def test_the_interval_of_a_probability_is_that_of_draws_of_both() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 12), rng.normal(0.5, 1, 9)
    drawn = [np.mean(rng.choice(a, 12)[:, None] < rng.choice(b, 9)) for _ in range(4000)]
    np.testing.assert_allclose(intervals.probability_interval(a, b), np.quantile(drawn, [0.025, 0.975]), atol=0.02)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_least_of_some_is_counted_over_all_draws(k: int) -> None:
    values = [4.0, 1.0, np.inf, 3.0, 2.0]
    least = sorted(min(drawn) for drawn in itertools.combinations(values, k))
    for share in (0.025, 0.3, 0.5, 0.975):
        expected = least[int(np.ceil(share * len(least))) - 1]
        assert intervals.least_of(values, k, [share]) == [expected]
