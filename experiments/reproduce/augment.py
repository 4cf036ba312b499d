"""DiffAugment where images are few: 500 of MNIST, with and without it (Zhao et al. 2020, arXiv:2006.10738).

The paper's claim, on data of ours: its own tables are of CIFAR-10, FFHQ and LSUN.
"""

import functools
from collections.abc import Sequence

from experiments.reproduce import images
from experiments.reproduce.seeds import at_once, configured, settings
from experiments.reproduce.table import Budget, Column, Outcome, Row, Table
from gan_jax.lab import Config
from gan_jax.lab.measuring import reference as real_data
from gan_jax.lab.measuring.reference import Reference

_SPEC = "subset:500:mnist"
_SAMPLES = 10_000
_STEPS = 2000
_POLICIES = {"dcgan": "none", "dcgan, augmented": "color+translation+cutout"}


def table(budget: Budget) -> Table:
    """The Frechet distance of `dcgan` after training on 500 images, three seeds with augmentation and three without."""
    full = budget == "full"
    n = _SAMPLES if full else 100
    rows = []
    for name, policy in _POLICIES.items():
        chosen = configured("dcgan", data=_SPEC, augment=policy, steps=_STEPS)
        chosen, seeds = (chosen, range(3)) if full else (images.small(chosen), range(1))
        measure = functools.partial(_measure, chosen, n)
        rows.append(Row(name, settings(chosen) | {"data": _SPEC, "n": n}, measure, seeds, at_once()))
    return Table(
        "500 images",
        f"`dcgan` with its defaults, {_STEPS} steps on `--data {_SPEC}`, 256 times each image; `augmented` has "
        f"`--augment color,translation,cutout` too. Median of three seeds, and in brackets the worst. {n} samples "
        "against MNIST's test set, in the features of the project's classifier.",
        {
            "frechet": Column("Frechet distance", 1, "lower"),
            "coverage": Column("coverage", 3, "higher"),
        },
        [],
        rows,
    )


def _measure(chosen: Config, n: int, seeds: Sequence[int]) -> list[Outcome]:
    return images.measured(chosen, _reference(), {"frechet": n, "prdc": n}, seeds)


@functools.cache
def _reference() -> Reference:
    """What was trained on, and all of MNIST's test set."""
    return real_data.load(_SPEC, conditional=False, classifier="mnist")
