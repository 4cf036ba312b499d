"""InfoGAN on MNIST: how often the categorical code tells the digit (Chen et al. 2016, arXiv:1606.03657, section 7.2).

No label is used in training. Q, which reads the codes off an image for the generator's sake, is asked for the code of
every test image, and the ten classes of the code are matched to the ten digits.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import numpy as np

from experiments.reproduce import images
from experiments.reproduce import seeds as seeding
from experiments.reproduce.seeds import configured, settings
from experiments.reproduce.table import Budget, Column, Outcome, Published, Row, Table
from gan_jax.gan import GANState
from gan_jax.lab import Config, Job, sampling

_ROWS = 10


def table(budget: Budget) -> Table:
    """The error of five seeds at the defaults, beside the paper's."""
    n, chosen, seeds = 10_000, configured("infogan"), range(5)
    if budget == "small":
        n, chosen, seeds = 200, images.small(chosen), range(1)
    measure = functools.partial(_measure, chosen, n)
    return Table(
        "InfoGAN on MNIST",
        "Error of the categorical code as a classifier of the 10,000 test images, under the matching of its classes to "
        "digits that makes the fewest errors: the median over seeds, and in brackets the worst. The defaults have a "
        f"quarter of the paper's width. Frechet distance is that of {n} samples of the averaged generator. The "
        "pictures are of the first seed: along every row of a block c1, c2, c3 changes and nothing else, c1 through "
        "its classes, c2 and c3 from -2 to 2.",
        {
            "code_error": Column("error of the code", 4, "lower"),
            "frechet": Column("Frechet distance", 1, "lower"),
        },
        [Published("InfoGAN", "Chen et al. 2016, section 7.2", {"code_error": ".05"})],
        [Row("infogan", settings(chosen) | {"n": n}, measure, seeds, seeding.at_once())],
    )


def _measure(chosen: Config, n: int, seeds: Sequence[int]) -> list[Outcome]:
    reference = dataclasses.replace(images.reference(False), code="c1")
    job = seeding.job_of(chosen, reference.train)
    *_, (states, _) = seeding.train(job, images.examples(reference), seeds)
    draw = images.drawer(job.gan(), reference, n)
    outcomes = []
    for k, seed in enumerate(seeds):
        state = seeding.member(states, k)
        found = images.numbers(reference, draw(state, seed), ["code", "frechet"])
        outcomes.append(Outcome(found, picture=_walks(job, state, seed)))
    return outcomes


def _walks(job: Job, state: GANState, seed: int) -> np.ndarray:
    """A block for each code, side by side, as the paper's figure 2 has them."""
    gan = job.gan()
    generate, blocks = sampling.generator_of(gan), []
    for name in sampling.codes_of(gan):
        z, y, columns = sampling.walk(job, gan, name, jax.random.key(seed), _ROWS)
        blocks.append(sampling.picture(generate(state, z, y), columns=columns))
    return np.concatenate(blocks, axis=1)
