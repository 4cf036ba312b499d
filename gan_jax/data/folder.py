"""Folders of image files."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gan_jax.data.dataset import Dataset, Split
from gan_jax.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")

EXTENSIONS = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
_SPLITS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "test": ("test", "val", "valid", "validation", "train"),
}
_GREY_MODES = ("1", "L")
_DEEP_MODES = ("I", "F")  # 16 and 32 bits per channel, which Pillow clips to 8 instead of scaling


def load_directory(directory: Path, split: Split = "train") -> Dataset:
    """Loads all the images in a directory, in the order of their sorted paths.

    - Images directly in it are unlabelled. Otherwise each sub-folder is a class, numbered in the order of the sorted
      names, with all the images at any depth below it.
    - If the sub-folders are named as splits, `train` and one or more of `test`, `val`, `valid`, `validation`, each of
      them is laid out in this way, and the classes are those of `train`. The test split is the first of these names
      that exists. Without one it is the training data itself: nothing is held out unless it is marked as such.
    - Images must be of one size. If all are stored as grey they have one channel, otherwise all are converted to RGB;
      alpha is dropped, and only the first frame of an animation is read.
    - Hidden files, and files without the extension of an image, are skipped.

    Args:
      directory: the directory.
      split: "train" or "test".

    Raises:
      InputError: the directory is missing, holds no images, mixes loose images and class folders, has a class without
        images, or an image is unreadable, has more than 8 bits per channel, or differs in size.
    """
    name = f"folder:{directory}"
    try:
        root = _split_root(directory, split)
        train_classes = _class_names(_split_root(directory, "train"))
        classes = _class_names(root)
        loose = _image_files(root, "*")
        grouped = {c: _image_files(root / c, "**/*") for c in classes}
    except OSError as error:
        raise InputError(
            f"{name}: can't list the directory ({error.strerror or error}); give a readable directory of images"
        ) from error
    if loose and classes:
        raise InputError(
            f"{name}: expected either images or one folder per class, found both ({loose[0].name} "
            f"beside {classes[0]}/); move the loose images into class folders"
        )
    for c, files in grouped.items():
        if not files:
            raise InputError(f"{name}: there are no images in the class folder {c}/; add some or remove it")
    if not loose and not grouped:
        raise InputError(
            f"{name}: there are no images here; give a directory of image files "
            f"({', '.join(sorted(EXTENSIONS))}) or with one folder of them per class"
        )
    unknown = sorted(set(classes) - set(train_classes))
    if unknown or (bool(classes) != bool(train_classes)):
        raise InputError(
            f"{name}: {root.name}/ has classes {unknown or 'none'} where train/ has "
            f"{train_classes or 'none'}; give both the same class folders"
        )
    x = _read_images(loose or [file for files in grouped.values() for file in files], name)
    if not classes:
        return Dataset(name, x)
    counts = [len(grouped[c]) for c in classes]
    numbers = [train_classes.index(c) for c in classes]
    return Dataset(name, x, np.repeat(np.array(numbers, np.int32), counts), len(train_classes))


def _split_root(directory: Path, split: Split) -> Path:
    """The directory itself, or the sub-folder of this split if all sub-folders are named as splits."""
    folders = set(_class_names(directory))
    named_as_splits = "train" in folders and len(folders) > 1 and folders <= set(_SPLITS["test"])
    if named_as_splits and not _image_files(directory, "*"):
        return directory / next(name for name in _SPLITS[split] if name in folders)
    return directory


def _class_names(root: Path) -> list[str]:
    return sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _image_files(root: Path, pattern: str) -> list[Path]:
    return sorted(
        path
        for path in root.glob(pattern)
        if path.suffix.lower() in EXTENSIONS
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.is_file()
    )


def _read_images(paths: list[Path], name: str) -> np.ndarray:
    """The images as uint8 [N, H, W, 1 or 3].

    Two passes, so that sizes are compared, and memory is reserved once, before anything is decoded.
    """
    headers = [_with_image(path, name, lambda image: (image.size, image.mode)) for path in paths]
    sizes = [size for size, _ in headers]
    usual = Counter(sizes).most_common(1)[0][0]
    for path, (size, mode) in zip(paths, headers, strict=True):
        if size != usual:
            raise InputError(
                f"{name}: {path} is {size[0]}x{size[1]} pixels where "
                f"{paths[sizes.index(usual)].name} is {usual[0]}x{usual[1]}; resize all images to "
                "one size"
            )
        if mode.startswith(_DEEP_MODES):
            raise InputError(f"{name}: {path} has more than 8 bits per channel (mode {mode}); convert it to 8")
    grey = all(mode in _GREY_MODES for _, mode in headers)
    mode, channels = ("L", 1) if grey else ("RGB", 3)
    x = np.empty((len(paths), usual[1], usual[0], channels), np.uint8)
    for row, path in zip(x, paths, strict=True):
        pixels = _with_image(path, name, lambda image: np.asarray(image.convert(mode)))
        row[...] = pixels.reshape(row.shape)
    return x


def _with_image(path: Path, name: str, use: "Callable[[Image.Image], T]") -> T:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return use(image)
    # A damaged image makes Pillow raise nearly anything: OSError, SyntaxError, ValueError,
    # struct.error, DecompressionBombError ...
    except Exception as error:
        raise InputError(
            f"{name}: {path} is not a readable image ({type(error).__name__}); replace or remove it"
        ) from error
