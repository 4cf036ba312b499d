"""Measuring a job's samples: the real data it is compared with, which measures fit, and how samples are drawn."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.lab import sampling
from gan_jax.lab.job import Job
from gan_jax.lab.measuring import reference as real_data
from gan_jax.lab.measuring.measures import MEASURES, Bounds, Value, fitting
from gan_jax.lab.measuring.reference import Draw, Reference


def reference_of(job: Job, gan: GAN, classifier: str | None = None) -> Reference:
    """The real data of a job, and the classifier of that name or file; by default the one trained on this very data.

    Raises:
      InputError: the data has changed or can't be read, the classifier is not one, or samples contain real data.
    """
    if gan.conditioning.kind == "data":
        raise InputError(
            f"samples of {job.config.name} contain a part of a real image, so they can't be compared with real images: "
            "choose a run of a different experiment"
        )
    found = real_data.load(job.spec, conditional=gan.conditioning.kind == "labels", classifier=classifier)
    job.check_data(found.train)
    return found


def usual_count(reference: Reference) -> int:
    """How many samples papers measure of such data."""
    return 2500 if not reference.test.is_image else 26_000 if reference.test.name == "stacked" else 10_000


def check_fitting(job: Job, reference: Reference, chosen: Sequence[str]) -> None:
    """Raises InputError unless all the chosen measures, at least one, fit the job."""
    spec, name = job.options["data"], job.config.name
    makes = f"the command classifier makes the one that evaluate --classifier takes: classifier {spec} --out FILE.npz"
    hint = f"; {makes}" if reference.test.is_image else ""
    if not chosen:
        raise InputError(f"no metric fits {name} on {spec}{hint}")
    unfit = [measure for measure in chosen if not MEASURES[measure].fits(reference)]
    if unfit:
        raise InputError(f"{unfit[0]} does not fit {name} on {spec}, which has {', '.join(fitting(reference))}{hint}")


def sample_drawer(gan: GAN, reference: Reference, n: int) -> Callable[[GANState, Array], Draw]:
    """`(state, rng) -> n samples`, equally many of each label."""
    generate = sampling.generator_of(gan)

    def draw(state: GANState, rng: Array) -> Draw:
        z_rng, y_rng, measure_rng = jax.random.split(rng, 3)
        labels = None
        if reference.conditional:
            labels = jax.random.permutation(y_rng, jnp.arange(n, dtype=jnp.int32) % reference.test.num_classes)
        x = generate(state, gan.prior(z_rng, n), labels)
        return Draw(x, None if labels is None else np.asarray(labels), measure_rng)

    return draw


def summary(values: Sequence[Value], bounds: Bounds) -> dict[str, Any]:
    """Value, spread (over several sets, or the metric's own error) and of what it is, floor, ceiling, all values."""
    numbers = [value.value for value in values]
    several = len(numbers) > 1
    spread = float(np.std(numbers, ddof=1)) if several else values[0].error
    return {
        "value": finite(float(np.mean(numbers))),
        "spread": finite(spread),
        "spread_of": f"{len(numbers)} sets" if several else "standard error",
        "floor": bounds.floor,
        "ceiling": bounds.ceiling,
        "values": [finite(number) for number in numbers],
    }


def finite(number: float | None) -> float | None:
    """None for what JSON has no word for."""
    return None if number is None or not math.isfinite(number) else number
