"""Pictures of one's own, as the conditions of a GAN that makes images from pictures."""

import functools
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gan_jax.data import folder
from gan_jax.errors import InputError
from gan_jax.gan import GAN
from gan_jax.lab.job import Job
from gan_jax.training import as_batch, from_uint8

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def read(job: Job, gan: GAN, path: Path, *, resize: bool) -> Array:
    """The pictures of a file, or of all image files directly in a directory by name, as conditions `[N, h, w, c]`.

    Where the condition has holes they are where a picture is transparent.

    Args:
      job: the run.
      gan: its GAN.
      path: the file or directory.
      resize: whether pictures of another size than the condition's are resized to it.

    Raises:
      InputError: the GAN makes nothing from pictures; there are none; one is unreadable, or of another size.
    """
    view = gan.conditioning.view
    if view is None:
        raise InputError(f"{job.config.name} does not make images from pictures: leave out --given")
    height, width, channels = jax.eval_shape(functools.partial(as_batch, gan), job.example).y.shape[1:]
    pictures = [_read(file, (height, width), channels, resize=resize) for file in _files(path)]
    return view.tidied(from_uint8(jnp.asarray(np.stack(pictures)), (-1.0, 1.0)))


def _files(path: Path) -> Sequence[Path]:
    try:
        if not path.exists():
            raise InputError(f"there is no {path}: give the file of a picture, or a directory of pictures")
        files = folder.walk(path).loose if path.is_dir() else [path]
    except OSError as error:
        raise InputError(f"{path} can't be listed ({error.strerror or error}): give a readable directory") from error
    if not files:
        raise InputError(f"there are no images in {path}: give a file, or a directory of images")
    return files


def _read(path: Path, size: tuple[int, int], channels: int, *, resize: bool) -> np.ndarray:
    """A picture, uint8 `[h, w, channels]`."""
    mode, (height, width) = _MODES[channels], size
    image = folder.with_image(path, "--given", lambda image: folder.upright(image, mode))
    if image.size != (width, height):
        if not resize:
            raise InputError(
                f"{path} is {image.width}x{image.height} pixels and this run makes images from pictures of "
                f"{width}x{height}: give one of that size, or add --resize"
            )
        image = image.resize((width, height))
    return np.asarray(image).reshape(height, width, channels)
