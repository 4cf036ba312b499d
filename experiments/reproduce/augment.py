"""DiffAugment where images are few: 500 of MNIST, with and without it (Zhao et al. 2020, arXiv:2006.10738).

The paper's claim, on data of ours: its own tables are of CIFAR-10, FFHQ and LSUN.
"""

import functools
from collections.abc import Sequence

from experiments.reproduce import images
from experiments.reproduce import seeds as seeding
from experiments.reproduce.seeds import at_once, configured, settings
from experiments.reproduce.table import Budget, Column, Outcome, Row, Table
from gan_jax.lab import Config
from gan_jax.lab.measuring import reference as real_data
from gan_jax.lab.measuring.reference import Reference

_SPEC = "subset:500:mnist"
_SAMPLES = 10_000
_EVERY, _STOPS = 2000, (2000, 4000, 8000)
_POLICIES = {
    "none": ("none", _STOPS),
    "translation": ("translation", _STOPS),
    "color, translation, cutout": ("color+translation+cutout", _STOPS[:1]),
}
"""By row what augments the images, and the steps at which samples are measured."""


def table(budget: Budget) -> Table:
    """The Frechet distance of `dcgan` while it trains on 500 images, by what augments them, three seeds each."""
    full = budget == "full"
    n, every = (_SAMPLES, _EVERY) if full else (100, 1)
    rows = []
    for name, (policy, of_row) in _POLICIES.items():
        chosen = configured("dcgan", data=_SPEC, augment=policy, steps=of_row[-1])
        chosen, stops, seeds = (chosen, of_row, range(3)) if full else (images.small(chosen), (1, 2, 2), range(1))
        measure = functools.partial(_measure, chosen, every, stops, n)
        record = settings(chosen) | {"data": _SPEC, "n": n, "stops": list(stops)}
        rows.append(Row(name, record, measure, seeds, at_once()))
    return Table(
        "500 images",
        f"`dcgan` with its defaults on `--data {_SPEC}`, of which {_STOPS[-1]:,} steps see each image "
        f"{_STOPS[-1] * 64 // 500:,} times; rows have their names as `--augment`. Median of three seeds, in brackets "
        f"the worst. {n:,} samples against MNIST's test set, in the features of the project's classifier. "
        "The last row was trained for 2,000 steps only.",
        {
            **{
                f"frechet_{k}": Column(f"Frechet distance, {stop:,} steps", 1, "lower") for k, stop in enumerate(_STOPS)
            },
            **{f"coverage_{k}": Column(f"coverage, {stop:,} steps", 3, "higher") for k, stop in enumerate(_STOPS)},
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
