"""Measuring a job's samples: the real data it is compared with, which measures fit, and how samples are drawn."""

import contextlib
import dataclasses
import functools
import shlex
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.lab import sampling, tagging
from gan_jax.lab.job import Job
from gan_jax.lab.measuring import reference as real_data
from gan_jax.lab.measuring.measures import FEWEST, MEASURES, Bounds, Measure, Value, bounds, fitting
from gan_jax.lab.measuring.reference import Draw, Reference
from gan_jax.lab.progress import Progress

_KEPT_BYTES = 2**30
_AGAIN = 1000


def reference_of(
    job: Job,
    gan: GAN,
    classifier: str | None = None,
    *,
    features: str | None = None,
    train: Dataset | None = None,
) -> Reference:
    """The real data of a job, and what is measured with.

    Args:
      job: whose samples are measured.
      gan: the job's.
      classifier: a name or a file; None for the job's, or that of this data.
      features: what was typed as --features; None for the default.
      train: what the job learns from, where it is loaded already.

    Raises:
      InputError: the data has changed or can't be read, the classifier or the features are none or do not take such
        images, or samples contain real data.
    """
    if gan.conditioning.kind == "data" and gan.conditioning.view is None:
        raise InputError(
            f"samples of {job.config.name} contain a part of a real image, so they can't be compared with real images: "
            "choose a run of a different experiment"
        )
    conditional = gan.conditioning.kind == "labels"
    chosen = classifier or job.options["classifier"]
    found = real_data.load(job.spec, conditional=conditional, classifier=chosen, asked=features, train=train)
    job.check_data(found.train)
    categorical = [name for name, classes in sampling.codes_of(gan).items() if classes]
    return dataclasses.replace(found, view=gan.conditioning.view, code=categorical[0] if categorical else None)


def usual_count(reference: Reference) -> int:
    """How many samples papers measure of such data."""
    if reference.test.tags:
        return 10_000
    return 2500 if not reference.test.is_image else 26_000 if reference.test.name == "stacked" else 10_000


def check_fitting(job: Job, reference: Reference, chosen: Sequence[str]) -> None:
    """Raises InputError unless all the chosen measures fit the job; its callers have --classifier and --features."""
    spec, name = job.options["data"], job.config.name
    for measure in chosen:
        if MEASURES[measure].fits(reference):
            continue
        reason = ""
        if measure in ("gan_test", "gan_train") and not reference.conditional:
            reason = "; it needs a GAN that is conditioned on labels"
        elif measure == "tags":
            reason = "; it needs data of tags, such as tags:stacked"
        elif measure == "code":
            reason = "; it needs a GAN with a categorical code, and labelled data"
        elif MEASURES[measure].needs_features or MEASURES[measure].needs_classifier:
            reason = f"; {_missing(reference, spec, MEASURES[measure])}"
        raise InputError(f"{measure} does not fit {name} on {spec}, which has {', '.join(fitting(reference))}{reason}")


def _missing(reference: Reference, spec: str, measure: Measure) -> str:
    """Why what needs features or a classifier does not fit."""
    test = reference.test
    if not test.is_image:
        return "it is made for images"
    if len(test) < FEWEST:
        return f"it needs {FEWEST} test images and there are {len(test)}"
    if measure.needs_features:
        return "the classifier reads the digits one by one: ask for features of all three with --features random"
    if reference.classifier is None:
        return (
            "it needs a classifier: make one with the command classifier "
            f"({shlex.join(['classifier', spec, '--out', 'FILE.npz'])}) and give it with --classifier FILE.npz"
        )
    of = reference.classifier.record
    return (
        f"the classifier reads other classes, those of {of.get('data', 'other data')}: give another with --classifier"
    )


def sample_drawer(gan: GAN, reference: Reference, n: int) -> Callable[[GANState, Array], Draw]:
    """`(state, rng) -> n samples`, equally many of each label that occurs; it raises `sampling.NotFiniteError`.

    Samples that are made from pictures are made from those of the first n test examples, or of all there are. Samples
    that are tags are those that the picture is given, see `gan_jax.lab.tagging`.
    """
    if reference.test.tags:
        return _tagger(gan, reference, n)
    if gan.conditioning.view is not None:
        return _translator(gan, reference, n)
    generate, read = sampling.generator_of(gan, check=True), sampling.reader_of(gan)

    def draw(state: GANState, rng: Array) -> Draw:
        z_rng, y_rng, measure_rng = jax.random.split(rng, 3)
        labels = None
        if reference.conditional:
            assert reference.train.labels is not None
            classes = jnp.asarray(np.unique(reference.train.labels))
            labels = jax.random.permutation(y_rng, classes[jnp.arange(n) % len(classes)])
        y = gan.conditioning.draw(y_rng, n) if gan.conditioning.kind == "codes" else labels
        x = generate(state, gan.prior(z_rng, n), y)
        of_state = None if read is None else functools.partial(read, state)
        return Draw(x, None if labels is None else np.asarray(labels), measure_rng, read=of_state)

    return draw


