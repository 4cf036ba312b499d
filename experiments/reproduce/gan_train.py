"""GAN-train and GAN-test of one conditional model of MNIST (Lesort et al. 2018, arXiv:1806.11382, who say fitting
capacity).

A classifier learns from generated images alone and reads the real test set (GAN-train); one of real images reads
generated ones (GAN-test). Classifier and length of its training are ours (`experiments.measures`), so the row of real
images is the ceiling, not theirs.
"""

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class _Setting:
    """One row's recipe, its options, its learning rates stage by stage, and the seeds of the full table."""

    recipe: str
    options: Mapping[str, Any]
    rates: Sequence[float]
    seeds: Sequence[int]


_BATCH = 64
_SETTINGS = {
    "cdcgan": _Setting("cdcgan", {"b1": 0.5, "width": 32, "ema": 0.995}, [4e-4, 2e-4, 5e-5], range(3)),
    "sngan, projection": _Setting(
        "sngan",
        {"b1": 0.5, "width": 32, "ema": 0.995, "n_critic": 1, "conditional": True},
        [4e-4, 4e-4, 2e-4, 2e-4, 5e-5],
        range(5),
    ),
}


def table(budget: Budget) -> Table:
    """GAN-train beside GAN-test, recall and coverage."""
    n = 50_000 if budget == "full" else 200
    rows = [Row("real images", {"n": n}, functools.partial(_measure_real, n), range(3 if budget == "full" else 1), 1)]
    for name, setting in _SETTINGS.items():
        steps = 1300
        if budget == "small":
            options = {**setting.options, "width": 4}
            steps, setting = 2, dataclasses.replace(setting, options=options, rates=setting.rates[:1], seeds=range(1))
        stages = [{"lr": rate} for rate in setting.rates]
        says = {**setting.options, "stages": stages, "steps": steps, "batch_size": _BATCH, "n": n}
        make = functools.partial(_gan, setting)
        measure = functools.partial(_measure, make, stages, steps, n)
        rows.append(Row(name, says, measure, setting.seeds, members.at_once()))
    return Table(
        "GAN-train on MNIST",
        f"A classifier trained on {n} generated images, equally many a class, and read on the 10,000 real test images "
        "(GAN-train), beside the share of generated images that a classifier of real ones reads as the class asked for "
        "(GAN-test), and recall, coverage and Frechet distance of the features of that classifier. The learning rate "
        "falls in stages, which matters: 3,000 steps of `cdcgan` at 2e-4 leave a Frechet distance of 30, half of them "
        "at 4e-4 and half at 2e-4 one of 15. Samples are those of the averaged generator.",
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
        rows,
    )


def _gan(setting: _Setting, numbers: Numbers) -> GAN:
    return getattr(recipes, setting.recipe)(_SHAPE, _CLASSES, **{**setting.options, **numbers})


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
