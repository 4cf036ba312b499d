"""What --features names: where the features of metrics come from, typed each time.

    random, random:SEED     a net of random weights: the default where no classifier fits
    NAME, FILE.npz          a classifier of the package, or one that the command classifier wrote
    inception:FILE          Inception, with the weights in a file: the distance is the FID of papers
    FILE.py:FUNCTION        a function of one's own, `images uint8 [N, H, W, C] -> [N, F]`
    module:FUNCTION

Records say which features were used, for people and to compare: nothing is ever loaded from a record.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.lab import functions
from gan_jax.lab.progress import counted
from gan_jax.metrics import features, inception, random_net
from gan_jax.metrics.features import Extractor, Trained
from gan_jax.pieces import map_in_pieces

FORMS = "random[:SEED], inception:FILE, a classifier's NAME or FILE.npz, FILE.py:FUNCTION or module:FUNCTION"

_MOST_SEED = 2**32


def form(text: str) -> str:
    """A parser of --features: the text itself, if it may name features."""
    start, _, rest = text.partition(":")
    if start == "random":
        if text != "random" and not (rest.isdecimal() and int(rest) < _MOST_SEED):
            raise ValueError(f"expected random or random:SEED, a whole number below 2^32, got {text!r}")
    elif not (text in features.NAMES or text.endswith(".npz") or (start and rest)):
        raise ValueError(f"expected {FORMS}, got {text!r}")
    return text


def load(text: str, dataset: Dataset) -> Extractor:
    """What the text names, for images of this data.

    Raises:
      InputError: there is no such thing, or it does not take such images.
    """
    if not dataset.is_image:
        raise InputError(
            f"{dataset.name} is {'tags' if dataset.tags else 'points'}, which need no features: leave out --features"
        )
    start, _, rest = text.partition(":")
    if start == "random":
        return random_net.load(dataset.shape, int(rest or 0))
    if start == "inception":
        return inception.load(Path(rest).expanduser())
    if text in features.NAMES or text.endswith(".npz"):
        path = text if text in features.NAMES else Path(text).expanduser()
        return features.of_classifier(checked(features.load(path), text, dataset.shape, dataset.name))
    return _of_function(functions.load(text, "--features", FORMS), text, dataset)


def checked(classifier: Trained, name: str, shape: tuple[int, ...], of: str) -> Trained:
    """The classifier. Raises InputError unless it takes images of this shape."""
    takes = tuple(classifier.record["shape"])
    if takes != shape:
        its, wanted = ("x".join(map(str, each)) for each in (takes, shape))
        raise InputError(
            f"the classifier {name} takes images of {its} and {of} has {wanted}: give one that was trained on such "
            "images"
        )
    return classifier


def _of_function(function: Callable[[np.ndarray], Any], text: str, dataset: Dataset) -> Extractor:
    """The extractor of a function, which is tried on two images."""

    def once(images: np.ndarray) -> np.ndarray:
        try:
            # A copy: what the function does to it is not done to the data.
            found = np.asarray(function(images.copy()))
        except Exception as error:
            reason = functions.said(error, text.rpartition(":")[0])
            raise InputError(f"--features {text} failed ({reason}): mend it") from error
        numbers = any(jnp.issubdtype(found.dtype, kind) for kind in (jnp.integer, jnp.floating))
        if found.ndim != 2 or len(found) != len(images) or not found.size or not numbers:
            raise InputError(
                f"--features {text} must give numbers [N, F], and gave {found.dtype} {list(found.shape)} for "
                f"{len(images)} images: mend it"
            )
        with np.errstate(over="ignore"):
            found = found.astype(np.float32)
        if not np.isfinite(found).all():
            raise InputError(f"--features {text} gave numbers that are not finite: mend it")
        return found

    first = dataset.take(np.zeros(2, int)).x
    width = once(first).shape[1]

    def same(images: np.ndarray) -> np.ndarray:
        found = once(images)
        if found.shape[1] != width:
            raise InputError(
                f"--features {text} gave {counted(found.shape[1], 'number')} for an image, and {width} for the images "
                "before: features must be equally many"
            )
        return found

    name = f"{text} ({counted(width, 'number')})"
    return Extractor(lambda images: map_in_pieces(same, images), {"name": name, "fingerprint": ""})
