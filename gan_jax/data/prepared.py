"""Prepared data: a directory of arrays that are read as they are drawn, however large they are.

    prepared.json       version, source and options; shape, names of classes; of each split its count and checksums
    train-images.npy    uint8 [N, H, W, C]
    train-labels.npy    int32 [N], where there are classes
    test-images.npy, test-labels.npy    the same of the test split, where there is one

`gan_jax.data.preparing` writes it.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from gan_jax.data.dataset import Dataset, Split
from gan_jax.errors import InputError

VERSION = 1
RECORD = "prepared.json"
UNFINISHED = ".unfinished.json"
"""What a preparation that goes on, or was stopped, keeps beside the arrays."""

HEADER_BYTES = 128
"""Before the first image in a file: NumPy leaves room for any number of images."""

_PIECE = 2**22  # Bytes that one thread digests at a time.


@dataclasses.dataclass(frozen=True)
class Part:
    """A split: how many examples it has, and the `checksum` of its images, and of its labels where there are any."""

    count: int
    images: str
    labels: str | None


@dataclasses.dataclass(frozen=True)
class Record:
    """What prepared.json says.

    Attributes:
      source: what was prepared: kind, place, and digest, which other files would change.
      options: how.
      shape: of an image, [H, W, C].
      classes: names by number; empty where there are no labels.
      splits: train, and perhaps test.
      left_out: files that could not be read, and why.
      notes: see `Dataset`.
    """

    source: Mapping[str, str]
    options: Mapping[str, Any]
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    splits: Mapping[Split, Part]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]


def load(directory: Path, split: Split = "train") -> Dataset:
    """Opens one split: the labels are read, the images are a memory map.

    That the files are what was prepared is seen from their sizes, and from prepared.json being newer than they are. If
    it is not, as after copying, their checksums are computed, once where prepared.json may be touched.

    Args:
      directory: the directory.
      split: "train"; or "test", which is the training data itself where there is no test split.

    Raises:
      InputError: there is no prepared data of this version, it is not finished, or its files were changed.
    """
    name = f"prepared:{directory}"
    record = read(name, directory)
    _check_files(name, directory, record)
    split = split if split in record.splits else "train"
    part = record.splits[split]
    images = _array(name, images_path(directory, split), (part.count, *record.shape), np.dtype(np.uint8), mapped=True)
    labels = None
    if record.classes:
        labels = _array(name, labels_path(directory, split), (part.count,), np.dtype(np.int32), mapped=False)
    digest = hashlib.blake2b(repr((images.shape, record.classes, part.images, part.labels)).encode(), digest_size=8)
    return Dataset(name, images, labels, record.classes, record.notes, known_fingerprint=digest.hexdigest())


def images_path(directory: Path, split: Split) -> Path:
    """Where the images of a split lie."""
    return directory / f"{split}-images.npy"


def labels_path(directory: Path, split: Split) -> Path:
    """Where the labels of a split lie."""
    return directory / f"{split}-labels.npy"


def checksum(path: Path) -> str:
    """SHA-256 of the SHA-256 of a file's pieces of 4 MiB, computed on all cores and in little memory."""

    def digest(start: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(start)
            return hashlib.sha256(file.read(_PIECE)).digest()

    with ThreadPoolExecutor() as pool:
        return hashlib.sha256(b"".join(pool.map(digest, range(0, path.stat().st_size, _PIECE)))).hexdigest()


def read(name: str, directory: Path) -> Record:
    """What prepared.json says.

    Raises:
      InputError: there is none, the preparation is not finished, or it is of another version.
    """
    file = directory / RECORD
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if (directory / UNFINISHED).exists():
            raise InputError(
                f"{name}: the preparation is not finished: type the same command again, which goes on"
            ) from error
        raise InputError(
            f"{name}: there is no {RECORD} in the directory: prepare data with `gan-jax prepare SOURCE --size 64 "
            f"--out DIR`"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{name}: {RECORD} can't be read ({error}): prepare the data again") from error
    try:
        if (version := found["version"]) != VERSION:
            raise InputError(
                f"{name}: the data was prepared by version {version} of the format, and this program reads version "
                f"{VERSION}: prepare it again"
            )
        return _record(found)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{name}: {RECORD} is not what prepare wrote ({error!r}): prepare the data again") from error


def as_json(record: Record) -> dict[str, Any]:
    """What prepared.json holds."""
    return {"version": VERSION, **dataclasses.asdict(record)}


def _record(found: Mapping[str, Any]) -> Record:
    """A record out of JSON. Raises KeyError, TypeError, ValueError or AttributeError where it is none."""
    shape, classes = tuple(found["shape"]), tuple(found["classes"])
    if len(shape) != 3 or not all(type(n) is int and n > 0 for n in shape) or shape[2] not in (1, 3):
        raise ValueError(f"expected the shape [H, W, C] of an image, got {list(shape)}")
    if not all(isinstance(c, str) for c in (*classes, *found["notes"])):
        raise ValueError("expected names of classes and notes as text")
    splits: tuple[Split, ...] = get_args(Split)
    parts = {split: Part(**found["splits"][split]) for split in splits if split in found["splits"]}
    for part in (parts["train"], *parts.values()):
        if type(part.count) is not int or part.count < 1 or not isinstance(part.images, str):
            raise ValueError(f"expected a count and checksums of a split, got {part}")
        if isinstance(part.labels, str) != bool(classes):
            raise ValueError("expected labels where there are classes")
    return Record(
        source=dict(found["source"]),
        options=dict(found["options"]),
        shape=cast(tuple[int, int, int], shape),
        classes=classes,
        splits=parts,
        left_out=dict(found["left_out"]),
        notes=tuple(found["notes"]),
    )


def _check_files(name: str, directory: Path, record: Record) -> None:
    """Raises InputError unless the files are those that were prepared."""
    newest = 0
    sums: dict[Path, str] = {}
    for split, part in record.splits.items():
        sums[path := images_path(directory, split)] = part.images
        size = HEADER_BYTES + part.count * int(np.prod(record.shape, dtype=np.int64))
        newest = max(newest, _check_size(name, path, size))
        if part.labels is not None:
            sums[path := labels_path(directory, split)] = part.labels
            newest = max(newest, _check_size(name, path, HEADER_BYTES + 4 * part.count))
    if newest < (directory / RECORD).stat().st_mtime_ns:
        return
    for path, expected in sums.items():
        try:
            found = checksum(path)
        except OSError as error:
            raise InputError(f"{name}: {path.name} can't be read ({error.strerror or error})") from error
        if found != expected:
            raise InputError(
                f"{name}: {path.name} was changed since it was prepared: copy it again, or prepare the data again"
            )
    with contextlib.suppress(OSError):  # It may be somebody else's, or read-only: checked again the next time.
        os.utime(directory / RECORD)


def _check_size(name: str, path: Path, size: int) -> int:
    """When the file was last changed, in ns. Raises InputError unless it has so many bytes."""
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(
            f"{name}: {path.name} can't be read ({error.strerror or error}): copy it again, or prepare the data again"
        ) from error
    if stat.st_size != size:
        what = "truncated" if stat.st_size < size else "too long"
        raise InputError(
            f"{name}: {path.name} is {what}, it has {stat.st_size} bytes where {size} were prepared: copy it again, or "
            "prepare the data again"
        )
    return stat.st_mtime_ns


def _array(name: str, path: Path, shape: tuple[int, ...], dtype: np.dtype, *, mapped: bool) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{name}: {path.name} can't be read ({error}): prepare the data again") from error
    if (found.shape, found.dtype) != (shape, dtype) or not found.flags.c_contiguous:
        raise InputError(f"{name}: {path.name} is not what prepare wrote: copy it again, or prepare the data again")
    return found
