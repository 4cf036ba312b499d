"""GAN-train and GAN-test of one conditional model of MNIST (Lesort et al. 2018, arXiv:1806.11382, who say fitting
capacity).

A classifier learns from generated images alone and reads the real test set (GAN-train); one of real images reads
generated ones (GAN-test). Classifier and length of its training are ours (`experiments.measures`), so the row of real
images is the ceiling, not theirs.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.reproduce import digits, members
from experiments.reproduce.members import Stage
from experiments.reproduce.study import Budget, Column, Outcome, Published, Row, Table
from gan_jax import recipes
from gan_jax.gan import GAN
from gan_jax.population import Numbers

_SHAPE, _CLASSES = (28, 28, 1), 10
_SOURCE = "Lesort et al. 2018, logs"
_MEASURES = ("gan_train", "gan_test", "frechet", "prdc")


def table(budget: Budget) -> Table:
    """GAN-train beside GAN-test, recall and coverage."""
    full = budget == "full"
    n, seeds, steps = (20_000, range(6), 1500) if full else (200, range(1), 2)
    real = Row("real images", {"n": n}, functools.partial(_measure_real, n), seeds[:3], 1)
    return Table(
        "GAN-train on MNIST",
        f"A classifier trained on {n} generated images, equally many a class, and read on the 10,000 real test images "
        "(GAN-train), beside the share of generated images that a classifier of real ones reads as the class asked for "
        "(GAN-test), and recall, coverage and Frechet distance of the features of that classifier. The learning rate "
        "falls in stages; samples are those of the averaged generator.",
        {
            "gan_train": Column("GAN-train", 4),
            "gan_test": Column("GAN-test", 4),
            "recall": Column("recall", 3),
            "coverage": Column("coverage", 3),
            "frechet": Column("Frechet distance", 1),
        },
        [
            Published("real images, their classifier", _SOURCE, {"gan_train": ".9781"}),
            Published("conditional GAN, 8 seeds", _SOURCE, {"gan_train": ".9559 ± .0054, best .9645"}),
            Published("WGAN, one for each class", _SOURCE, {"gan_train": ".9425, best .9737"}),
        ],
        [real, *(_row(name, n, seeds, steps, full) for name in _SETTINGS)],
    )


_SETTINGS: dict[str, dict[str, Any]] = {
    "cdcgan": {"b1": 0.5, "width": 32, "ema": 0.995},
}
_STAGES = [{"lr": 4e-4}, {"lr": 4e-4}, {"lr": 2e-4}, {"lr": 5e-5}]
_BATCH = 64


def _row(name: str, n: int, seeds: Sequence[int], steps: int, full: bool) -> Row:
    settings = _SETTINGS[name] if full else _SETTINGS[name] | {"width": 4}
    stages = _STAGES if full else _STAGES[:1]
    says = {**settings, "stages": stages, "steps": steps, "batch_size": _BATCH, "n": n}
    make = functools.partial(_gan, name, settings)
    return Row(name, says, functools.partial(_measure, make, stages, steps, n), seeds, members.at_once())


def _gan(name: str, settings: Mapping[str, Any], numbers: Numbers) -> GAN:
    return getattr(recipes, name)(_SHAPE, _CLASSES, **{**settings, **numbers})


def _measure(make: Any, stages: Sequence[Stage], steps: int, n: int, seeds: Sequence[int]) -> list[Outcome]:
    reference = digits.reference(True)
    *_, (states, _) = members.train(make, stages, steps, _BATCH, digits.examples(), seeds)
    draw = digits.drawer(make(stages[-1]), reference, n)
    return [
        Outcome(digits.numbers(reference, draw(members.member(states, k), seed), _MEASURES))
        for k, seed in enumerate(seeds)
    ]


def _measure_real(n: int, seeds: Sequence[int]) -> list[Outcome]:
    reference = digits.reference(True)
    return [Outcome(digits.numbers(reference, digits.real(reference, n, seed), _MEASURES)) for seed in seeds]
