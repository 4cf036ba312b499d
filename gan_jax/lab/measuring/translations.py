"""Images made from pictures of the test set: how close they are to the true ones, and what needs no learning."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gan_jax.lab.measuring.reference import Reference
from gan_jax.metrics import pairs
from gan_jax.pieces import map_in_pieces
from gan_jax.training import from_uint8, to_uint8

_FOR_MEAN = 10_000
_RANGE = (-1.0, 1.0)


class Closeness(NamedTuple):
    """Means over images in [0, 1]: of absolute differences, of decibels, of structural similarity."""

    l1: float
    psnr: float
    ssim: float


def closeness(made: np.ndarray, true: np.ndarray) -> Closeness:
    """How close uint8 images `[N, H, W, C]` are to the true ones."""
    found = map_in_pieces(_closeness, (made, true))
    return Closeness(*(float(number) for number in found.mean(axis=0)))


def best_answer(reference: Reference, n: int) -> Closeness:
    """What the better by PSNR of two answers without learning scores on the first n test examples.

    One is the mean training image (of many that of 10,000), the other what the picture says itself, see
    `gan_jax.views.View`.
    """
    view, train, test = reference.view, reference.train, reference.test.take(np.arange(min(n, len(reference.test))))
    assert view is not None
    some = np.unique(np.linspace(0, len(train) - 1, _FOR_MEAN).astype(int))
    mean = np.round(train.take(some).x.mean(axis=0)).astype(np.uint8)

    @jax.jit
    def answer(examples: tuple[Array, Array | None]) -> Array:
        x, beside = examples
        y = view.randomized(jax.random.key(0), view.of(from_uint8(x, _RANGE), beside))
        return to_uint8(view.answer(y, from_uint8(jnp.asarray(mean), _RANGE)), _RANGE)

    answers = map_in_pieces(answer, tuple(test.examples))
    means = np.broadcast_to(mean, test.x.shape)
    return max(closeness(answers, test.x), closeness(means, test.x), key=lambda found: found.psnr)


@jax.jit
def _closeness(images: tuple[Array, Array]) -> Array:
    made, true = (from_uint8(x, (0.0, 1.0)) for x in images)
    return jnp.stack([pairs.l1(made, true), pairs.psnr(made, true), pairs.ssim(made, true)], axis=-1)
