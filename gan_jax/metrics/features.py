"""Features of images from the project's own small classifiers, whose weights come with the package.

    mnist = load("mnist")
    mnist.features(images)   # uint8 [B, 28, 28, 1] -> [B, 64]

| name            | accuracy on the 10,000 test images | made by `python -m experiments.classifier ...`  |
|-----------------|------------------------------------|-------------------------------------------------|
| `mnist`         | .9935                              | `mnist --out FILE --steps 8000`                 |
| `fashion_mnist` | .9203                              | `idx:DIR --out FILE --steps 8000`               |

The file itself holds the accuracy, the command and the seed as its `record`.

For other images there are a net of random weights (`random_net`), Inception (`inception`), and any function `images
uint8 [B, H, W, C] -> [B, F]`: metrics take its values, whatever framework they come from. Distances in different
features are not comparable, so every `Extractor` says which it is.
"""

import functools
import hashlib
import importlib.resources
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, UInt8

from gan_jax.checks import check_images
from gan_jax.data import Dataset
from gan_jax.data.rows import Rows
from gan_jax.errors import InputError
from gan_jax.files import atomic
from gan_jax.nets.classifier import Classifier
from gan_jax.pieces import map_in_pieces

Images = UInt8[Array, "batch height width channels"]

NAMES = ("mnist", "fashion_mnist")
"""The classifiers that come with the package."""

_SUMMED = 5000  # images whose pixels are summed at a time
_RECORDED = {"shape", "fingerprint", "num_classes", "width", "hidden", "test_accuracy"}


class Trained(NamedTuple):
    """A trained classifier.

    Attributes:
      features: uint8 `[B, H, W, C]` to the activations `[B, 64]` before its last layer, >= 0.
      logits: uint8 `[B, H, W, C]` to `[B, K]`.
      record: how it was made: data, shape, fingerprint, num_classes, command, seed, steps and test_accuracy; of newer
        ones also the seconds it took, and whether the images of that accuracy were held out.
    """

    features: Callable[[Images], Float[Array, "batch features"]]
    logits: Callable[[Images], Float[Array, "batch classes"]]
    record: Mapping[str, Any]


class Extractor(NamedTuple):
    """Where the features of images come from.

    Attributes:
      features: uint8 NumPy images `[N, H, W, C]`, any number of them, to floats `[N, F]` on the host.
      record: what they are, as JSON: name, and fingerprint, which other weights would change; "" if there is none.
    """

    features: Callable[[np.ndarray], np.ndarray]
    record: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Name and fingerprint: features of different labels can't be compared."""
        return " ".join(filter(None, [self.record["name"], self.record["fingerprint"]]))


def of_classifier(classifier: Trained) -> Extractor:
    """The extractor of a classifier's features; its fingerprint is that of the classifier's record."""
    record = json.dumps(dict(classifier.record), sort_keys=True)
    fingerprint = hashlib.blake2b(record.encode(), digest_size=4).hexdigest()
    name = f"classifier of {classifier.record.get('data', 'other data')}"
    return Extractor(functools.partial(in_pieces, classifier.features), {"name": name, "fingerprint": fingerprint})


def load(name: str | Path) -> Trained:
    """Loads a classifier that comes with the package, by name, or one that `save` wrote, by path.

    Raises:
      InputError: there is no classifier of that name, or the file does not hold one.
    """
    if name in NAMES:
        data = (importlib.resources.files("gan_jax.metrics") / "weights" / f"{name}.npz").read_bytes()
    else:
        try:
            data = Path(name).read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"{name} can't be read ({reason}): choose one of {', '.join(NAMES)}, or a file that the command "
                "classifier wrote"
            ) from error
    try:
        return _read(data)
    except (EOFError, AttributeError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{name} holds no classifier: choose a file that the command classifier wrote") from error


@functools.cache
def _read(data: bytes) -> Trained:
    """The classifier in a file's content: by that it is kept, since a file may be replaced by another."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        record = json.loads(str(arrays["record"]))
        flat = {key: arrays[key].astype(np.float32) for key in arrays if key != "record"}
    if missing := _RECORDED - record.keys():
        raise ValueError(f"its record has no {', '.join(sorted(missing))}")
    net = Classifier(record["num_classes"], record["width"], record["hidden"])
    params = traverse_util.unflatten_dict(flat, sep="/")
    one = jax.ShapeDtypeStruct((1, *record["shape"]), jnp.float32)
    expected = jax.eval_shape(net.init, jax.random.key(0), one)["params"]
    found = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)
    if found != expected:
        raise ValueError("its parameters are not those of such a net")
    return trained(net, params, record)


def save(path: str | Path, net: Classifier, params: Any, record: Mapping[str, Any]) -> None:
    """Writes a trained classifier as a compressed npz.

    Args:
      path: the file.
      net: the classifier.
      params: its parameters, which are rounded to float16.
      record: how it was made, see `Trained`; JSON.
    """
    flat = traverse_util.flatten_dict(params, sep="/")
    arrays: dict[str, Any] = {key: np.asarray(value, np.float16) for key, value in flat.items()}
    whole = dict(record) | {"num_classes": net.num_classes, "width": net.width, "hidden": net.hidden}
    with atomic(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, record=np.asarray(json.dumps(whole)), **arrays)


def trained(net: Classifier, params: Any, record: Mapping[str, Any] | None = None) -> Trained:
    """A net and its parameters as functions of images; `record` is how it was made."""

    def apply(images: Images) -> Any:
        return net.apply({"params": params}, unit(images))

    return Trained(lambda images: apply(images)[0], lambda images: apply(images)[1], record or {})


def unit(images: Images) -> Float[Array, "batch height width channels"]:
    """uint8 images scaled to [0, 1], the input of the classifiers.

    Raises:
      ValueError: they are not uint8 `[B, H, W, C]`.
    """
    check_images(images)
    return images.astype(jnp.float32) / 255


def fingerprint(dataset: Dataset) -> list[int]:
    """Shape `[N, H, W, C]` and the sum of all pixels: the same in whatever order the examples are stored."""
    rows, n = Rows(dataset.x), len(dataset)
    parts = (rows.take(np.arange(start, min(start + _SUMMED, n))) for start in range(0, n, _SUMMED))
    return [*dataset.x.shape, sum(int(part.sum(dtype=np.int64)) for part in parts)]


def is_of(record: Mapping[str, Any], dataset: Dataset) -> bool:
    """Whether a classifier with this record was trained on this training set."""
    recorded = record["fingerprint"]
    # The shape first: it costs nothing.
    return recorded[:-1] == list(dataset.x.shape) and recorded == fingerprint(dataset)


def of_dataset(dataset: Dataset) -> str | None:
    """The name of the package's classifier that was trained on this training set, or None."""
    if not dataset.is_image:
        return None
    return next((name for name in NAMES if is_of(load(name).record, dataset)), None)


def in_pieces(f: Callable[[Array], Array], images: np.ndarray, size: int = 500) -> np.ndarray:
    """Applies `f` to many images, compiled for pieces of them.

    Args:
      f: images `[B, ...]` to `[B, ...]`, a function that JAX can trace. Another framework's features need no `f`:
        metrics take the arrays.
      images: `[N, ...]`.
      size: images per piece.

    Returns:
      `f` of all images, `[N, ...]`, on the host.

    Raises:
      ValueError: there are no images.
    """
    return map_in_pieces(_jitted(f), images, size=size)


@functools.lru_cache(maxsize=8)
def _jitted(f: Callable[[Array], Array]) -> Callable[[np.ndarray], Array]:
    return jax.jit(f)
