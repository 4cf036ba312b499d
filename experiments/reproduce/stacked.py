"""Stacked MNIST: which of the thousand triples of digits samples show (Lin et al. 2018, arXiv:1712.04086, section 4.2).

26,000 samples, each channel read by the project's MNIST classifier, KL(p || uniform) of the histogram of triples.
Settings that two cores can train.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from experiments.measures import Reference
from experiments.reproduce import digits, members
from experiments.reproduce.members import Stage
from experiments.reproduce.study import Budget, Column, Outcome, Published, Row, Table
from gan_jax import data, recipes
from gan_jax.gan import GAN
from gan_jax.metrics import features
from gan_jax.population import Numbers
from gan_jax.training import Examples

_SHAPE = (28, 28, 3)
_SOURCE = "Lin et al. 2018, table 2"
_SAMPLES, _STEPS, _BATCH = 26_000, 1300, 64
_COMMON = {"b1": 0.5, "width": 32, "latent": 128, "ema": 0.995}


class _Setting(NamedTuple):
    """One row's recipe, its options, and its learning rates stage by stage."""

    recipe: str
    options: Mapping[str, Any]
    rates: Sequence[float]


_SETTINGS = {
    "sngan": _Setting("sngan", _COMMON | {"n_critic": 1}, [4e-4, 4e-4, 2e-4, 2e-4, 5e-5]),
    "dcgan": _Setting("dcgan", _COMMON, [4e-4, 2e-4, 5e-5]),
}


def table(budget: Budget) -> Table:
    """Modes and KL of two narrow convolutional GANs, and of real images."""
    full = budget == "full"
    n, steps, seeds = (_SAMPLES, _STEPS, range(2)) if full else (100, 2, range(1))
    rows = [Row("real images", {"n": n}, functools.partial(_measure_real, n), seeds, 1)]
    for name, setting in _SETTINGS.items():
        if not full:
            setting = setting._replace(options={**setting.options, "width": 4}, rates=setting.rates[:1])
        stages = [{"lr": rate} for rate in setting.rates]
        says = {**setting.options, "stages": stages, "steps": steps, "batch_size": _BATCH, "n": n}
        measure = functools.partial(_measure, functools.partial(_gan, setting), stages, steps, n)
        rows.append(Row(name, says, measure, seeds, members.at_once()))
    return Table(
        "Stacked MNIST",
        f"{n} samples of the averaged generator, each colour read by the project's MNIST classifier. The published "
        "nets are wider and were trained on GPUs; KL of as many fair draws of 1000 classes is .0195 at best.",
        {"modes": Column("modes", 1), "kl": Column("KL", 3)},
        [
            Published("DCGAN", _SOURCE, {"modes": "99", "kl": "3.40"}),
            Published("Unrolled GAN", _SOURCE, {"modes": "48.7", "kl": "4.32"}),
            Published("VEEGAN", _SOURCE, {"modes": "150", "kl": "2.95"}),
            Published("PacDCGAN2", _SOURCE, {"modes": "1000", "kl": ".06 ± .003"}),
        ],
        rows,
    )


def _gan(setting: _Setting, numbers: Numbers) -> GAN:
    return getattr(recipes, setting.recipe)(_SHAPE, **{**setting.options, **numbers})


@functools.cache
def _reference() -> Reference:
    return Reference(data.load("stacked"), data.load("stacked", "test"), features.load("mnist"), False)


def _measure(make: Any, stages: Sequence[Stage], steps: int, n: int, seeds: Sequence[int]) -> list[Outcome]:
    reference = _reference()
    examples = Examples(jnp.asarray(reference.train.x))
    *_, (states, _) = members.train(make, stages, steps, _BATCH, examples, seeds)
    draw = digits.drawer(make(stages[-1]), reference, n)
    return [
        Outcome(digits.numbers(reference, draw(members.member(states, k), seed), ["stacked"]))
        for k, seed in enumerate(seeds)
    ]


def _measure_real(n: int, seeds: Sequence[int]) -> list[Outcome]:
    reference = _reference()
    return [Outcome(digits.numbers(reference, digits.real(reference, n, seed), ["stacked"])) for seed in seeds]
