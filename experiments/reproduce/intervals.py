"""What seeds say together: interquartile means and bootstrap intervals (Agarwal et al. 2021, arXiv:2108.13264)."""

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
