"""Two-dimensional mixtures of Gaussians, whose modes can be counted."""

import dataclasses

import numpy as np
from jaxtyping import Float32

from gan_jax.data.dataset import Dataset, Split

POINTS_PER_SPLIT = 100_000
_SEEDS: dict[Split, int] = {"train": 0, "test": 1}


@dataclasses.dataclass(frozen=True, eq=False)
class Mixture:
    """Equally likely round Gaussians: N(centres[k], sigma^2 I), k = 0 .. K - 1."""

    centres: Float32[np.ndarray, "k 2"]
    sigma: float


def _ring() -> Float32[np.ndarray, "8 2"]:
    angles = 2 * np.pi * np.arange(8) / 8
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)


def _grid() -> Float32[np.ndarray, "25 2"]:
    ticks = np.arange(-4, 5, 2)
    return np.stack(np.meshgrid(ticks, ticks, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)


RING = Mixture(_ring(), sigma=0.01)
"""Eight modes on the unit circle, the first at (1, 0), anticlockwise."""

GRID = Mixture(_grid(), sigma=0.05)
"""25 modes on {-4, -2, 0, 2, 4}^2, the second coordinate running fastest."""

MIXTURES = {"ring": RING, "grid": GRID}


def load(name: str, split: Split = "train") -> Dataset:
    """100,000 points of `MIXTURES[name]`, each labelled with its mode, the same ones at each call.

    The test split is an independent draw.
    """
    mixture = MIXTURES[name]
    modes = len(mixture.centres)
    rng = np.random.default_rng(_SEEDS[split])
    labels = rng.integers(modes, size=POINTS_PER_SPLIT, dtype=np.int32)
    noise = rng.standard_normal((POINTS_PER_SPLIT, 2), dtype=np.float32)
    x = mixture.centres[labels] + np.float32(mixture.sigma) * noise
    return Dataset(name, x, labels, tuple(map(str, range(modes))))
