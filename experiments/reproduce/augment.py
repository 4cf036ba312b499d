"""DiffAugment where images are few: 500 of MNIST, with and without it (Zhao et al. 2020, arXiv:2006.10738).

The paper's claim, on data of ours: its own tables are of CIFAR-10, FFHQ and LSUN.
"""

import functools
from collections.abc import Sequence

from experiments.reproduce import images
from experiments.reproduce import seeds as seeding
from experiments.reproduce.seeds import at_once, configured, settings
from experiments.reproduce.table import Better, Budget, Column, Outcome, Row, Table
from gan_jax.lab import Config
from gan_jax.lab.measuring import reference as real_data
from gan_jax.lab.measuring.reference import Reference

_SPEC = "subset:500:mnist"
_SAMPLES = 10_000
_PARTS = (4, 2, 1)
_STEPS = {"gan": 20_000, "dcgan": 8000}
_POLICIES = {"none": "none", "translation": "translation", "all three": "color+translation+cutout"}
_NUMBERS: Sequence[tuple[str, str, int, Better]] = (
    ("frechet", "Frechet distance", 1, "lower"), ("coverage", "coverage", 3, "higher"),
)  # fmt: skip
_SHORT = "dcgan, all three"
"""The row whose training ended after a quarter of the steps."""


def table(budget: Budget) -> Table:
    """The Frechet distance of `gan` and `dcgan` while they train on 500 images, by what augments these, three seeds."""
    full = budget == "full"
    n = _SAMPLES if full else 100
    rows = []
    for recipe, steps in _STEPS.items():
        for policy, augment in _POLICIES.items():
            name = f"{recipe}, {policy}"
            of_row = [steps // part for part in _PARTS][: 1 if name == _SHORT else None]
            chosen = configured(recipe, data=_SPEC, augment=augment, steps=of_row[-1])
            every, stops, seeds = steps // _PARTS[0], of_row, range(3)
            if not full:
                chosen, every, stops, seeds = images.small(chosen), 1, [1, 2, 2], range(1)
            measure = functools.partial(_measure, chosen, every, stops, n)
            record = settings(chosen) | {"data": _SPEC, "n": n, "stops": stops}
            rows.append(Row(name, record, measure, seeds, at_once()))
    return Table(
        "500 images",
        f"`gan` and `dcgan` with their defaults on `--data {_SPEC}`, for {_STEPS['gan']:,} and {_STEPS['dcgan']:,} "
        f"steps. Rows name `--augment`; all three are color, translation and cutout. Median of three seeds, in "
        f"brackets the worst. {n:,} samples against MNIST's test set, in the features of the project's classifier. "
        f"`{_SHORT}` was trained for a quarter of the steps only.",
        {
            f"{number}_{k}": Column(f"{heading}, {when}", decimals, better)
            for number, heading, decimals, better in _NUMBERS
            for k, when in enumerate(("a quarter of the steps", "half", "all"))
        },
        [],
        rows,
    )


def _measure(chosen: Config, every: int, stops: Sequence[int], n: int, seeds: Sequence[int]) -> list[Outcome]:
    reference = _reference()
    job = seeding.job_of(chosen, reference.train)
    draw = images.drawer(job.gan(), reference, n)
    found: list[dict[str, float]] = [{} for _ in seeds]
    trained = seeding.train(job, images.examples(reference), seeds, every=every)
    for step, (states, _) in enumerate(trained, start=1):
        for at in (at for at, stop in enumerate(stops) if stop == step * every):
            for k, seed in enumerate(seeds):
                numbers = images.numbers(reference, draw(seeding.member(states, k), seed), ["frechet", "prdc"])
                found[k] |= {f"{key}_{at}": numbers[key] for key in ("frechet", "coverage")}
    return [Outcome(numbers) for numbers in found]


@functools.cache
def _reference() -> Reference:
    """What was trained on, and all of MNIST's test set."""
    return real_data.load(_SPEC, conditional=False, classifier="mnist")
