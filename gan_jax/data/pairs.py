"""Folders of pairs: each file two pictures side by side, as pix2pix's data sets have them."""

from pathlib import Path

import numpy as np

from gan_jax.data import folder
from gan_jax.data.dataset import Dataset, Split
from gan_jax.errors import InputError


def load_directory(directory: Path, split: Split = "train", *, reversed: bool = False) -> Dataset:
    """Loads a directory of image files whose left halves are what the right halves are to be made from.

    The files are found, and divided into splits, as `folder.load_directory` does; sub-folders are no classes here.

    Args:
      directory: the directory.
      split: "train" or "test".
      reversed: whether left halves are made from right ones ("BtoA").

    Raises:
      InputError: as `folder.load_directory`, or the pictures' width is odd.
    """
    name = f"{'pairs_reversed' if reversed else 'pairs'}:{directory}"
    both = folder.load_directory(directory, split, name)
    width = both.shape[1]
    if width % 2:
        raise InputError(
            f"{name}: pictures of {width} x {both.shape[0]} pixels are not two of equal width side by side: bring both "
            "halves to one size"
        )
    left, right = both.x[:, :, : width // 2], both.x[:, :, width // 2 :]
    given, made = (right, left) if reversed else (left, right)
    return Dataset(name, np.ascontiguousarray(made), conditions=np.ascontiguousarray(given), notes=both.notes)


def alike(made: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images and what they are made from, `[N, H, W, C]`, with equally many channels: grey becomes RGB beside RGB."""
    channels = max(made.shape[-1], given.shape[-1])
    if made.ndim != 4 or given.ndim != 4 or {made.shape[-1], given.shape[-1]} - {1, channels}:
        return made, given  # `Dataset` says what is wrong.
    made, given = (x if x.shape[-1] == channels else x.repeat(channels, axis=-1) for x in (made, given))
    return made, given
