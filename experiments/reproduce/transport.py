"""Exact Wasserstein-1 distances of equally large samples, by assignment."""

import atexit
import functools
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import scipy.optimize
from jaxtyping import Float
from scipy.spatial.distance import cdist

from gan_jax.lab import devices

Sample = Float[np.ndarray, "n d"]

# Pairs of so many points together, cubed, are one core's work of some seconds: what a pool takes to start.
_SMALL = 2e9


def distance(x: Sample, y: Sample) -> float:
    """The W_1 of two samples `[N, D]`, in their own unit: the least mean distance over all ways to pair their points.

    Of samples with equal weights the best plan is a permutation (Birkhoff), which SciPy's solver finds exactly. Its
    time goes as N^3 at worst: 20 ms for 500 points, .1 s for 1,000, .9 s for 2,000. NaN where a point is not finite.

    Raises:
      ValueError: the samples are not both `[N, D]`.
    """
    if x.ndim != 2 or x.shape != y.shape:
        raise ValueError(f"two samples [N, D] of one shape are assigned, got {list(x.shape)} and {list(y.shape)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return float("nan")
    costs = cdist(x, y)
    return float(costs[scipy.optimize.linear_sum_assignment(costs)].mean())


def distances(pairs: Sequence[tuple[Sample, Sample]]) -> list[float]:
    """`distance` of many pairs, on all cores."""
    if sum(float(len(x)) ** 3 for x, _ in pairs) < _SMALL or devices.cores() == 1:
        return [distance(*pair) for pair in pairs]
    return list(_pool().map(distance, *zip(*pairs, strict=True), chunksize=max(1, len(pairs) // 64)))


@functools.cache
def _pool() -> ProcessPoolExecutor:
    """Processes, since the solver does not let other threads run; not forked, since JAX has threads."""
    pool = ProcessPoolExecutor(devices.cores(), mp_context=multiprocessing.get_context("spawn"))
    atexit.register(pool.shutdown, cancel_futures=True)
    return pool
