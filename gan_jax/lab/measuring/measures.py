"""Measures of samples: one table of names, meanings, which way is better, what decides, floors and ceilings.

A measure is a function of a `Reference` (real data) and a `Draw` (n samples), and gives one number or several by name.
Its floor or ceiling is a closed form, or the same function of as many real training images, or of all there are. (The
classifier has seen those: the bounds of what is made of its features include how it reads training images unlike test
images.) A new measure is a function and a row of `MEASURES`.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from gan_jax.data import toys
from gan_jax.errors import InputError
from gan_jax.lab.measuring import taggings, translations
from gan_jax.lab.measuring.reference import Draw, Reference
from gan_jax.lab.measuring.reference import moments as _moments
from gan_jax.metrics import classify, clusters, features, frechet, kernel, modes, parzen, prdc, wasserstein
from gan_jax.nets.classifier import Classifier
from gan_jax.pieces import map_in_pieces
from gan_jax.training import from_uint8

GAN_TRAIN_STEPS = 2000
FEWEST = 10
"""How many images the measures of features need: of fewer there is no fifth neighbour, nor a spread of blocks."""

_CENTRES, _SAMPLES_PER_CENTRE = 10_000, 5
_BLUR = 0.7  # Of .5, .6, .7, .8, .9 pixels the best for the validation images, by windows on training images.
_KERNEL_BLOCK = 1000
# Numbers in an example with which windows on 10,000 samples, or learning from them, still take about a minute.
_FEW_NUMBERS = 1024

Better = Literal["lower", "higher", "one"]


class Value(NamedTuple):
    """A number, and its standard error where the metric knows its own."""

    value: float
    error: float | None = None


class Bounds(NamedTuple):
    """What samples as good as real data score: a floor where lower is better, else a ceiling."""

    floor: float | None = None
    ceiling: float | None = None


class Measure(NamedTuple):
    """A row of `MEASURES`.

    Attributes:
      of: the function.
      fits: whether it says something about a run with this real data.
      what: its meaning, in a few words.
      numbers: the numbers that it gives, and of each which is better: lower, higher, or nearer to one.
      decides: the number that the best checkpoint, or member of a sweep, is chosen by; None where nothing may be.
      once: whether one draw is enough: it knows its own error, or costs too much.
      usual: whether it is measured unasked where it fits: what takes more than a minute or two is asked for by name.
      needs_features: whether it is made of features.
      needs_classifier: whether it is made of the labels that a classifier reads.
      bounds: floors and ceilings in closed form, of n samples; None to measure real data in their place.
    """

    of: Callable[[Reference, Draw], Mapping[str, Value]]
    fits: Callable[[Reference], bool]
    what: str
    numbers: Mapping[str, Better]
    decides: str | None
    once: bool = False
    usual: Callable[[Reference], bool] = lambda reference: True
    needs_features: bool = False
    needs_classifier: bool = False
    bounds: Callable[[Reference, int], Mapping[str, Bounds]] | None = None


def _frechet(reference: Reference, draw: Draw) -> dict[str, Value]:
    return {"frechet": Value(float(_distance(reference.moments, _moments(reference.features_of(draw.x)))))}


def _kernel(reference: Reference, draw: Draw) -> dict[str, Value]:
    real, fake = reference.features, reference.features_of(draw.x)
    estimate = _kernel_distance(real, fake, min(_KERNEL_BLOCK, len(real) // 2, len(fake) // 2))
    return {"kernel": Value(float(estimate.mean), float(estimate.error))}


def _prdc(reference: Reference, draw: Draw) -> dict[str, Value]:
    n = min(len(reference.test), len(draw.x))  # Density and coverage are only known for equal counts.
    found = _prdc_of(reference.features[:n], reference.features_of(draw.x[:n]))
    return {name: Value(float(value)) for name, value in found._asdict().items()}


def _pairs(reference: Reference, draw: Draw) -> dict[str, Value]:
    found = translations.closeness(draw.x, reference.test.x[: len(draw.x)])._asdict()
    if draw.again is not None:
        found["z_effect"] = translations.closeness(draw.again, draw.x[: len(draw.again)]).l1
    return {name: Value(value) for name, value in found.items()}


def _pairs_bounds(reference: Reference, n: int) -> dict[str, Bounds]:
    found = translations.best_answer(reference, n)
    return {"l1": Bounds(ceiling=found.l1), "psnr": Bounds(floor=found.psnr), "ssim": Bounds(floor=found.ssim)}


def _tags(reference: Reference, draw: Draw) -> dict[str, Value]:
    return {name: Value(value) for name, value in taggings.agreement(draw.x, reference.test.x[: len(draw.x)]).items()}


def _tags_bounds(reference: Reference, n: int) -> dict[str, Bounds]:
    floors, ceilings = taggings.of_prior(reference, n), taggings.of_classifier(reference, n)
    return {name: Bounds(floors[name], ceilings[name]) for name in floors}


def _gan_test(reference: Reference, draw: Draw) -> dict[str, Value]:
    return {
        "gan_test": Value(float(classify.gan_test(jnp.asarray(reference.logits_of(draw.x)), jnp.asarray(draw.labels))))
    }


def _gan_test_bounds(reference: Reference, n: int) -> dict[str, Bounds]:
    # Of the test set: training images are what the classifier has learned by heart.
    return {"gan_test": Bounds(ceiling=reference.accuracy)}


def _code(reference: Reference, draw: Draw) -> dict[str, Value]:
    assert draw.read is not None and reference.code is not None and reference.test.labels is not None
    found = draw.read(reference.test.x)[reference.code].astype(np.int32)
    error = clusters.matched_error(found, reference.test.labels)
    return {"code_error": Value(error, math.sqrt(error * (1 - error) / len(reference.test)))}


def _code_bounds(reference: Reference, n: int) -> dict[str, Bounds]:
    return {"code_error": Bounds(floor=1 - reference.accuracy)} if reference.knows_labels else {}


def _gan_train(reference: Reference, draw: Draw) -> dict[str, Value]:
    net = Classifier(reference.test.num_classes)
    real = reference.test.x, reference.test.labels
    accuracy = float(_gan_train_of(net, draw.rng, draw.x, draw.labels, *real, steps=GAN_TRAIN_STEPS))
    return {"gan_train": Value(accuracy, math.sqrt(accuracy * (1 - accuracy) / len(reference.test)))}


def _parzen(reference: Reference, draw: Draw) -> dict[str, Value]:
    return {"parzen": _log_likelihood(reference, _flat(draw.x))}


def _parzen_blurred(reference: Reference, draw: Draw) -> dict[str, Value]:
    blurred = _blur(from_uint8(jnp.asarray(draw.x), (0.0, 1.0)), _BLUR)
    return {"parzen_blurred": _log_likelihood(reference, blurred.reshape(len(draw.x), -1))}


def _parzen_kmeans(reference: Reference, draw: Draw) -> dict[str, Value]:
    k = min(_CENTRES, max(1, len(draw.x) // _SAMPLES_PER_CENTRE))
    centres = _kmeans(draw.rng, _flat(draw.x), k)
    return {"parzen_kmeans": _log_likelihood(reference, centres)}


def _log_likelihood(reference: Reference, samples: Array) -> Value:
    found = _parzen_protocol(samples, _flat(reference.validation), _flat(reference.test.x))
    return Value(float(found.mean), float(found.error))


def _flat(images: np.ndarray) -> Array:
    return from_uint8(jnp.asarray(images), (0.0, 1.0)).reshape(len(images), -1)


def _modes(reference: Reference, draw: Draw) -> dict[str, Value]:
    found = _qualities[reference.test.name](draw.x)
    return {name: Value(float(value)) for name, value in found._asdict().items()}


def _modes_bounds(reference: Reference, n: int) -> dict[str, Bounds]:
    count = reference.test.num_classes
    return {
        "modes": Bounds(ceiling=count),
        "high_quality": Bounds(ceiling=modes.HIGH_QUALITY_CEILING),
        "kl": Bounds(floor=modes.kl_floor(count, n)),
        "sigma_ratio": Bounds(1.0, 1.0),
    }


def _sliced(reference: Reference, draw: Draw) -> dict[str, Value]:
    real = reference.test.x[: len(draw.x)]  # No more than samples: it only costs, and the distance of noise shrinks.
    lines = _directions(draw.rng, math.prod(reference.test.shape))
    # In pieces: as float32 all pixels of many large images would not fit the memory.
    projected = [map_in_pieces(lambda piece: _projected(piece, lines), x, size=1000) for x in (real, draw.x)]
    return {"sliced_wasserstein": Value(float(_along(*projected)))}


@jax.jit
def _projected(x: Array, lines: Array) -> Array:
    flat = from_uint8(x, (0.0, 1.0)).reshape(len(x), -1)
    return jnp.matmul(flat, lines.T, precision=lax.Precision.HIGHEST)


def _stacked(reference: Reference, draw: Draw) -> dict[str, Value]:
    assert reference.classifier is not None
    labels = features.in_pieces(_digits(reference.classifier.logits), draw.x)
    found = modes.coverage(jnp.bincount(jnp.asarray(labels), length=1000))
    return {name: Value(float(value)) for name, value in found._asdict().items()}


def _stacked_bounds(reference: Reference, n: int) -> dict[str, Bounds]:
    return {"modes": Bounds(ceiling=1000), "kl": Bounds(floor=modes.kl_floor(1000, n))}


@functools.cache
def _digits(logits: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return functools.partial(modes.stacked_labels, logits)


_distance = jax.jit(frechet.distance)
_kernel_distance = jax.jit(kernel.distance, static_argnums=2)
_prdc_of = jax.jit(prdc.prdc)
_gan_train_of = jax.jit(classify.gan_train, static_argnames=("net", "steps"))
_parzen_protocol = jax.jit(parzen.protocol)
_blur = jax.jit(parzen.blur)
_kmeans = jax.jit(parzen.kmeans, static_argnums=2)
_directions = jax.jit(wasserstein.directions, static_argnums=1)
_along = jax.jit(wasserstein.along)
_qualities = {
    name: jax.jit(functools.partial(modes.quality, mixture=mixture)) for name, mixture in toys.MIXTURES.items()
}


def _has_features(reference: Reference) -> bool:
    if reference.test.tags:
        return False
    if _is_stacked(reference) and reference.extractor is None:  # Its classifier reads digits one by one.
        return False
    return reference.source is not None and len(reference.test) >= FEWEST


def _is_read(reference: Reference) -> bool:
    enough = len(reference.test) >= FEWEST
    return reference.conditional and enough and not _is_stacked(reference) and reference.knows_labels


def _is_stacked(reference: Reference) -> bool:
    return reference.test.name == "stacked"


def _is_picture(reference: Reference) -> bool:
    # Samples that are made from test images say nothing of how well these are covered.
    return reference.test.is_image and not _is_stacked(reference) and reference.view is None


def _is_small(reference: Reference) -> bool:
    return math.prod(reference.test.shape) <= _FEW_NUMBERS


# In the order in which they are measured, what costs least first; the first that fits and decides scores a sweep.
MEASURES: Mapping[str, Measure] = {
    "frechet": Measure(
        _frechet,
        _has_features,
        "Frechet distance of the features",
        {"frechet": "lower"},
        "frechet",
        needs_features=True,
    ),
    "kernel": Measure(
        _kernel,
        _has_features,
        "kernel distance of the features",
        {"kernel": "lower"},
        "kernel",
        once=True,
        needs_features=True,
    ),
    "prdc": Measure(
        _prdc,
        _has_features,
        "precision, recall, density and coverage",
        {"precision": "higher", "recall": "higher", "density": "one", "coverage": "higher"},
        "coverage",
        needs_features=True,
    ),
    "gan_test": Measure(
        _gan_test,
        _is_read,
        "share of samples that a classifier of real images reads as the label asked for",
        {"gan_test": "higher"},
        "gan_test",
        needs_classifier=True,
        bounds=_gan_test_bounds,
    ),
    "code": Measure(
        _code,
        lambda reference: reference.code is not None and reference.test.labels is not None,
        "error of the first categorical code as a classifier of test examples, under the best matching to labels",
        {"code_error": "lower"},
        "code_error",
        once=True,
        bounds=_code_bounds,
    ),
    "pairs": Measure(
        _pairs,
        lambda reference: reference.view is not None and not reference.view.tags,
        "of images made from pictures: mean absolute difference from the true image in [0, 1], PSNR in decibels, SSIM, "
        "and z_effect, the mean absolute difference of two images made from one picture",
        {"l1": "lower", "psnr": "higher", "ssim": "higher", "z_effect": "higher"},
        "psnr",
        bounds=_pairs_bounds,
    ),
    "tags": Measure(
        _tags,
        lambda reference: bool(reference.test.tags),
        "of tags that test pictures are given, those of at least half of 100 draws: precision, recall and F1 of all "
        "tags together, and the share of pictures with every tag right",
        {"tag_precision": "higher", "tag_recall": "higher", "tag_f1": "higher", "exact_match": "higher"},
        "exact_match",
        bounds=_tags_bounds,
    ),
    "stacked": Measure(
        _stacked,
        _is_stacked,
        "of the 1000 triples of digits of stacked, those found, and KL of their histogram",
        {"modes": "higher", "kl": "lower"},
        "kl",
        bounds=_stacked_bounds,
    ),
    "sliced": Measure(
        _sliced,
        lambda reference: not reference.test.tags,
        "sliced Wasserstein distance of points, or of pixels in [0, 1]: fits any data but tags",
        {"sliced_wasserstein": "lower"},
        "sliced_wasserstein",
    ),
    "modes": Measure(
        _modes,
        lambda reference: reference.test.name in toys.MIXTURES,
        "modes found, high-quality share, reverse KL and width of the modes of ring and grid",
        {"modes": "higher", "high_quality": "higher", "kl": "lower", "sigma_ratio": "one"},
        "kl",
        bounds=_modes_bounds,
    ),
    "gan_train": Measure(
        _gan_train,
        lambda reference: reference.conditional and _is_picture(reference),
        "accuracy on real images of a classifier that learned from samples",
        {"gan_train": "higher"},
        "gan_train",
        once=True,
        usual=_is_small,
    ),
    "parzen": Measure(
        _parzen,
        _is_picture,
        "Parzen-window log-likelihood, nats",
        {"parzen": "higher"},
        None,
        once=True,
        usual=_is_small,
    ),
    "parzen_blurred": Measure(
        _parzen_blurred,
        _is_picture,
        "parzen of the samples convolved with a Gaussian of .7 pixels",
        {"parzen_blurred": "higher"},
        None,
        once=True,
        usual=_is_small,
    ),
    "parzen_kmeans": Measure(
        _parzen_kmeans,
        _is_picture,
        "parzen of k-means centres of the samples, one for every five",
        {"parzen_kmeans": "higher"},
        None,
        once=True,
        usual=_is_small,
    ),
}

LOWER_IS_BETTER = frozenset(
    name for measure in MEASURES.values() for name, better in measure.numbers.items() if better == "lower"
)


def bounds(name: str, reference: Reference, n: int, rng: Array) -> Mapping[str, Bounds]:
    """Floors and ceilings of a measure's numbers for n samples; none where there is too little real data for them."""
    measure = MEASURES[name]
    if measure.bounds is not None:
        return measure.bounds(reference, n)
    if reference.real_count < FEWEST:
        return {}
    scores = measure.of(reference, reference.real(n, rng))
    return {
        key: Bounds(floor=score.value) if key in LOWER_IS_BETTER else Bounds(ceiling=score.value)
        for key, score in scores.items()
    }


