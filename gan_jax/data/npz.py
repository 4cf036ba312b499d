"""NumPy archives of images or points."""

import struct
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np

from gan_jax.data import classes, pairs
from gan_jax.data.dataset import Dataset, Split, check_alike, without_alpha
from gan_jax.errors import InputError

_KEYS: dict[Split, tuple[tuple[str, ...], str]] = {
    "train": (("images", "x"), "labels"),
    "test": (("test_images", "test_x"), "test_labels"),
}
_CONDITIONS: dict[Split, str] = {"train": "conditions", "test": "test_conditions"}
_KNOWN = [key for x_keys, labels_key in _KEYS.values() for key in (*x_keys, labels_key)] + [*_CONDITIONS.values()]


def load_file(path: Path, split: Split = "train") -> Dataset:
    """Loads one split of an archive written by `np.savez`.

    `images` (or `x`) is uint8 [N, H, W] or [N, H, W, C], grey (C = 1), RGB, or RGBA, whose alpha is dropped; or float32
    points [N, D]. `conditions`, optional, are images of the same size that the images are to be made from; labels are
    not read then. `labels`, optional, are whole numbers or strings [N]; those that occur are the classes. A test split
    is `test_images` (or `test_x`) and, when there are `labels`, `test_labels`, or `test_conditions`. Without one the
    test split is the training data itself: nothing is held out unless it is marked as such. Other arrays are not read.

    Args:
      path: the archive.
      split: "train" or "test".

    Raises:
      InputError: the file is missing or damaged, or its arrays are not as described above.
    """
    name = f"npz:{path}"
    arrays = read_arrays(path)
    if split == "test" and not any(key.startswith("test_") for key in arrays):
        split = "train"
    x, train_x = _examples(arrays, split, name), _examples(arrays, "train", name)
    check_alike(name, x.shape[1:], train_x.shape[1:])
    if _CONDITIONS["train"] in arrays:
        return _pairs(arrays, split, name, x)
    labels, train_labels = (_labels(arrays, _KEYS[of][1], name) for of in (split, "train"))
    if (labels is None) != (train_labels is None):
        raise InputError(
            f"{name}: expected both labels and test_labels or neither, the file holds only one of "
            "them; add the other to the file"
        )
    unread = [key for key in arrays if key not in _KNOWN]
    notes: tuple[str, ...] = (f"not read: {classes.listed(unread)} (read are {', '.join(_KNOWN)})",) if unread else ()
    x, of_alpha = without_alpha(x)
    notes += of_alpha
    if labels is None or train_labels is None:
        return Dataset(name, x, notes=notes)
    found = classes.occurring(name, labels, train_labels)
    return Dataset(name, x, found.labels, found.classes, (*notes, *found.notes))


def _pairs(arrays: dict[str, np.ndarray], split: Split, name: str, x: np.ndarray) -> Dataset:
    """Images and what they are made from."""
    key = _CONDITIONS[split]
    if key not in arrays:
        raise InputError(f"{name}: the file holds test images without {key}; add what they are to be made from")
    given = arrays[key]
    given, of_given = without_alpha(given[..., None] if given.ndim == 3 else given)
    x, of_alpha = without_alpha(x)
    unread = [key for key in arrays if key not in _KNOWN or "labels" in key]
    notes = (f"not read: {classes.listed(unread)}",) if unread else ()
    x, given = pairs.alike(x, given)
    return Dataset(name, x, conditions=given, notes=(*notes, *dict.fromkeys((*of_alpha, *of_given))))


def read_arrays(path: Path, *, mapped: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Reads every array of an archive into memory.

    Args:
      path: the archive.
      mapped: names of arrays that are memory-mapped instead; they may not be compressed.

    Raises:
      InputError: the file is missing, not an archive, damaged, or holds anything but arrays of plain numbers.
    """
    if not path.is_file():
        raise InputError(f"npz:{path}: there is no such file; give one written by np.savez")
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"npz:{path}: the file can't be read as a .npz archive, or is truncated; save it with np.savez"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: _mapped(path, key) if key in mapped else archive[key] for key in archive.files}
    # A damaged member makes NumPy raise nearly anything: BadZipFile, zlib.error, EOFError,
    # ValueError, TokenError, MemoryError ...
    except Exception as error:
        raise InputError(
            f"npz:{path}: the archive is damaged or holds more than plain arrays "
            f"({type(error).__name__}: {_first_line(error)}); save it again with np.savez"
        ) from error
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise InputError(f"npz:{path}: {key} is not an array; save it again with np.savez")
    return arrays


def _mapped(path: Path, key: str) -> np.ndarray:
    """An array of an archive as a memory map. Raises ValueError where it is compressed."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as member:
        info = archive.getinfo(f"{key}.npy")
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{key} is compressed")
        major, _ = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(member)
        header = member.tell()
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
    # A member's own header is of 30 bytes, its name, and what else was written there.
    offset = info.header_offset + 30 + name + extra + header
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def _examples(arrays: dict[str, np.ndarray], split: Split, name: str) -> np.ndarray:
    """The images or points of a split, images with their channels."""
    keys = _KEYS[split][0]
    found = [key for key in keys if key in arrays]
    if len(found) != 1:
        held = ", ".join(arrays) or "nothing"
        raise InputError(
            f"{name}: expected one array called {' or '.join(keys)}, the file holds {held}; save "
            "it with np.savez(FILE, images=...)"
        )
    x = arrays[found[0]]
    if x.dtype != np.uint8 or x.ndim != 3:
        return x
    if x.shape[2] in (3, 4) and x.shape[1] >= 8:
        raise InputError(
            f"{name}: {found[0]} of shape {list(x.shape)} looks like one image [H, W, C], expected many [N, H, W, C]; "
            f"save {found[0]}[None] if it is one, or give the channel an axis"
        )
    return x[..., None]


def _labels(arrays: dict[str, np.ndarray], key: str, name: str) -> np.ndarray | None:
    """The labels under `key`, None where there are none."""
    labels = arrays.get(key)
    if labels is None:
        return None
    if labels.dtype.kind not in "iuU" or labels.ndim != 1 or labels.size == 0:
        raise InputError(
            f"{name}: {key} must be integers or strings of shape [N], got {labels.dtype} of shape "
            f"{list(labels.shape)}; {_advice(labels, key)}"
        )
    if labels.dtype.kind == "U" and not labels.all():
        raise InputError(f"{name}: some {key} are empty strings; give one class per example")
    return labels


def _advice(labels: np.ndarray, key: str) -> str:
    """How labels of a usual wrong kind become right ones."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        return f"save {key}[:, 0]"
    if labels.ndim == 2 and labels.dtype.kind in "biuf":
        return f"save one class number per example, {key}.argmax(1) if they are one-hot"
    if labels.ndim == 1 and labels.dtype.kind == "S":
        return f"save {key}.astype(str)"
    return "save one class number per example"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