def _translator(gan: GAN, reference: Reference, n: int) -> Callable[[GANState, Array], Draw]:
    """`(state, rng) -> samples` made from the first n test examples, or all; see `sample_drawer`."""
    test = reference.test
    numbers = np.arange(min(n, len(test)))
    generate = sampling.generator_of(gan, check=True)

    def draw(state: GANState, rng: Array) -> Draw:
        z_rng, y_rng, again_rng, measure_rng = jax.random.split(rng, 4)
        y = sampling.conditions(gan, test, numbers, y_rng)
        few = min(_AGAIN, len(numbers))
        # One place further: dropout's masks are of a place in a piece.
        again = generate(state, gan.prior(again_rng, few), jnp.roll(y[:few], 1, axis=0))
        x = generate(state, gan.prior(z_rng, len(numbers)), y)
        labels = None if test.labels is None else test.labels[numbers]
        return Draw(x, labels, measure_rng, np.roll(again, -1, axis=0))

    return draw


def _tagger(gan: GAN, reference: Reference, n: int) -> Callable[[GANState, Array], Draw]:
    """`(state, rng) -> the tags that the pictures of the first n test examples, or all, are given`."""
    test = reference.test
    numbers, draw_tags = np.arange(min(n, len(test))), tagging.drawer(gan, check=True)

    def draw(state: GANState, rng: Array) -> Draw:
        z_rng, y_rng, measure_rng = jax.random.split(rng, 3)
        return Draw(draw_tags(state, sampling.conditions(gan, test, numbers, y_rng), z_rng), None, measure_rng)

    return draw


@dataclasses.dataclass(frozen=True)
class Sets:
    """Sets of samples.

    Attributes:
      count: how many sets there are.
      n: samples in each.
      draw: the samples of the set with this number, the same ones at every call.
      real_rng: the key by which real examples are chosen to stand in for a set.
    """

    count: int
    n: int
    draw: Callable[[int], Draw]
    real_rng: Array


def sets(gan: GAN, reference: Reference, state: GANState, n: int, keys: Array) -> Sets:
    """Sets of n samples by all keys but the last, which is the real examples'.

    As many sets as fit a GiB are kept; others are drawn anew for every metric.
    """
    draw = sample_drawer(gan, reference, n)
    kept = max(1, _KEPT_BYTES // (n * reference.test.x[:1].nbytes))
    return Sets(len(keys) - 1, n, functools.lru_cache(kept)(lambda i: draw(state, keys[i])), keys[-1])


def measured(reference: Reference, name: str, sets: Sets, progress: Progress) -> dict[str, dict[str, Any]]:
    """The `summary` of each number of a measure; every set that is measured advances the progress by one."""
    measure = MEASURES[name]
    scores: dict[str, list[Value]] = {}
    for i in range(1 if measure.once else sets.count):
        # The first compiles, and finds out what real data scores.
        with progress.doing(name) if i == 0 else contextlib.nullcontext():
            for key, score in measure.of(reference, sets.draw(i)).items():
                scores.setdefault(key, []).append(score)
            if i == 0:
                found = bounds(name, reference, sets.n, sets.real_rng)
        progress.advance(shown=name)
    return {key: summary(values, found.get(key, Bounds())) for key, values in scores.items()}


def summary(values: Sequence[Value], bounds: Bounds) -> dict[str, Any]:
    """Value, spread (over several sets, or the metric's own error) and of what it is, floor, ceiling, all values."""
    numbers = [value.value for value in values]
    several = len(numbers) > 1
    return {
        "value": float(np.mean(numbers)),
        "spread": float(np.std(numbers, ddof=1)) if several else values[0].error,
        "spread_of": f"{len(numbers)} sets" if several else "standard error",
        "floor": bounds.floor,
        "ceiling": bounds.ceiling,
        "values": numbers,
    }
