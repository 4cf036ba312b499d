"""How much samples differ from each other, compared with real examples: what falls when a generator collapses."""

import numpy as np

from gan_jax.data import Dataset

_NUMBERS = 2**24
"""Real examples are read up to so many numbers, and a thousand of them."""


class Diversity:
    """Distances between samples over those between real examples: 1 where both differ as much, 0 of copies.

    Distances are Euclidean, of pixels or coordinates. Of a GAN that is conditioned on labels those within a class are
    taken, so that a class that has collapsed is not hidden by the others.
    """

    def __init__(self, real: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Measures the real examples.

        Args:
          real: `[N, ...]`, as stored.
          labels: their classes `[N]`; None for distances between all.
        """
        self._real = mean_distance(real, labels)

    def __call__(self, samples: np.ndarray, labels: np.ndarray | None = None) -> float | None:
        """The ratio for samples `[n, ...]`; None where they or the real examples have no finite, positive distance."""
        found = mean_distance(samples, labels)
        ratio = found / self._real if self._real > 0 else np.nan
        return float(ratio) if np.isfinite(ratio) else None


def of_data(dataset: Dataset, classes: np.ndarray | None) -> Diversity:
    """The measure for samples of a data set.

    Args:
      dataset: the training data, of which at most a thousand examples are read.
      classes: the labels of the samples, whose classes alone count; None where the GAN is not conditioned on labels.
    """
    count = max(50, min(1000, _NUMBERS // max(1, int(np.prod(dataset.shape)))))
    labels, of_these = None, np.arange(len(dataset))
    if classes is not None:
        labels = np.asarray(dataset.labels)
        of_these = np.flatnonzero(np.isin(labels, classes))
    chosen = np.sort(np.random.default_rng(0).permutation(of_these)[:count])
    return Diversity(np.asarray(dataset.x[chosen]), None if labels is None else labels[chosen])


def mean_distance(x: np.ndarray, labels: np.ndarray | None = None) -> float:
    """The mean Euclidean distance between two of the examples `x` `[N, ...]`, of one class where labels are given.

    NaN where there is no such pair, or an example is not finite.
    """
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    flat = flat - flat.mean(axis=0)
    squares = np.sum(flat * flat, axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0))
    pairs = ~np.eye(len(x), dtype=bool)
    if labels is not None:
        pairs &= np.asarray(labels)[:, None] == np.asarray(labels)
    return float(distances[pairs].mean()) if pairs.any() else float("nan")
