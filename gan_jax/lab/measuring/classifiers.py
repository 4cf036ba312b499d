"""Training the classifiers that metrics take features and labels from: as long as the data needs."""

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array

from gan_jax.compiling import jit_training
from gan_jax.data import Dataset
from gan_jax.lab.progress import Progress
from gan_jax.lab.runs import chunks
from gan_jax.metrics import classify
from gan_jax.metrics.classify import PEAK_RATE, Learning
from gan_jax.metrics.features import trained
from gan_jax.nets.classifier import Classifier
from gan_jax.pieces import map_in_pieces
from gan_jax.typing import Key, Params, Step

_BATCH = 128
_EPOCHS, _FEWEST_STEPS, _MOST_STEPS = 17, 500, 8000
_HELD_OUT_AT_MOST, _FEWEST_IMAGES = 5000, 20
# Held-out accuracy is looked at so many times in all, and has stopped rising when so many in a row are none the better.
_LOOKS, _PATIENCE = 20, 3


class Learned(NamedTuple):
    """What training came to.

    Attributes:
      params: the classifier's parameters.
      steps: updates that it took.
      held_out: the examples that it has not seen; None where all were trained on.
    """

    params: Params
    steps: int
    held_out: Dataset | None


def most_steps(examples: int) -> int:
    """How many updates so many examples are worth: 17 epochs, at least 500 and at most 8,000."""
    return int(np.clip(_EPOCHS * examples // _BATCH, _FEWEST_STEPS, _MOST_STEPS))


def learn_all(net: Classifier, dataset: Dataset, rng: Key, steps: int, progress: Progress) -> Learned:
    """`classify.train_classifier` on all of the data, with progress."""
    schedule = jax.vmap(optax.warmup_cosine_decay_schedule(0.0, PEAK_RATE, steps // 20, steps))
    learner = _Learner(net, dataset, rng, progress)
    learner.to(steps, lambda step: np.asarray(schedule(jnp.asarray(step, jnp.int32))))
    return Learned(learner.params, steps, None)


def learn(net: Classifier, dataset: Dataset, rng: Key, progress: Progress) -> Learned:
    """Trains until the accuracy of a held-out tenth stops rising, and then a third as long again.

    The learning rate rises to its highest in the first twentieth of `most_steps`, stays there as long as accuracy
    rises, up to three quarters of `most_steps`, and then falls to 0. Of too few images none are held out.
    """
    if len(dataset) < _FEWEST_IMAGES:
        return learn_all(net, dataset, rng, most_steps(len(dataset)), progress)
    order = np.asarray(jax.random.permutation(jax.random.fold_in(rng, len(dataset)), len(dataset)))
    held = min(len(dataset) // 10, _HELD_OUT_AT_MOST)
    held_out, rest = (dataset.take(np.sort(part)) for part in (order[:held], order[held:]))
    limit = most_steps(len(dataset))
    warmup, every = limit // 20, limit // _LOOKS
    learner, best, since = _Learner(net, rest, rng, progress), -1.0, 0
    while learner.step < limit * 3 // 4 and since < _PATIENCE:
        learner.to(learner.step + every, lambda step: PEAK_RATE * np.minimum(1, (step + 1) / warmup))
        accuracy = learner.accuracy(held_out)
        best, since = (accuracy, 0) if accuracy > best else (best, since + 1)
    start, fall = learner.step, learner.step // 3
    learner.to(start + fall, lambda step: PEAK_RATE * (start + fall - step) / fall)
    return Learned(learner.params, learner.step, held_out)


class _Learner:
    """A classifier in training, dispatched in pieces of about half a second."""

    def __init__(self, net: Classifier, dataset: Dataset, rng: Key, progress: Progress) -> None:
        self._net, self._rng, self._progress = net, rng, progress
        self._x, self._y = jnp.asarray(dataset.x), jnp.asarray(dataset.labels)
        self._advance, self._pace, self._shown, self.step = jit_training(_advanced), 1, "", 0
        with progress.doing("compiling"):
            self._learning = jax.jit(classify.fresh_classifier, static_argnums=0)(net, rng, self._x[:1])
            self._advance(net, self._learning, rng, self._x, self._y, np.zeros(chunks.CAPACITY, np.float32), 0)

    @property
    def params(self) -> Params:
        return self._learning.params

    def to(self, end: int, rate: Callable[[np.ndarray], np.ndarray]) -> None:
        """Trains to a step, with the learning rates of steps `[n]`."""
        while self.step < end:
            n = min(self._pace, end - self.step)
            rates = np.asarray(rate(self.step + np.arange(chunks.CAPACITY)), np.float32)
            started = time.perf_counter()
            self._learning, loss = self._advance(self._net, self._learning, self._rng, self._x, self._y, rates, n)
            loss = float(loss) / n
            self._pace = chunks.next_pace(self._pace, n, time.perf_counter() - started)
            self.step += n
            self._progress.advance(n, f"loss {loss:.3g}{self._shown}")

    def accuracy(self, dataset: Dataset) -> float:
        """The share of labels that it reads."""
        logits = map_in_pieces(lambda x: _logits(self._net, self.params, x), dataset.x)
        found = float(np.mean(logits.argmax(axis=-1) == dataset.labels))
        self._shown = f", held out {found:.1%}"
        return found


def _advanced(
    net: Classifier, learning: Learning, rng: Key, images: Array, labels: Array, rates: Array, n: Step
) -> tuple[Learning, Array]:
    """n updates with the first n of the learning rates, and the sum of their losses."""

    def body(i: Array, carry: tuple[Learning, Array]) -> tuple[Learning, Array]:
        learning, loss = classify.classifier_step(net, carry[0], rng, images, labels, rates[i], batch_size=_BATCH)
        return learning, carry[1] + loss

    return lax.fori_loop(0, n, body, (learning, jnp.zeros((), jnp.float32)))


@functools.partial(jax.jit, static_argnums=0)
def _logits(net: Classifier, params: Params, x: Array) -> Array:
    return trained(net, params).logits(x)
