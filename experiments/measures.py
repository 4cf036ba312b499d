"""What `evaluate` and `run --track` measure: which metrics fit a run, on which real data, within which bounds.

A measure is a function of a `Reference` (real data) and a `Draw` (n samples), and gives one number or several by name.
Its floor or ceiling is a closed form, or the same function of as many real training images, or of all there are. (The
classifier has seen those: the bounds of what is made of its features include how it reads training images unlike test
images.)
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments import sampling
from experiments.rundir import Run
from gan_jax import data
from gan_jax.data import Dataset, toys
from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.metrics import classify, features, frechet, kernel, modes, parzen, prdc, wasserstein
from gan_jax.metrics.features import Trained
from gan_jax.nets.classifier import Classifier
from gan_jax.training import to_unit

GAN_TRAIN_STEPS = 2000
_CENTRES, _SAMPLES_A_CENTRE = 10_000, 5
_BLUR = 0.7  # Of .5, .6, .7, .8, .9 pixels the best for the validation images, by windows on training images.
_KERNEL_BLOCK = 1000
_FEWEST = 10  # Test images: with fewer there is no fifth neighbour, nor a spread of blocks.


class Draw(NamedTuple):
    """n samples: uint8 images or float32 points `[N, ...]`, the labels asked for int32 `[N]` or None, and a key."""

    x: np.ndarray
    labels: np.ndarray | None
    rng: Array


class Value(NamedTuple):
    """A number, and its standard error where the metric knows its own."""

    value: float
    error: float | None = None


class Bounds(NamedTuple):
    """What samples as good as real data score: a floor where lower is better, else a ceiling."""

    floor: float | None = None
    ceiling: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """The real data of a run.

    Attributes:
      train: what it learned from.
      test: what its samples are compared with, in random order, so that its first n examples are a sample of it.
      classifier: what gives features and reads labels; None where there is none.
      conditional: whether samples are of labels that were asked for.
      held_out: whether `test` is other data than `train`: a source without a test split has only that.
    """

    train: Dataset
    test: Dataset
    classifier: Trained | None
    conditional: bool
    held_out: bool = True

    @functools.cached_property
    def features(self) -> np.ndarray:
        return self.features_of(self.test.x)

    @functools.cached_property
    def moments(self) -> frechet.Moments:
        return _moments(self.features)

    @property
    def validation(self) -> np.ndarray:
        """Training examples that real draws leave out: of MNIST train[50000:51000], those of the Parzen protocol."""
        return self.train.x[self._learned :][:1000]

    @property
    def _learned(self) -> int:
        return max(len(self.train) - 10_000, len(self.train) // 2)

    def features_of(self, x: np.ndarray) -> np.ndarray:
        assert self.classifier is not None
        return features.in_pieces(self.classifier.features, x)

    def logits_of(self, x: np.ndarray) -> np.ndarray:
        assert self.classifier is not None
        return features.in_pieces(self.classifier.logits, x)

    def real(self, n: int, rng: Array) -> Draw:
        """n training examples, without replacement, as if a generator had drawn them."""
        chosen = np.asarray(jax.random.choice(rng, self._learned, (min(n, self._learned),), replace=False))
        labels = None if self.train.labels is None else self.train.labels[chosen]
        return Draw(self.train.x[chosen], labels, rng)


class Measure(NamedTuple):
    """An entry of `MEASURES`.

    Attributes:
      of: the function.
      fits: whether it says something about a run with this real data.
      decides: of several numbers the one that the best checkpoint is chosen by; None where the name is the number.
      once: whether one draw is enough: it knows its own error, or costs too much.
      bounds: floors and ceilings in closed form, of n samples; None to measure real data in their place.
    """

    of: Callable[[Reference, Draw], Mapping[str, Value]]
    fits: Callable[[Reference], bool]
    decides: str | None = None
    once: bool = False
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


def _gan_test(reference: Reference, draw: Draw) -> dict[str, Value]:
    return {
        "gan_test": Value(float(classify.gan_test(jnp.asarray(reference.logits_of(draw.x)), jnp.asarray(draw.labels))))
    }


def _gan_test_bounds(reference: Reference, n: int) -> dict[str, Bounds]:
    # Of the test set: training images are what the classifier has learned by heart.
    real = Draw(reference.test.x, reference.test.labels, jax.random.key(0))
    return {"gan_test": Bounds(ceiling=_gan_test(reference, real)["gan_test"].value)}


def _gan_train(reference: Reference, draw: Draw) -> dict[str, Value]:
    net = Classifier(reference.test.num_classes)
    real = reference.test.x, reference.test.labels
    accuracy = float(_gan_train_of(net, draw.rng, draw.x, draw.labels, *real, GAN_TRAIN_STEPS))
    return {"gan_train": Value(accuracy, math.sqrt(accuracy * (1 - accuracy) / len(reference.test)))}


def _parzen(reference: Reference, draw: Draw) -> dict[str, Value]:
    return {"parzen": _log_likelihood(reference, _flat(draw.x))}


def _parzen_blurred(reference: Reference, draw: Draw) -> dict[str, Value]:
    blurred = _blur(to_unit(jnp.asarray(draw.x), (0.0, 1.0)), _BLUR)
    return {"parzen_blurred": _log_likelihood(reference, blurred.reshape(len(draw.x), -1))}


def _parzen_kmeans(reference: Reference, draw: Draw) -> dict[str, Value]:
    k = min(_CENTRES, max(1, len(draw.x) // _SAMPLES_A_CENTRE))
    centres = _kmeans(draw.rng, _flat(draw.x), k)
    return {"parzen_kmeans": _log_likelihood(reference, centres)}


def _log_likelihood(reference: Reference, samples: Array) -> Value:
    found = _parzen_protocol(samples, _flat(reference.validation), _flat(reference.test.x))
    return Value(float(found.mean), float(found.error))


def _flat(images: np.ndarray) -> Array:
    return to_unit(jnp.asarray(images), (0.0, 1.0)).reshape(len(images), -1)


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
    return {"sliced_wasserstein": Value(float(_sliced_distance(draw.rng, real, draw.x)))}


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


_moments = jax.jit(frechet.moments)
_distance = jax.jit(frechet.distance)
_kernel_distance = jax.jit(kernel.distance, static_argnums=2)
_prdc_of = jax.jit(prdc.prdc)
_gan_train_of = jax.jit(classify.gan_train, static_argnums=(0, 6))
_parzen_protocol = jax.jit(parzen.protocol)
_blur = jax.jit(parzen.blur)
_kmeans = jax.jit(parzen.kmeans, static_argnums=2)
_sliced_distance = jax.jit(wasserstein.sliced)
_qualities = {
    name: jax.jit(functools.partial(modes.quality, mixture=mixture)) for name, mixture in toys.MIXTURES.items()
}


def _has_features(reference: Reference) -> bool:
    fits = reference.classifier is not None and tuple(reference.classifier.record["shape"]) == reference.test.shape
    return fits and len(reference.test) >= _FEWEST


def _is_read(reference: Reference) -> bool:
    classes = reference.test.num_classes
    return reference.conditional and _has_features(reference) and _classes(reference.classifier) == classes


def _classes(classifier: Trained | None) -> int:
    return 0 if classifier is None else classifier.record["num_classes"]


def _is_stacked(reference: Reference) -> bool:
    return reference.test.name == "stacked"


def _is_picture(reference: Reference) -> bool:
    return reference.test.is_image and not _is_stacked(reference)


LOWER_IS_BETTER = frozenset({"frechet", "kernel", "kl", "sliced_wasserstein"})

MEASURES: Mapping[str, Measure] = {
    "frechet": Measure(_frechet, _has_features),
    "kernel": Measure(_kernel, _has_features, once=True),
    "prdc": Measure(_prdc, _has_features, decides="coverage"),
    "gan_test": Measure(_gan_test, _is_read, bounds=_gan_test_bounds),
    "gan_train": Measure(_gan_train, lambda reference: reference.conditional and _is_picture(reference), once=True),
    "parzen": Measure(_parzen, _is_picture, once=True),
    "parzen_blurred": Measure(_parzen_blurred, _is_picture, once=True),
    "parzen_kmeans": Measure(_parzen_kmeans, _is_picture, once=True),
    "modes": Measure(
        _modes, lambda reference: reference.test.name in toys.MIXTURES, decides="kl", bounds=_modes_bounds
    ),
    "stacked": Measure(_stacked, _is_stacked, decides="kl", bounds=_stacked_bounds),
    "sliced": Measure(_sliced, lambda reference: not reference.test.is_image, decides="sliced_wasserstein"),
}


def reference(run: Run, gan: GAN, classifier: str | None) -> Reference:
    """The real data of a run, and the classifier of that name or file; by default the one trained on this very data.

    Raises:
      InputError: the data has changed or can't be read, the classifier is not one, or the run paints halves of images.
    """
    kind = sampling.condition_kind(run, gan)
    if kind == "data":
        raise InputError(
            f"{run.config.experiment} in {run.path} completes real images, and such samples can't be compared with "
            "real ones: name a run of another recipe"
        )
    spec = run.config.run["data"]
    train, test = data.load(spec), data.load(spec, "test")
    if (train.shape, train.num_classes) != (run.shape, run.num_classes):
        raise InputError(f"{spec} has changed since {run.path} was trained: put the old data back")
    name = classifier or ("mnist" if spec == "stacked" else features.of_dataset(train))
    held_out = not np.array_equal(train.x, test.x)
    order = np.random.default_rng(0).permutation(len(test))
    labels = None if test.labels is None else test.labels[order]
    test = dataclasses.replace(test, x=test.x[order], labels=labels)
    return Reference(train, test, None if name is None else features.load(name), kind == "label", held_out)


def usual_count(reference: Reference) -> int:
    """How many samples papers measure of such data."""
    return 2500 if not reference.test.is_image else 26_000 if _is_stacked(reference) else 10_000


def summary(values: Sequence[Value], bounds: Bounds) -> dict[str, Any]:
    """Value, spread (over several sets, or the metric's own error) and of what it is, floor, ceiling, all values."""
    numbers = [value.value for value in values]
    several = len(numbers) > 1
    spread = float(np.std(numbers, ddof=1)) if several else values[0].error
    return {
        "value": _finite(float(np.mean(numbers))),
        "spread": _finite(spread),
        "spread_of": f"{len(numbers)} sets" if several else "standard error",
        "floor": bounds.floor,
        "ceiling": bounds.ceiling,
        "values": [_finite(number) for number in numbers],
    }


def _finite(number: float | None) -> float | None:
    """None for what JSON has no word for."""
    return None if number is None or not math.isfinite(number) else number


def bounds(name: str, reference: Reference, n: int, rng: Array) -> Mapping[str, Bounds]:
    """Floors and ceilings of a measure's numbers for n samples."""
    measure = MEASURES[name]
    if measure.bounds is not None:
        return measure.bounds(reference, n)
    scores = measure.of(reference, reference.real(n, rng))
    return {
        key: Bounds(floor=score.value) if key in LOWER_IS_BETTER else Bounds(ceiling=score.value)
        for key, score in scores.items()
    }


def fitting(reference: Reference) -> list[str]:
    """The names in `MEASURES` that say something about runs with this real data."""
    return [name for name, measure in MEASURES.items() if measure.fits(reference)]


def decider(name: str) -> str:
    """The number by which this metric chooses between checkpoints, or between members of a sweep.

    Raises:
      InputError: it is a Parzen window's, which would choose blur.
    """
    if name.startswith("parzen"):
        raise InputError(
            f"{name} ranks badly (it likes blur better than real images), so nothing is chosen by it: name another "
            "metric first"
        )
    return MEASURES[name].decides or name


def check_fitting(run: Run, reference: Reference, chosen: Sequence[str]) -> None:
    """Raises InputError unless all the chosen metrics, at least one, fit the run."""
    spec, experiment = run.config.run["data"], run.config.experiment
    classifier = f"python -m experiments.classifier {spec} --out FILE.npz makes the classifier that --classifier takes"
    if not chosen:
        raise InputError(f"no metric fits {experiment} on {spec}: {classifier}")
    unfit = [name for name in chosen if not MEASURES[name].fits(reference)]
    if unfit:
        raise InputError(
            f"{unfit[0]} does not fit {experiment} on {spec}, which has {', '.join(fitting(reference))}; {classifier}"
        )


def drawer(gan: GAN, reference: Reference, n: int) -> Callable[[GANState, Array], Draw]:
    """`(state, rng) -> n samples`, of each label equally many."""
    generate = sampling.generator_of(gan)

    def draw(state: GANState, rng: Array) -> Draw:
        z_rng, y_rng, measure_rng = jax.random.split(rng, 3)
        labels = None
        if reference.conditional:
            labels = jax.random.permutation(y_rng, jnp.arange(n, dtype=jnp.int32) % reference.test.num_classes)
        x = generate(state, gan.prior(z_rng, n), labels)
        return Draw(x, None if labels is None else np.asarray(labels), measure_rng)

    return draw
