"""Real data that samples are compared with."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from gan_jax import data
from gan_jax.data import Dataset
from gan_jax.metrics import features, frechet
from gan_jax.metrics.features import Trained

moments = jax.jit(frechet.moments)


class Draw(NamedTuple):
    """n samples: uint8 images or float32 points `[N, ...]`, the labels asked for int32 `[N]` or None, and a key."""

    x: np.ndarray
    labels: np.ndarray | None
    rng: Array


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """The real data of a run.

    Attributes:
      train: what it learned from.
      test: what its samples are compared with, in random order, so that its first n examples are a sample of it.
      classifier: what gives features and reads labels; None where there is none.
      conditional: whether samples are of labels that were asked for.
      held_out: whether `test` is other data than `train`: a source without a test split has only that.
    """

    train: Dataset
    test: Dataset
    classifier: Trained | None
    conditional: bool
    held_out: bool = True

    @functools.cached_property
    def features(self) -> np.ndarray:
        """Of the test set."""
        return self.features_of(self.test.x)

    @functools.cached_property
    def moments(self) -> frechet.Moments:
        """Of the test set's features."""
        return moments(self.features)

    @property
    def validation(self) -> np.ndarray:
        """Training examples that real draws leave out: of MNIST train[50000:51000], those of the Parzen protocol."""
        return self.train.x[self._learned :][:1000]

    @property
    def _learned(self) -> int:
        return max(len(self.train) - 10_000, len(self.train) // 2)

    def features_of(self, x: np.ndarray) -> np.ndarray:
        """`[N, F]` of images `[N, H, W, C]`."""
        assert self.classifier is not None
        return features.in_pieces(self.classifier.features, x)

    def logits_of(self, x: np.ndarray) -> np.ndarray:
        """`[N, K]` of images `[N, H, W, C]`."""
        assert self.classifier is not None
        return features.in_pieces(self.classifier.logits, x)

    def real(self, n: int, rng: Array) -> Draw:
        """n training examples, without replacement, as if a generator had drawn them."""
        chosen = np.asarray(jax.random.choice(rng, self._learned, (min(n, self._learned),), replace=False))
        labels = None if self.train.labels is None else self.train.labels[chosen]
        return Draw(self.train.x[chosen], labels, rng)


def load(spec: str, *, conditional: bool, classifier: str | None = None) -> Reference:
    """The real data of a spec, and the classifier of that name or file; by default the one trained on this very data.

    Raises:
      InputError: the data can't be read, or the classifier is not one.
    """
    train, test = data.load(spec), data.load(spec, "test")
    name = classifier or ("mnist" if spec == "stacked" else features.of_dataset(train))
    held_out = not np.array_equal(train.x, test.x)
    order = np.random.default_rng(0).permutation(len(test))
    labels = None if test.labels is None else test.labels[order]
    test = dataclasses.replace(test, x=test.x[order], labels=labels)
    return Reference(train, test, None if name is None else features.load(name), conditional, held_out)
