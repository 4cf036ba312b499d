"""IDX, the file format of MNIST and its look-alikes (Fashion-MNIST, KMNIST, ...).

A file is a big-endian header (the magic number 0x000008RR: unsigned bytes, RR dimensions; then
one uint32 per dimension) and the bytes themselves, often gzipped. LeCun, Cortes, Burges, "The
MNIST database of handwritten digits".
"""

import contextlib
import gzip
import io
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan_jax.data import classes
from gan_jax.data.dataset import Dataset, Split, check_alike
from gan_jax.errors import InputError

_PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_DEFLATE_RATIO = 1032  # no deflate stream expands more


def load_directory(directory: Path | Traversable, split: Split = "train", name: str | None = None) -> Dataset:
    """Loads the images and labels of one split from a directory of four IDX files.

    The files are named as MNIST's, `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same with `t10k` for
    the test split; `.idx3-ubyte` is accepted in place of `-idx3-ubyte`, each file may be gzipped (`.gz`), and the plain
    file is read where there are both. The classes are the numbers that occur among the *training* labels, whichever the
    split.

    Args:
      directory: the directory.
      split: "train" or "test".
      name: name of the dataset; None for `idx:` and the directory.

    Returns:
      uint8 images [N, H, W, 1] and their labels.

    Raises:
      InputError: the directory or a file is missing, or a file is not what its name declares.
    """
    name = name or f"idx:{directory}"
    try:
        entries = [entry.name for entry in directory.iterdir()]
    except OSError as error:
        raise InputError(
            f"{name}: can't list the directory ({error.strerror or error}); give a directory of "
            "four IDX files named as MNIST's, such as train-images-idx3-ubyte.gz"
        ) from error
    if not entries:
        raise InputError(
            f"{name}: the directory is empty; put the four IDX files there, named as MNIST's, such as "
            "train-images-idx3-ubyte.gz"
        )
    images = _read(directory, entries, _PREFIX[split], "images", 3, name)
    labels = train_labels = _read(directory, entries, _PREFIX[split], "labels", 1, name)
    if split == "test":
        train_labels = _read(directory, entries, _PREFIX["train"], "labels", 1, name)
        train_shape = _read(directory, entries, _PREFIX["train"], "images", 3, name, use=shape)[1:]
        check_alike(name, (*images.shape[1:], 1), (*train_shape, 1))
    return Dataset(name, images[..., None], *classes.occurring(name, labels, train_labels))


def parse(data: bytes, filename: str, rank: int) -> UInt8[np.ndarray, "..."]:
    """The array in the bytes of an IDX file, gzipped where `filename` ends in `.gz`.

    Never allocates more than these bytes could hold, whatever their header claims.

    Args:
      data: the whole file.
      filename: name of the file, for its ending and for errors.
      rank: how many dimensions it must have: 3 for images, 1 for labels.

    Returns:
      A non-empty, read-only uint8 array of `rank` dimensions.

    Raises:
      InputError: this is not such a file, or only a part of one.
    """
    with _opened(data, filename) as stream:
        dimensions = _dimensions(stream, filename, rank)
        size = math.prod(dimensions)
        body = stream.read(min(size, len(data) * _MAX_DEFLATE_RATIO) + 1)
    if len(body) != size:
        fault = "is truncated" if len(body) < size else "is too long"
        raise InputError(
            f"{filename} {fault}, its header declares {size} bytes for shape {dimensions} and "
            f"{'only ' if len(body) < size else ''}{'more' if len(body) > size else len(body)} "
            "follow; download it again"
        )
    if size == 0:
        raise InputError(f"{filename} is empty, its shape is {dimensions}; give at least one item")
    return np.frombuffer(body, np.uint8).reshape(dimensions)


def shape(data: bytes, filename: str, rank: int) -> list[int]:
    """The shape that the header declares, of what `parse` takes."""
    with _opened(data, filename) as stream:
        return _dimensions(stream, filename, rank)


@contextlib.contextmanager
def _opened(data: bytes, filename: str) -> Iterator[io.BufferedIOBase]:
    """The bytes, unzipped where `filename` ends in `.gz`."""
    zipped = data.startswith(_GZIP_MAGIC)
    if filename.endswith(".gz") and not zipped:
        raise InputError(
            f"{filename} is not a gzip file; download it again, or drop .gz from its name if it is not compressed"
        )
    if zipped and not filename.endswith(".gz"):
        raise InputError(f"{filename} is gzipped; add .gz to its name, or unpack it")
    try:
        yield gzip.GzipFile(fileobj=io.BytesIO(data)) if zipped else io.BytesIO(data)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{filename} is a truncated or damaged gzip file ({error}); download it again") from error


def _dimensions(stream: io.BufferedIOBase, filename: str, rank: int) -> list[int]:
    header = stream.read(4 * (1 + rank))
    if len(header) < 4 * (1 + rank):
        raise InputError(f"{filename} is truncated, it ends within its header; download it again")
    magic, *dimensions = struct.unpack(f">{1 + rank}I", header)
    if magic != 0x0800 + rank:
        raise InputError(
            f"{filename} has the wrong magic number {magic:#010x}, expected "
            f"{0x0800 + rank:#010x} (unsigned bytes, {rank} dimensions); replace it by "
            "the file of that name"
        )
    return dimensions


def _read(
    directory: Path | Traversable,
    entries: list[str],
    prefix: str,
    what: str,
    rank: int,
    name: str,
    use: Callable[[bytes, str, int], Any] = parse,
) -> Any:
    """The array, or what `use` makes of it, in the file of `directory` with that prefix and content."""
    candidates = [f"{prefix}-{what}{joint}idx{rank}-ubyte{suffix}" for suffix in ("", ".gz") for joint in "-."]
    found = [candidate for candidate in candidates if candidate in entries]
    if not found:
        raise InputError(
            f"{name}: there is no {candidates[0]} nor {candidates[0]}.gz in the directory; "
            "put all four IDX files there, named as MNIST's"
        )
    try:
        data = (directory / found[0]).read_bytes()
    except OSError as error:
        raise InputError(
            f"{name}: can't read {found[0]} ({error.strerror or error}); make it a readable file"
        ) from error
    return use(data, f"{name}: {found[0]}", rank)
