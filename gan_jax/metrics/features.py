"""Features of images from the project's own small classifiers, whose weights come with the package.

    mnist = load("mnist")
    mnist.features(images)   # uint8 [B, 28, 28, 1] -> [B, 64]

| name            | accuracy on the 10,000 test images | made by                                                |
|-----------------|------------------------------------|--------------------------------------------------------|
| `mnist`         | .9935                              | `python -m experiments.classifier mnist --out FILE`    |
| `fashion_mnist` | .9203                              | `python -m experiments.classifier idx:DIR --out FILE`  |

The file itself holds the accuracy, the command and the seed as its `record`.

Any function `images uint8 [B, H, W, C] -> [B, F]` takes the place of `features` everywhere; metrics take its values,
whatever framework they come from. Distances of different features don't compare: none of them is comparable with an FID
of Inception's.
"""

import functools
import importlib.resources
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, UInt8

from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.nets.classifier import Classifier

Images = UInt8[Array, "batch height width channels"]

NAMES = ("mnist", "fashion_mnist")
"""The classifiers that come with the package."""


class Trained(NamedTuple):
    """A trained classifier.

    Attributes:
      features: uint8 `[B, H, W, C]` to the activations `[B, 64]` before its last layer, >= 0.
      logits: uint8 `[B, H, W, C]` to `[B, K]`.
      record: how it was made: data, shape, fingerprint, num_classes, command, seed, steps, test_accuracy.
    """

    features: Callable[[Images], Float[Array, "batch features"]]
    logits: Callable[[Images], Float[Array, "batch classes"]]
    record: Mapping[str, Any]


@functools.cache
def load(name: str | Path) -> Trained:
    """A classifier that comes with the package, by name, or one that `save` wrote, by path.

    Raises:
      InputError: there is none of that name, or the file is not one.
    """
    if name in NAMES:
        data = (importlib.resources.files("gan_jax.metrics") / "weights" / f"{name}.npz").read_bytes()
    else:
        try:
            data = Path(name).read_bytes()
        except OSError as error:
            raise InputError(
                f"{name} can't be read ({error.strerror}): name one of {', '.join(NAMES)}, or a file that "
                "experiments.classifier wrote"
            ) from error
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            record = json.loads(str(arrays["record"]))
            flat = {key: arrays[key].astype(np.float32) for key in arrays if key != "record"}
        net = Classifier(record["num_classes"], record["width"], record["hidden"])
    except (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{name} holds no classifier: name a file that experiments.classifier wrote") from error
    return trained(net, traverse_util.unflatten_dict(flat, sep="/"), record)


def save(path: Path, net: Classifier, params: Any, record: Mapping[str, Any]) -> None:
    """Writes parameters, rounded to float16, and the record of their making, as a compressed npz."""
    flat = traverse_util.flatten_dict(params, sep="/")
    arrays: dict[str, Any] = {key: np.asarray(value, np.float16) for key, value in flat.items()}
    whole = dict(record) | {"num_classes": net.num_classes, "width": net.width, "hidden": net.hidden}
    np.savez_compressed(path, record=np.asarray(json.dumps(whole)), **arrays)


def trained(net: Classifier, params: Any, record: Mapping[str, Any] | None = None) -> Trained:
    """A net and its parameters as functions of images."""

    def apply(images: Images) -> Any:
        return net.apply({"params": params}, unit(images))

    return Trained(lambda images: apply(images)[0], lambda images: apply(images)[1], record or {})


def unit(images: Images) -> Float[Array, "batch height width channels"]:
    """Images in [0, 1], as the classifiers take them."""
    return images.astype(jnp.float32) / 255


def fingerprint(dataset: Dataset) -> list[int]:
    """Shape `[N, H, W, C]` and the sum of all pixels: the same however the examples are ordered or stored."""
    return [*dataset.x.shape, int(dataset.x.sum(dtype=np.int64))]


def of_dataset(dataset: Dataset) -> str | None:
    """The name of the classifier that was trained on this very training set, if one comes with the package."""
    if not dataset.is_image:
        return None
    found = fingerprint(dataset)
    return next((name for name in NAMES if load(name).record["fingerprint"] == found), None)


def in_pieces(f: Callable[[Array], Array], images: np.ndarray, size: int = 500) -> np.ndarray:
    """`f` of many images `[N, ...]`, compiled for pieces of `size`, on the host: `[N, ...]`.

    `f` is a function that JAX can trace. What another framework computes is an array already: metrics take it as it is.
    """
    size = min(size, len(images))
    compiled = _jitted(f)
    # The last piece overlaps the one before it, so that every piece has one compiled shape.
    starts = [min(start, len(images) - size) for start in range(0, len(images), size)]
    pieces = [np.asarray(compiled(images[start : start + size])) for start in starts]
    return np.concatenate([*pieces[:-1], pieces[-1][-(len(images) - (len(pieces) - 1) * size) :]])


@functools.lru_cache(maxsize=8)
def _jitted(f: Callable[[Array], Array]) -> Callable[[np.ndarray], Array]:
    return jax.jit(f)
