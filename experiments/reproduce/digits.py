"""What the tables on MNIST share: the real data, and one seed's numbers."""

import functools
from collections.abc import Callable, Sequence

import jax

from experiments import measures
from experiments.measures import Draw, Reference
from gan_jax import data
from gan_jax.gan import GAN, GANState
from gan_jax.metrics import features
from gan_jax.training import Examples


@functools.cache
def reference(conditional: bool) -> Reference:
    """MNIST with its classifier."""
    return Reference(data.load("mnist"), data.load("mnist", "test"), features.load("mnist"), conditional)


def examples() -> Examples:
    """MNIST's training set on the device."""
    train = data.load("mnist")
    return Examples(jax.numpy.asarray(train.x), jax.numpy.asarray(train.labels))


def numbers(reference: Reference, draw: Draw, names: Sequence[str]) -> dict[str, float]:
    """The numbers of some of `experiments.measures.MEASURES` for one draw."""
    found = [measures.MEASURES[name].of(reference, draw) for name in names]
    return {key: value.value for values in found for key, value in values.items()}


def drawer(gan: GAN, reference: Reference, n: int) -> Callable[[GANState, int], Draw]:
    """`(state, seed) -> n samples`, of each label equally many."""
    draw = measures.drawer(gan, reference, n)
    return lambda state, seed: draw(state, jax.random.key(seed))


def real(reference: Reference, n: int, seed: int) -> Draw:
    """n training images as if a generator had drawn them."""
    return reference.real(n, jax.random.key(seed))
