"""Shared by the tables of images: the real data, and one seed's numbers."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from experiments.reproduce import seeds as seeding
from experiments.reproduce.table import Outcome
from gan_jax import rejection
from gan_jax.compiling import jit_training
from gan_jax.gan import GAN, GANState
from gan_jax.lab import Config
from gan_jax.lab.measuring import evaluation
from gan_jax.lab.measuring import reference as real_data
from gan_jax.lab.measuring.measures import MEASURES
from gan_jax.lab.measuring.reference import Draw, Reference
from gan_jax.lab.values import Scheduled
from gan_jax.nets import dcgan, heads
from gan_jax.pieces import map_in_pieces
from gan_jax.training import Examples

RATIO_STEPS = 2000

Counts = Mapping[str, int]
"""How many samples each of some of `gan_jax.lab.measuring.measures.MEASURES` is given."""

_RATIO_BATCH, _RATIO_WIDTH, _RATIO_FEATURES = 64, 32, 128
_SPARE = 1.05


def small(chosen: Config) -> Config:
    """The same with two steps of a narrow net, for a quick check."""
    lr = chosen.options["lr"]
    return chosen.replace(width=4, steps=2, lr=lr.values[0] if isinstance(lr, Scheduled) else lr)


@functools.cache
def reference(conditional: bool, name: str = "mnist") -> Reference:
    """MNIST, or three digits of it stacked, with MNIST's classifier."""
    return real_data.load(name, conditional=conditional)


def examples(reference: Reference) -> Examples:
    """The training set on the device."""
    return jax.tree.map(jnp.asarray, reference.train.examples)


def measured(
    chosen: Config, reference: Reference, counts: Counts, seeds: Sequence[int], accepted: float = 1.0
) -> list[Outcome]:
    """Trains the seeds and measures samples of each; with `accepted` < 1 only that share, by `gan_jax.rejection`."""
    job = seeding.job_of(chosen, reference.train)
    *_, (states, _) = seeding.train(job, examples(reference), seeds)
    gan = job.gan()

    def samples(state: GANState, seed: int, n: int) -> Draw:
        if accepted == 1:
            return drawer(gan, reference, n)(state, seed)
        drawn = drawer(gan, reference, round(_SPARE * n / accepted))(state, seed)
        return _accepted(gan, state, reference, drawn, accepted, n)

    return [
        Outcome(_numbers(reference, functools.partial(samples, seeding.member(states, k), seed), counts))
        for k, seed in enumerate(seeds)
    ]


def measured_real(reference: Reference, counts: Counts, seeds: Sequence[int]) -> list[Outcome]:
    """Measures training images as if a generator had drawn them."""

    def samples(seed: int, n: int) -> Draw:
        return reference.real(n, jax.random.key(seed))

    return [Outcome(_numbers(reference, functools.partial(samples, seed), counts)) for seed in seeds]


def _accepted(gan: GAN, state: GANState, reference: Reference, draw: Draw, share: float, n: int) -> Draw:
    """The first n accepted samples, where the given share of each label's samples is accepted."""
    head = heads.Projection(reference.train.num_classes) if reference.conditional else heads.Logit()
    net = dcgan.Discriminator(heads.Hidden(_RATIO_FEATURES, head), (_RATIO_WIDTH, 2 * _RATIO_WIDTH))
    train = jit_training(rejection.train_ratio)
    log_ratio = jax.jit(rejection.log_ratio, static_argnums=(0, 2))
    train_rng, accept_rng, rng = jax.random.split(draw.rng, 3)
    real = examples(reference)
    params, _ = train(net, gan, state, real, train_rng, steps=RATIO_STEPS, batch_size=_RATIO_BATCH)
    labels = np.zeros(len(draw.x), np.int32) if draw.labels is None else draw.labels
    log_ratios = map_in_pieces(lambda piece: log_ratio(net, params, gan, piece), Examples(draw.x, labels), size=1000)
    p = np.empty(len(labels), np.float32)
    for label in np.unique(labels):
        p[labels == label] = rejection.acceptance(jnp.asarray(log_ratios[labels == label]), share)
    accepted = np.flatnonzero(np.asarray(jax.random.uniform(accept_rng, p.shape)) < p)[:n]
    return Draw(draw.x[accepted], None if draw.labels is None else draw.labels[accepted], rng)


def numbers(reference: Reference, draw: Draw, names: Iterable[str]) -> dict[str, float]:
    """The numbers of some of `MEASURES` for one draw."""
    found = [MEASURES[name].of(reference, draw) for name in names]
    return {key: value.value for values in found for key, value in values.items()}


def _numbers(reference: Reference, draw: Callable[[int], Draw], counts: Counts) -> dict[str, float]:
    """As `numbers`, with one draw for every count."""
    found: dict[str, float] = {}
    for n in sorted(set(counts.values())):
        found |= numbers(reference, draw(n), [name for name, count in counts.items() if count == n])
    return found


def drawer(gan: GAN, reference: Reference, n: int) -> Callable[[GANState, int], Draw]:
    """`(state, seed) -> n samples`, equally many of each label."""
    draw = evaluation.sample_drawer(gan, reference, n)
    return lambda state, seed: draw(state, jax.random.key(seed))
