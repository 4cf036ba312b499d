"""What the tables of images share: the real data, GANs by their options, and one seed's numbers."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from experiments import measures
from experiments.measures import Draw, Reference
from experiments.reproduce import members
from experiments.reproduce.members import Stage
from experiments.reproduce.study import Outcome
from gan_jax import data, recipes
from gan_jax.gan import GAN, GANState
from gan_jax.metrics import features
from gan_jax.population import Make
from gan_jax.training import Examples

# (the GAN, a state of it, what it drew) -> which of that is measured.
Choose = Callable[[GAN, GANState, Draw], Draw]


@functools.cache
def reference(conditional: bool, name: str = "mnist") -> Reference:
    """MNIST, or three digits of it stacked, with MNIST's classifier."""
    return Reference(data.load(name), data.load(name, "test"), features.load("mnist"), conditional)


def examples(reference: Reference) -> Examples:
    """The training set on the device."""
    return jax.tree.map(jnp.asarray, Examples(reference.train.x, reference.train.labels))


def maker(recipe: str, reference: Reference, options: Mapping[str, Any]) -> Make:
    """A stage's numbers to the GAN of these options."""
    shape, num_classes = reference.train.shape, reference.train.num_classes
    return lambda numbers: getattr(recipes, recipe)(shape, num_classes, **{**options, **numbers})


def measured(
    make: Make,
    stages: Sequence[Stage],
    steps: int,
    batch_size: int,
    reference: Reference,
    n: int,
    names: Sequence[str],
    seeds: Sequence[int],
    choose: Choose = lambda gan, state, draw: draw,
) -> list[Outcome]:
    """Trains the seeds, see `members.train`, and measures n samples of each."""
    *_, (states, _) = members.train(make, stages, steps, batch_size, examples(reference), seeds)
    gan: GAN = make({name: jnp.asarray(number) for name, number in stages[-1].items()})
    draw = drawer(gan, reference, n)
    outcomes = []
    for k, seed in enumerate(seeds):
        state = members.member(states, k)
        outcomes.append(Outcome(numbers(reference, choose(gan, state, draw(state, seed)), names)))
    return outcomes


def measured_real(reference: Reference, n: int, names: Sequence[str], seeds: Sequence[int]) -> list[Outcome]:
    """Measures n training images as if a generator had drawn them."""
    return [Outcome(numbers(reference, reference.real(n, jax.random.key(seed)), names)) for seed in seeds]


def numbers(reference: Reference, draw: Draw, names: Sequence[str]) -> dict[str, float]:
    """The numbers of some of `experiments.measures.MEASURES` for one draw."""
    found = [measures.MEASURES[name].of(reference, draw) for name in names]
    return {key: value.value for values in found for key, value in values.items()}


def drawer(gan: GAN, reference: Reference, n: int) -> Callable[[GANState, int], Draw]:
    """`(state, seed) -> n samples`, of each label equally many."""
    draw = measures.drawer(gan, reference, n)
    return lambda state, seed: draw(state, jax.random.key(seed))
