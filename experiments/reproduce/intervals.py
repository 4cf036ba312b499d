"""What seeds say together: interquartile means and bootstrap intervals (Agarwal et al. 2021, arXiv:2108.13264)."""

import math
from collections.abc import Sequence

import numpy as np
import scipy.stats

_RESAMPLES = 10_000


def interquartile_mean(values: Sequence[float]) -> float:
    """Mean of the middle half: of n values without the floor(n / 4) smallest and as many largest.

    Of three or fewer that is the mean.
    """
    return float(scipy.stats.trim_mean(values, 0.25))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the interquartile mean over seeds, always with the same resamples.

    Of fewer than five values it is too narrow: they can't be drawn in enough ways.

    Args:
      values: of two seeds or more, finite.
    """
    drawn = np.random.default_rng(0).choice(np.asarray(values, np.float64), (_RESAMPLES, len(values)))
    low, high = np.quantile(scipy.stats.trim_mean(drawn, 0.25, axis=1), [0.025, 0.975])
    return float(low), float(high)


def shown(values: Sequence[float], decimals: int) -> str:
    """`mean [low, high]`; of one value the value, of none nothing."""
    if not len(values):
        return ""
    ends = interval(values) if len(values) > 1 else ()
    middle, *ends_shown = (f"{value:.{decimals}f}" for value in (interquartile_mean(values), *ends))
    return f"{middle} [{', '.join(ends_shown)}]" if ends_shown else middle


def probability(a: Sequence[float], b: Sequence[float]) -> float:
    """The probability that a seed of `a` has a lower number than one of `b`; equal ones count half (Agarwal et al.)."""
    return float(_wins(a, b).mean())


def probability_interval(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """95 % percentile bootstrap interval of `probability`, the seeds of both drawn anew."""
    rng = np.random.default_rng(0)
    of_a, of_b = (rng.multinomial(len(x), [1 / len(x)] * len(x), _RESAMPLES) / len(x) for x in (a, b))
    low, high = np.quantile(np.sum(of_a @ _wins(a, b) * of_b, axis=1), [0.025, 0.975])
    return float(low), float(high)


def _wins(a: Sequence[float], b: Sequence[float]) -> np.ndarray:
    rows, columns = np.asarray(a, np.float64)[:, None], np.asarray(b, np.float64)[None]
    return (rows < columns) + (rows == columns) / 2


def least_of(values: Sequence[float], k: int, shares: Sequence[float]) -> list[float]:
    """Quantiles of the smallest of k values that are drawn from these without replacement.

    Of n values in order the smallest drawn is above the i-th in C(n - i, k) of C(n, k) draws.

    Args:
      values: n, may be infinite.
      k: at most n.
      shares: which quantiles, in (0, 1).
    """
    n = len(values)
    above = [math.comb(n - i, k) / math.comb(n, k) for i in range(1, n + 1)]
    places = np.searchsorted(1 - np.asarray(above), np.asarray(shares) - 1e-12)
    return [float(value) for value in np.sort(np.asarray(values, np.float64))[places]]
