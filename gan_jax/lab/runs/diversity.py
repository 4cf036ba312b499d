"""What tells of a generator that collapses: how far samples are from each other, and real points from samples."""

import numpy as np

from gan_jax.data import Dataset

_POINTS = 500
"""Real points whose nearest samples are looked for."""
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


class Nearest:
    """How far samples are from the one most like them, over the same of real examples: 0 where each has a copy.

    Few modes that lie far apart hide from `Diversity`: of two, half of all pairs differ. As many real examples are
    compared as there are samples, since of more the nearest is nearer, and of labels as many of each class.
    """

    def __init__(self, real: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Takes the real examples `[N, ...]`, in random order, and their classes `[N]` as `Diversity` does."""
        self._real, self._labels = real, labels

    def __call__(self, samples: np.ndarray, labels: np.ndarray | None = None) -> float | None:
        """The ratio for samples `[n, ...]`; None where they or the real examples have no finite, positive distance."""
        a, b = (np.zeros(len(x)) if of is None else of for x, of in ((samples, labels), (self._real, self._labels)))
        places = [(np.flatnonzero(a == of), np.flatnonzero(b == of)) for of in np.unique(a)]
        counts = [min(map(len, both)) for both in places]
        chosen, real = (
            np.concatenate([both[k][:count] for both, count in zip(places, counts, strict=True)]) for k in (0, 1)
        )
        far = nearest_distance(self._real[real], b[real])
        ratio = nearest_distance(samples[chosen], a[chosen]) / far if far > 0 else np.nan
        return float(ratio) if np.isfinite(ratio) else None


class Gap:
    """How far real points are from the nearest sample: 0 of perfect samples, more where they leave out data.

    The mean distance from a real point to the nearest sample, beyond that to the nearest of as many other real points,
    over the mean distance between two real points. Of n equal modes, each lost one adds its distance to the nearest
    that is found, over n. Distances between samples can't see that: half of the modes of a ring differ as much as all.
    """

    def __init__(self, real: np.ndarray) -> None:
        """Takes the real points `[N, D]`: half are looked for, and the rest are what perfect samples would be."""
        self._sought, self._others = real[::2], real[1::2]
        self._scale = mean_distance(real)

    def __call__(self, samples: np.ndarray) -> float | None:
        """The gap of samples `[n, D]`; None where they or the real points have no finite, positive distance."""
        others = self._others[: len(samples)]
        if not (len(others) and self._scale > 0 and np.isfinite(samples).all()):
            return None
        far, near = (_nearest(self._sought, found).mean() for found in (samples[: len(others)], others))
        return float(max(0.0, far - near) / self._scale)


def gap_of_data(dataset: Dataset) -> Gap | None:
    """The measure for samples of a data set; None of images, whose nearest neighbours say little."""
    if dataset.is_image:
        return None
    chosen = np.sort(np.random.default_rng(0).permutation(len(dataset))[: 2 * _POINTS])
    return Gap(np.asarray(dataset.x[np.random.default_rng(1).permutation(chosen)]))


def of_data(dataset: Dataset, classes: np.ndarray | None) -> tuple[Diversity, Nearest]:
    """The measures for samples of a data set.

    Args:
      dataset: the training data, of which at most a thousand examples are read, once.
      classes: the labels of the samples, whose classes alone count; None where the GAN is not conditioned on labels.
    """
    count = max(50, min(1000, _NUMBERS // max(1, int(np.prod(dataset.shape)))))
    labels, of_these = None, np.arange(len(dataset))
    if classes is not None:
        labels = np.asarray(dataset.labels)
        of_these = np.flatnonzero(np.isin(labels, classes))
    chosen = np.sort(np.random.default_rng(0).permutation(of_these)[:count])
    x, labels = np.asarray(dataset.x[chosen]), None if labels is None else labels[chosen]
    order = np.random.default_rng(1).permutation(len(x))  # Data that are sorted are read in their order.
    return Diversity(x, labels), Nearest(x[order], None if labels is None else labels[order])


def _nearest(x: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The distance from each of `x` `[N, D]` to the nearest of the others `[M, D]`."""
    squares = ((x[:, None].astype(np.float64) - others) ** 2).sum(axis=-1)
    return np.sqrt(squares.min(axis=1))


def mean_distance(x: np.ndarray, labels: np.ndarray | None = None) -> float:
    """The mean Euclidean distance between two of the examples `x` `[N, ...]`, of one class where labels are given.

    NaN where there is no such pair, or an example is not finite.
    """
    distances, pairs = _distances(x, labels)
    return float(distances[pairs].mean()) if pairs.any() else float("nan")


def nearest_distance(x: np.ndarray, labels: np.ndarray | None = None) -> float:
    """As `mean_distance`, from each example to the one that is nearest."""
    distances, pairs = _distances(x, labels)
    nearest = np.where(pairs, distances, np.inf).min(axis=1, initial=np.inf)[pairs.any(axis=1)]
    return float(nearest.mean()) if len(nearest) else float("nan")


def _distances(x: np.ndarray, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distances `[N, N]` between examples `[N, ...]`, and which of them count: pairs, of one class."""
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    flat = flat - flat.mean(axis=0)
    squares = np.sum(flat * flat, axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0))
    pairs = ~np.eye(len(x), dtype=bool)
    if labels is not None:
        pairs &= np.asarray(labels)[:, None] == np.asarray(labels)
    return distances, pairs
