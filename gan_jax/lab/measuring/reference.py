"""Real data that samples are compared with."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from gan_jax import data
from gan_jax.data import Dataset
from gan_jax.data.dataset import most_in_memory
from gan_jax.errors import InputError
from gan_jax.lab.measuring import extractors
from gan_jax.metrics import features, frechet, random_net
from gan_jax.metrics.features import Extractor, Trained
from gan_jax.views import View

_OF_DIGITS = ("stacked", "tags:stacked")
"""Data of three digits, which MNIST's classifier reads one by one."""

moments = jax.jit(frechet.moments)


class Draw(NamedTuple):
    """n samples: uint8 images or float32 points `[N, ...]`, the labels asked for int32 `[N]` or None, and a key.

    Samples that are made from pictures are of the first examples of the test set; `again` are the first of them, made
    from the same pictures with other noise. Of a GAN with codes `read` says what its discriminator reads as each in
    examples `[M, ...]`, by name `[M]`.
    """

    x: np.ndarray
    labels: np.ndarray | None
    rng: Array
    again: np.ndarray | None = None
    read: Callable[[np.ndarray], Mapping[str, np.ndarray]] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """The real data of a run.

    Attributes:
      train: what it learned from.
      test: what its samples are compared with, in random order, so that its first n examples are a sample of it.
      classifier: what reads labels, and gives features where there is no extractor; None where there is none.
      conditional: whether samples are of labels that were asked for.
      held_out: whether `test` is other data than `train`: a source without a test split has only that.
      extractor: what gives features in place of the classifier.
      view: what of the test images samples are made from; None of samples that are made from noise or labels alone.
      code: the categorical code that samples have, whose classes may match those of the data; None where there is none.
    """

    train: Dataset
    test: Dataset
    classifier: Trained | None
    conditional: bool
    held_out: bool = True
    extractor: Extractor | None = None
    view: View | None = None
    code: str | None = None

    @functools.cached_property
    def source(self) -> Extractor | None:
        """Where features come from; None where there are none."""
        if self.extractor is None and self.classifier is not None:
            return features.of_classifier(self.classifier)
        return self.extractor

    @functools.cached_property
    def features(self) -> np.ndarray:
        """Of the test set."""
        return self.features_of(self.test.x)

    @functools.cached_property
    def moments(self) -> frechet.Moments:
        """Of the test set's features."""
        return moments(self.features)

    @functools.cached_property
    def accuracy(self) -> float:
        """The share of the test images whose labels the classifier reads."""
        assert self.test.labels is not None
        return float(np.mean(self.logits_of(self.test.x).argmax(axis=-1) == self.test.labels))

    @functools.cached_property
    def knows_labels(self) -> bool:
        """Whether the classifier's classes are those of this data.

        They are where it learned from this very data, or reads its labels at least half as well as those of its own: a
        classifier of other things with as many classes reads them no better than chance.
        """
        if self.classifier is None or self.test.labels is None:
            return False
        record = self.classifier.record
        if record["num_classes"] != self.test.num_classes:
            return False
        return features.is_of(record, self.train) or self.accuracy >= record["test_accuracy"] / 2

    @property
    def validation(self) -> np.ndarray:
        """Training examples that real draws leave out: of MNIST train[50000:51000], those of the Parzen protocol."""
        return self.train.x[self.real_count :][:1000]

    @property
    def shares(self) -> np.ndarray:
        """The share of each label that the test set has, `[K]` or fewer; empty where there are no labels."""
        if self.test.labels is None:
            return np.zeros(0)
        return np.unique(self.test.labels, return_counts=True)[1] / len(self.test)

    @property
    def real_count(self) -> int:
        """How many training examples real draws are chosen from."""
        return max(len(self.train) - 10_000, len(self.train) // 2)

    def features_of(self, x: np.ndarray) -> np.ndarray:
        """`[N, F]` of images `[N, H, W, C]`."""
        assert self.source is not None
        return self.source.features(x)

    def logits_of(self, x: np.ndarray) -> np.ndarray:
        """`[N, K]` of images `[N, H, W, C]`."""
        assert self.classifier is not None
        return features.in_pieces(self.classifier.logits, x)

    def real(self, n: int, rng: Array) -> Draw:
        """n training examples, without replacement, as if a generator had drawn them."""
        chosen = np.asarray(jax.random.choice(rng, self.real_count, (min(n, self.real_count),), replace=False))
        labels = None if self.train.labels is None else self.train.labels[chosen]
        return Draw(self.train.x[chosen], labels, rng)


def load(
    spec: str,
    *,
    conditional: bool,
    classifier: str | None = None,
    asked: str | None = None,
    train: Dataset | None = None,
) -> Reference:
    """The real data of a spec, and where its features come from.

    Features are those that were asked for by --features, see `extractors`. By default they are the classifier's, of the
    name or file that is given or the one trained on this very data; else those of a net of random weights. (Of stacked
    digits there are none: their classifier reads them one by one.)

    Where the spec's training split is loaded already, `train` is that. Of memory-mapped test data, samples are compared
    with a random part that memory holds.

    Raises:
      InputError: the data can't be read, the classifier or the features are none, or they do not take such images.
    """
    train, test = data.load(spec) if train is None else train, data.load(spec, "test")
    name = classifier or ("mnist" if train.name in _OF_DIGITS else features.of_dataset(train))
    held_out = test.fingerprint != train.fingerprint
    order = np.random.default_rng(0).permutation(len(test))
    test = test.take(order[: most_in_memory(test)])
    found = None if name is None else features.load(name)
    if name is not None and found is not None:
        _check_takes(found, name, train)
    extractor = None if asked is None else extractors.load(asked, train)
    if extractor is None and found is None and train.is_image:
        extractor = random_net.load(train.shape)
    return Reference(train, test, found, conditional, held_out, extractor)


def _check_takes(classifier: Trained, name: str, dataset: Dataset) -> None:
    """Raises InputError unless the classifier takes images of this data; of stacked digits, one of them."""
    if not dataset.is_image and dataset.name not in _OF_DIGITS:
        what = "tags" if dataset.tags else "points"
        raise InputError(f"{dataset.name} is {what}, which need no classifier: leave out --classifier")
    stacked, shape = dataset.name in _OF_DIGITS, dataset.beside or dataset.shape
    extractors.checked(classifier, name, (*shape[:2], 1) if stacked else shape, dataset.name)
    if stacked and classifier.record["num_classes"] != 10:
        raise InputError(f"the classifier {name} does not read ten digits: leave out --classifier")
