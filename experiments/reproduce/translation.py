"""pix2pix (Isola et al. 2017, arXiv:1611.07004, section 4.1, figure 4): what L1, the GAN, and both make of a picture.

L1 alone is the recipe with `--l1 1e6`, whose adversarial part Adam does not see; the GAN alone has `--l1 0`.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from experiments.reproduce import images
from experiments.reproduce import seeds as seeding
from experiments.reproduce.table import Budget, Column, Outcome, Row, Table
from gan_jax.lab import Config, sampling
from gan_jax.lab.measuring import translations
from gan_jax.lab.measuring.measures import MEASURES

_SAMPLES, _SHOWN = 10_000, 8
_ALONE = {"L1 alone": 1e6, "GAN alone": 0.0, "L1 + GAN": 100.0}
_COMPARED = [("mnist", "low_resolution:4"), ("shapes:32", "grey"), ("mnist", "low_resolution:7")]
_OTHERS = [
    ("mnist", "masked"), ("mnist", "upper_half"), ("stacked", "grey"), ("shapes:32", "blurred:2"),
    ("robots:32", "outline"),
]  # fmt: skip


def table(budget: Budget) -> Table:
    """Three losses for coarse digits and grey shapes, and the recipe's own for every other condition."""
    full = budget == "full"
    settings = [
        (f"{condition}, {spec}, {loss}", spec, seeding.configured("translation", condition=condition, l1=l1))
        for spec, condition in _COMPARED
        for loss, l1 in _ALONE.items()
    ]
    settings += [
        (f"{condition}, {spec}", spec, seeding.configured("translation", condition=condition))
        for spec, condition in _OTHERS
    ]
    rows = []
    for name, spec, chosen in settings:
        chosen, n = (chosen, _SAMPLES) if full else (images.small(chosen), 100)
        measure = functools.partial(_measure, chosen, spec, n)
        rows.append(Row(name, seeding.settings(chosen) | {"data": spec, "n": n}, measure, range(1), seeding.at_once()))
    return Table(
        "Images from pictures",
        "Every image of the test set (10,000 at most) is made once by the averaged generator, with dropout, from what "
        "is given of it, and compared with it: L1 in [0, 1], PSNR in decibels, SSIM. PSNR's floor is the better of two "
        "answers without learning: the mean training image, and the picture itself (enlarged bicubically, grey, "
        "blurred, or with the mean image where it says nothing). The effect of noise is the mean absolute difference, "
        "in [0, 1], of two images made from one picture with other z and other dropout. One seed of each. L1 alone is "
        "`--l1 1e6`, the GAN alone `--l1 0`; the recipe's own weight is 100, as the paper's.",
        {
            "psnr": Column("PSNR", 2),
            "floor": Column("its floor", 2),
            "l1": Column("L1", 4),
            "ssim": Column("SSIM", 3),
            "frechet": Column("Frechet distance", 3),
            "z_effect": Column("effect of noise", 4),
        },
        [],
        rows,
    )


def _measure(chosen: Config, spec: str, n: int, seeds: Sequence[int]) -> list[Outcome]:
    real = images.reference(False, spec)
    job = seeding.job_of(chosen, real.train)
    gan = job.gan()
    view = gan.conditioning.view
    assert view is not None
    reference = dataclasses.replace(real, view=view)
    names = ["pairs", *(["frechet"] if MEASURES["frechet"].fits(reference) else [])]
    *_, (states, _) = seeding.train(job, images.examples(reference), seeds)
    draw, generate = images.drawer(gan, reference, n), sampling.generator_of(gan)
    floor = translations.best_answer(reference, n).psnr
    shown = np.arange(min(_SHOWN, len(reference.test)))
    y = sampling.conditions(gan, reference.test, shown, jax.random.key(0))
    outcomes = []
    for k, seed in enumerate(seeds):
        state = seeding.member(states, k)
        numbers = images.numbers(reference, draw(state, seed), names) | {"floor": floor}
        made = generate(state, gan.prior(jax.random.key(0), len(shown)), jnp.asarray(y))
        given = sampling.given_pictures(view, y, job.shape[-1])
        picture = sampling.picture(np.concatenate([given, made, reference.test.x[shown]]), columns=len(shown))
        outcomes.append(Outcome(numbers, picture=picture))
    return outcomes
