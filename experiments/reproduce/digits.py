"""What the tables of images share: the real data, GANs by their options, and one seed's numbers."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import configs, measures
from experiments.measures import Draw, Reference
from experiments.reproduce import members
from experiments.reproduce.study import Outcome
from gan_jax import data, recipes, rejection, training
from gan_jax.gan import GAN, GANState
from gan_jax.metrics import features
from gan_jax.nets import dcgan, heads
from gan_jax.population import Make
from gan_jax.training import Examples

RATIO_STEPS = 2000

Counts = Mapping[str, int]
"""How many samples each of some of `experiments.measures.MEASURES` is given."""

_RATIO_BATCH, _RATIO_WIDTH, _RATIO_FEATURES = 64, 32, 128
_PIECE = 1000
_SPARE = 1.05


class Plan(NamedTuple):
    """What decides a trained GAN but for its seed.

    Attributes:
      recipe, options: of the GAN, without its learning rate.
      rates: the learning rate of every stage.
      steps: of each stage.
      batch_size: examples of a minibatch.
    """

    recipe: str
    options: tuple[tuple[str, Any], ...]
    rates: tuple[float, ...]
    steps: int
    batch_size: int

    @property
    def says(self) -> dict[str, Any]:
        """The plan as a table's record holds it."""
        stages = [{"lr": rate} for rate in self.rates]
        length = {"stages": stages, "steps": self.steps, "batch_size": self.batch_size}
        return {"recipe": self.recipe, **dict(self.options), **length}

    @property
    def small(self) -> "Plan":
        """Two steps of a narrow net, to see that it works."""
        return self._replace(options=(*self.options, ("width", 4)), rates=self.rates[:1], steps=2)


def default_plan(name: str) -> Plan:
    """That of `python -m experiments.run NAME`."""
    defaults = configs.EXPERIMENTS[name].defaults
    options = tuple((key, defaults[key]) for key in ("b1", "width", "latent", "ema"))
    return Plan(name, options, (defaults["lr"],), defaults["steps"], defaults["batch_size"])


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
    plan: Plan, reference: Reference, counts: Counts, seeds: Sequence[int], accepted: float = 1.0
) -> list[Outcome]:
    """Trains the seeds and measures samples of each: of as many more, those that `gan_jax.rejection` accepts."""
    make, stages = maker(plan.recipe, reference, dict(plan.options)), [{"lr": rate} for rate in plan.rates]
    *_, (states, _) = members.train(make, stages, plan.steps, plan.batch_size, examples(reference), seeds)
    gan: GAN = make({"lr": jnp.float32(plan.rates[-1])})

    def samples(state: GANState, seed: int, n: int) -> Draw:
        if accepted == 1:
            return drawer(gan, reference, n)(state, seed)
        drawn = drawer(gan, reference, round(_SPARE * n / accepted))(state, seed)
        return _accepted(gan, state, reference, drawn, accepted, n)

    return [
        Outcome(_numbers(reference, functools.partial(samples, members.member(states, k), seed), counts))
        for k, seed in enumerate(seeds)
    ]


def measured_real(reference: Reference, counts: Counts, seeds: Sequence[int]) -> list[Outcome]:
    """Measures training images as if a generator had drawn them."""

    def samples(seed: int, n: int) -> Draw:
        return reference.real(n, jax.random.key(seed))

    return [Outcome(_numbers(reference, functools.partial(samples, seed), counts)) for seed in seeds]


def _accepted(gan: GAN, state: GANState, reference: Reference, draw: Draw, share: float, n: int) -> Draw:
    """The first n of the samples that are accepted, that share of each label's."""
    head = heads.Projection(reference.train.num_classes) if reference.conditional else heads.Logit()
    net = dcgan.Discriminator(heads.Hidden(_RATIO_FEATURES, head), _RATIO_WIDTH)
    train = jax.jit(rejection.train, static_argnums=(0, 1, 5, 6), compiler_options=training.compiler_options())
    log_ratio = jax.jit(rejection.log_ratio, static_argnums=(0, 2))
    train_rng, accept_rng, rng = jax.random.split(draw.rng, 3)
    params, _ = train(net, gan, state, examples(reference), train_rng, RATIO_STEPS, _RATIO_BATCH)
    labels = np.zeros(len(draw.x), np.int32) if draw.labels is None else draw.labels
    pieces = [slice(start, start + _PIECE) for start in range(0, len(labels), _PIECE)]
    log_ratios = np.concatenate([log_ratio(net, params, gan, Examples(draw.x[i], labels[i])) for i in pieces])
    p = np.empty(len(labels), np.float32)
    for label in np.unique(labels):
        p[labels == label] = rejection.acceptance(jnp.asarray(log_ratios[labels == label]), share)
    accepted = np.flatnonzero(np.asarray(jax.random.uniform(accept_rng, p.shape)) < p)[:n]
    return Draw(draw.x[accepted], None if draw.labels is None else draw.labels[accepted], rng)


def numbers(reference: Reference, draw: Draw, names: Iterable[str]) -> dict[str, float]:
    """The numbers of some of `experiments.measures.MEASURES` for one draw."""
    found = [measures.MEASURES[name].of(reference, draw) for name in names]
    return {key: value.value for values in found for key, value in values.items()}


def _numbers(reference: Reference, draw: Callable[[int], Draw], counts: Counts) -> dict[str, float]:
    """As `numbers`, with one draw for every count."""
    found: dict[str, float] = {}
    for n in sorted(set(counts.values())):
        found |= numbers(reference, draw(n), [name for name, count in counts.items() if count == n])
    return found


def drawer(gan: GAN, reference: Reference, n: int) -> Callable[[GANState, int], Draw]:
    """`(state, seed) -> n samples`, of each label equally many."""
    draw = measures.drawer(gan, reference, n)
    return lambda state, seed: draw(state, jax.random.key(seed))