def features_used(reference: Reference, chosen: Sequence[str], asked: str | None = None) -> str | None:
    """Which features the chosen measures are made of; None where they are made of none.

    Raises:
      InputError: they are made of none, and some were asked for.
    """
    if reference.source is not None and any(MEASURES[name].needs_features for name in chosen):
        return reference.source.label
    if asked is not None:
        raise InputError(
            f"{', '.join(chosen)} is not made of features: leave out --features, or measure frechet, kernel or prdc"
        )
    return None


def fitting(reference: Reference) -> list[str]:
    """The names in `MEASURES` that say something about runs with this real data."""
    return [name for name, measure in MEASURES.items() if measure.fits(reference)]


def usual(reference: Reference) -> list[str]:
    """Of the fitting measures those that are measured unasked."""
    return [name for name in fitting(reference) if MEASURES[name].usual(reference)]


def scoring(reference: Reference) -> list[str]:
    """Of the fitting measures those that members of a sweep may be scored by unasked: they decide, and cost little."""
    return [name for name in fitting(reference) if MEASURES[name].decides and not MEASURES[name].once]


def decider(name: str) -> str:
    """The number by which this measure chooses between checkpoints, or between members of a sweep.

    Raises:
      InputError: nothing may be chosen by it: a Parzen window's would choose blur.
    """
    number = MEASURES[name].decides
    if number is None:
        raise InputError(
            f"nothing is chosen by {name}, which scores blurred samples above real images: put another metric first"
        )
    return number
