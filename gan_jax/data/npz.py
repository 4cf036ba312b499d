"""NumPy archives of images or points."""

import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from gan_jax.data.dataset import Dataset, Split
from gan_jax.errors import InputError

_KEYS: dict[Split, tuple[tuple[str, ...], str]] = {
    "train": (("images", "x"), "labels"),
    "test": (("test_images", "test_x"), "test_labels"),
}


def load_file(path: Path, split: Split = "train") -> Dataset:
    """Loads one split of an archive written by `np.savez`.

    `images` (or `x`) is uint8 [N, H, W] or [N, H, W, C], or float32 points [N, D]; `labels`, optional, are integers [N]
    from 0, and their maximum + 1 is the number of classes. A test split is `test_images` (or `test_x`) and, when there
    are `labels`, `test_labels`. Without one the test split is the training data itself: nothing is held out unless it
    is marked as such.

    Args:
      path: the archive.
      split: "train" or "test".

    Raises:
      InputError: the file is missing or damaged, or its arrays are not as described above.
    """
    name = f"npz:{path}"
    arrays = read_arrays(path)
    train_labels = _labels(arrays, "labels", name)
    if split == "test" and not any(key.startswith("test_") for key in arrays):
        split = "train"
    x_keys, labels_key = _KEYS[split]
    found = [key for key in x_keys if key in arrays]
    if len(found) != 1:
        held = ", ".join(arrays) or "nothing"
        raise InputError(
            f"{name}: expected one array called {' or '.join(x_keys)}, the file holds {held}; save "
            "it with np.savez(FILE, images=...)"
        )
    x = arrays[found[0]]
    if x.dtype == np.uint8 and x.ndim == 3:
        x = x[..., None]
    labels = _labels(arrays, labels_key, name)
    if (labels is None) != (train_labels is None):
        raise InputError(
            f"{name}: expected both labels and test_labels or neither, the file holds only one of "
            "them; add the other to the file"
        )
    num_classes = 0 if train_labels is None else int(train_labels.max()) + 1
    return Dataset(name, x, labels, num_classes)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads every array of an archive into memory.

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
            arrays = {key: archive[key] for key in archive.files}
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


def _labels(arrays: dict[str, np.ndarray], key: str, name: str) -> Int32[np.ndarray, " n"] | None:
    """The labels under `key` as int32, None where there are none."""
    labels = arrays.get(key)
    if labels is None:
        return None
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or labels.size == 0:
        raise InputError(
            f"{name}: {key} must be integers of shape [N], got {labels.dtype} of shape "
            f"{list(labels.shape)}; save one class number per example"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= np.iinfo(np.int32).max:
        raise InputError(f"{name}: {key} run from {low} to {high}, expected class numbers from 0; correct them")
    return labels.astype(np.int32)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
