"""Inception's features, for the Frechet distance that papers call FID (Heusel et al. 2017, arXiv:1706.08500).

    inception = load("pt_inception-2015-12-05-6726825d.pth")
    inception.features(images)   # uint8 [N, H, W, C] -> [N, 2048]

The weights do not come with the package. The usual file, of 2015-12-05 (its SHA-256 begins with 6726825d), is that of
pytorch-fid and torch-fidelity, and images are resized as there: `resized`.
"""

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jax import lax
from jaxtyping import Array, Float, Shaped

from gan_jax.checks import check_images
from gan_jax.errors import InputError
from gan_jax.metrics import torch_file
from gan_jax.metrics.features import Extractor, Images
from gan_jax.nets.inception import SIZE, Inception
from gan_jax.pieces import map_in_pieces

PUBLISHED = "6726825d"
"""How the fingerprint of the published weights begins."""

_EPSILON = 1e-3  # Of its batch normalisations.
_CLASSES = 1008  # Of its last layer, which no feature comes from: torchvision's network has 1000.
_PIECE = 32  # Images at a time: their first layers take 6 MB each.


def load(path: str | Path) -> Extractor:
    """The extractor of Inception's 2048 features, with the weights in a file.

    Raises:
      InputError: the file can't be read, or is not of this network.
    """
    params = parameters(path)
    with open(path, "rb") as file:
        fingerprint = hashlib.file_digest(file, "sha256").hexdigest()[:8]
    compute = functools.partial(jax.jit(computed), params)
    features = functools.partial(map_in_pieces, lambda images: compute(images)["2048"], size=_PIECE)
    return Extractor(features, {"name": "inception", "fingerprint": fingerprint})


def computed(params: Any, images: Images) -> dict[str, Float[Array, "batch features"]]:
    """All features of uint8 images, by name; see `gan_jax.nets.inception.Inception`."""
    found: Any = Inception().apply({"params": params}, prepared(images))
    return found


def parameters(path: str | Path) -> Any:
    """The parameters of `Inception` in a file of PyTorch's; see `torch_file.read`.

    Raises:
      InputError: the file can't be read, or is not of this network.
    """
    arrays = torch_file.read(path)
    found = {name: array for name, array in arrays.items() if name.endswith(("weight", "bias", "mean", "var"))}
    last = found.pop("fc.weight", None), found.pop("fc.bias", None)
    expected = _expected()
    wanted = {f"{name}.{kind}" for name in expected for kind in _KINDS}
    if different := sorted(wanted ^ found.keys()):
        raise _other(path, f"{different[0]} is {'missing' if different[0] in wanted else 'not of it'}")
    if last[0] is None or last[0].shape != (_CLASSES, 2048):
        has = "none" if last[0] is None else str(list(last[0].shape))
        raise _other(path, f"fc.weight should be [{_CLASSES}, 2048], and is {has}")
    params = {}
    for name, (kernel, bias) in expected.items():
        own = {kind: np.asarray(found[f"{name}.{kind}"], np.float64) for kind in _KINDS}
        shapes = {own[kind].shape for kind in _KINDS[1:]}
        weight = own["conv.weight"]
        if weight.ndim != 4 or weight.transpose(2, 3, 1, 0).shape != kernel.shape or shapes != {bias.shape}:
            raise _other(path, f"the arrays of {name} are of other shapes")
        scale = own["bn.weight"] / np.sqrt(own["bn.running_var"] + _EPSILON)
        shift = own["bn.bias"] - own["bn.running_mean"] * scale
        folded = weight.transpose(2, 3, 1, 0) * scale
        if not (np.isfinite(folded).all() and np.isfinite(shift).all()):
            raise _other(path, f"the numbers of {name} are not finite")
        params[f"{name}.conv.kernel"] = folded.astype(np.float32)
        params[f"{name}.conv.bias"] = shift.astype(np.float32)
    return traverse_util.unflatten_dict(params, sep=".")


def prepared(images: Images) -> Float[Array, "batch 299 299 3"]:
    """What the network takes of uint8 images: grey ones three times, resized, (x - 128) / 128.

    Raises:
      ValueError: they are not uint8 `[B, H, W, 1 or 3]`.
    """
    check_images(images)
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"Inception takes grey images and colour ones, got {images.shape[-1]} channels")
    x = resized(images.astype(jnp.float32), (SIZE, SIZE))
    return (jnp.broadcast_to(x, (*x.shape[:-1], 3)) - 128) / 128


def resized(
    x: Float[Array, "batch height width channels"], size: tuple[int, int]
) -> Float[Array, "batch h w channels"]:
    """Images as TensorFlow 1 resizes them bilinearly by default: pixel i is taken at i * (old size / new size).

    (So the first pixel stays the first and the last is repeated, and what is made smaller is not smoothed: later
    versions, PyTorch and Pillow all differ. Parmar et al. 2022, arXiv:2104.11222, show how much that matters.)
    """
    rows, columns = (jnp.asarray(_weights(old, new)) for old, new in zip(x.shape[1:3], size, strict=True))
    return jnp.einsum("ih,bhwc,jw->bijc", rows, x, columns, precision=lax.Precision.HIGHEST)


def _weights(old: int, new: int) -> Shaped[np.ndarray, "new old"]:
    """How much of each old pixel is in each new one."""
    place = np.arange(new, dtype=np.float32) * np.float32(old / new)
    low = place.astype(int)
    high, part = np.minimum(low + 1, old - 1), place - low
    weights = np.zeros((new, old), np.float32)
    np.add.at(weights, (np.arange(new), low), 1 - part)
    np.add.at(weights, (np.arange(new), high), part)
    return weights


_KINDS = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")


def _expected() -> Mapping[str, tuple[Any, Any]]:
    """Kernel and bias of every convolution, by its name."""
    image = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
    flat = traverse_util.flatten_dict(jax.eval_shape(Inception().init, jax.random.key(0), image)["params"], sep=".")
    names = dict.fromkeys(name.rpartition(".conv.")[0] for name in flat)
    return {name: (flat[f"{name}.conv.kernel"], flat[f"{name}.conv.bias"]) for name in names}


def _other(path: str | Path, reason: str) -> InputError:
    return InputError(
        f"{path} is of another network than the Inception of the Frechet distance ({reason}): give the file "
        f"pt_inception-2015-12-05-{PUBLISHED}.pth"
    )
