"""Stacked MNIST: which of the thousand triples of digits samples show (Lin et al. 2018, arXiv:1712.04086, section 4.2).

26,000 samples, each channel read by the project's MNIST classifier, KL(p || uniform) of the histogram of triples. One
setting that two cores can train.
"""

import functools
from collections.abc import Sequence
from typing import Any

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
_SETTINGS = {"b1": 0.5, "width": 32, "latent": 128, "ema": 0.995}
_STAGES: list[Stage] = [{"lr": 4e-4}, {"lr": 4e-4}, {"lr": 2e-4}]
_STEPS, _BATCH, _SAMPLES = 1500, 64, 26_000
_SOURCE = "Lin et al. 2018, table 2"


def table(budget: Budget) -> Table:
    """Modes and KL of `dcgan`, narrow, and of real images."""
    full = budget == "full"
    n, steps, width = (_SAMPLES, _STEPS, _SETTINGS["width"]) if full else (100, 2, 4)
    settings, stages = _SETTINGS | {"width": width}, _STAGES if full else _STAGES[:1]
    says = {**settings, "stages": stages, "steps": steps, "batch_size": _BATCH, "n": n}
    measure = functools.partial(_measure, functools.partial(_gan, settings), stages, steps, n)
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
        [
            Row("real images", {"n": n}, functools.partial(_measure_real, n), range(1), 1),
            Row("dcgan", says, measure, range(2 if full else 1), members.at_once()),
        ],
    )


def _gan(settings: dict[str, Any], numbers: Numbers) -> GAN:
    return recipes.dcgan(_SHAPE, **{**settings, **numbers})


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
