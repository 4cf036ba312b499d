"""Folders of image files."""

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from gan_jax.data.classes import listed, natural
from gan_jax.data.dataset import Dataset, Split, check_alike
from gan_jax.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")

EXTENSIONS = frozenset((
    ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif",
    ".tiff", ".webp",
))  # fmt: skip
_TRAIN = ("train", "training")
_TEST = ("test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation")
_UNUSED = ("extra", "unlabeled", "unlabelled", "unsupervised")
# Words that stand beside these in the names of split folders: training_set, seg_train, test-images, train2017.
_FILLERS = frozenset(("data", "dataset", "images", "imgs", "seg", "set", "split"))
_NO_DATA = frozenset(("__macosx", "@eadir", "lost+found"))  # What systems leave in folders: copies, thumbnails.
_GREY_MODES = ("1", "L", "LA", "La")
_PALETTE_MODES = ("P", "PA")
_DEEP_MODES = ("I", "F")  # 16 and 32 bits per channel, which Pillow clips to 8 instead of scaling


class Folder(NamedTuple):
    """A folder and what is in it.

    Attributes:
      path: where it is.
      loose: the image files directly in it, sorted.
      folders: by the names of its sub-folders, in natural order, the image files at any depth below.
      skipped: names of files without the extension of an image, directly in it or at any depth.
    """

    path: Path
    loose: list[Path]
    folders: dict[str, list[Path]]
    skipped: list[str]

    @property
    def files(self) -> list[Path]:
        return self.loose or [path for files in self.folders.values() for path in files]


class Layout(NamedTuple):
    """A directory of images as training takes it.

    Attributes:
      train: the folder of the training images: loose ones alone, or class folders alone.
      chosen: the folder of the split that was asked for; `train` itself where no test images are marked as such.
      unused: names of folders that hold neither.
    """

    train: Folder
    chosen: Folder
    unused: list[str]


class Header(NamedTuple):
    """What is known of an image before it is decoded: height and width as it is seen, and how it is stored."""

    shape: tuple[int, int]
    mode: str
    grey: bool
    frames: bool


def load_directory(directory: Path, split: Split = "train", name: str | None = None) -> Dataset:
    """Loads all the images in a directory, in the order of their sorted paths.

    - Images directly in it are unlabelled. Otherwise each sub-folder is a class, in the natural order of the names (2
      before 10), with all the images at any depth below it, links included.
    - If all sub-folders that hold images are named as splits, they are: `train` or `training` and any of `test`,
      `testing`, `val`, `valid`, `validation`, `dev`, `eval`, `evaluation`, in upper or lower case, also as in
      `training_set`. Each is laid out in the way above, and the classes are those of the training split. The test split
      is the first of these names that exists; other ones, and `extra` or `unlabeled`, are not used. Without one it is
      the training data itself: nothing is held out unless it is marked as such.
    - Images must be of one size. If all training images are stored as grey, with or without alpha, they have one
      channel, otherwise all are converted to RGB, and the test images as well; alpha is dropped, the orientation in
      EXIF is followed, and only the first frame of an animation is read.
    - Hidden files, and files without the extension of an image, are skipped.

    Args:
      directory: the directory.
      split: "train" or "test".
      name: of the data; None for folder:DIRECTORY.

    Raises:
      InputError: the directory is missing, holds no images, mixes loose images and class folders, or splits and
        classes, has a class without images, or an image is unreadable, has more than 8 bits per channel, or differs in
        size.
    """
    name = name or f"folder:{directory}"
    layout = laid_out(name, directory, split, walk)
    train, chosen = layout.train, layout.chosen
    headers = of_train = _headers(name, train.files)
    if chosen is not train:
        headers = _headers(name, chosen.files)
        check_alike(name, headers[0].shape, of_train[0].shape)
    x = _read_images(name, chosen.files, of_train[0].shape, grey=all(header.grey for header in of_train))
    several = [path.name for path, header in zip(chosen.files, headers, strict=True) if header.frames]
    notes = (*left_out(layout), *(_note("of several frames only the first is read", several)))
    if not train.folders:
        return Dataset(name, x, notes=notes)
    return Dataset(name, x, numbers(chosen, tuple(train.folders)), tuple(train.folders), notes)


def laid_out(name: str, directory: Path, split: Split, walk: Callable[[Path], Folder]) -> Layout:
    """The images of a split, and those of training, by the rules of `load_directory`.

    Args:
      name: of the data, for errors.
      directory: where it lies.
      split: "train" or "test".
      walk: finds the files of a folder: `walk`, or what looks into an archive.

    Raises:
      InputError: the directory is missing, holds no images, mixes loose images and class folders, or splits and
        classes, or has a class without images.
    """
    try:
        top = walk(directory)
        roots = _splits(name, top)
        train = _layout(name, walk(roots["train"]) if roots else top)
        chosen = _layout(name, walk(roots["test"])) if split == "test" and "test" in roots else train
    except OSError as error:
        raise InputError(
            f"{name}: can't list the directory ({error.strerror or error}); give a readable directory of images"
        ) from error
    unknown = [c for c in chosen.folders if c not in train.folders]
    if unknown or (bool(chosen.folders) != bool(train.folders)):
        raise InputError(
            f"{name}: {chosen.path.name}/ has classes {unknown or 'none'} where {train.path.name}/ has "
            f"{list(train.folders) or 'none'}; give both the same class folders"
        )
    used = {path.name for path in roots.values()} if roots else set(chosen.folders)
    return Layout(train, chosen, [folder for folder in top.folders if folder not in used])


def left_out(layout: Layout) -> tuple[str, ...]:
    """Notes on what lies there and is no part of the data."""
    return (
        *_note("not used", [f"{folder}/" for folder in layout.unused]),
        *_note("no images by their extension", layout.chosen.skipped),
    )


def numbers(folder: Folder, classes: Sequence[str]) -> np.ndarray:
    """The classes of a folder's files, by number: int32 `[N]`."""
    return np.array([number for number, c in enumerate(classes) for _ in folder.folders.get(c, ())], np.int32)


def _note(what: str, names: Sequence[str]) -> tuple[str, ...]:
    return (f"{what}: {listed(names)}",) if names else ()


def walk(path: Path) -> Folder:
    """The image files of a folder, links to files and to folders followed."""
    entries = _entries(path)
    files = [entry for entry in entries if not entry.is_dir()]
    folders = sorted((entry.name for entry in entries if entry.is_dir()), key=natural)
    below = {folder: list(_files_below(path / folder, (path.resolve(),))) for folder in folders}
    everything = [*files, *(file for found in below.values() for file in found)]
    return Folder(
        path,
        [file for file in files if is_named_as_image(file)],
        {folder: [file for file in found if is_named_as_image(file)] for folder, found in below.items()},
        [file.name for file in everything if not is_named_as_image(file)],
    )


def _files_below(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:  # A link to a folder around it.
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _files_below(entry, (*above, real))
        else:
            yield entry


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if is_listed(entry.name))


def is_listed(name: str) -> bool:
    """Whether a file or folder of this name may be data: it is not hidden, nor what systems leave in folders."""
    return not name.startswith(".") and name.lower() not in _NO_DATA


def is_named_as_image(path: Path) -> bool:
    """Whether a file has the extension of an image."""
    return path.suffix.lower() in EXTENSIONS


def _splits(name: str, top: Folder) -> dict[Split, Path]:
    """The folders of the splits, or nothing where the directory is no parent of splits."""
    full = [folder for folder, files in top.folders.items() if files]
    named = _named_as_splits(full)
    trains = [folder for folder, word in named.items() if word in _TRAIN]
    tests = sorted((folder for folder, word in named.items() if word in _TEST), key=lambda f: _TEST.index(named[f]))
    others = [folder for folder in full if folder not in named]
    if top.loose or not named or (others and not (trains and tests)):
        return {}
    if others:
        raise InputError(
            f"{name}: {others[0]}/ has images and stands beside {trains[0]}/ and {tests[0]}/, which are splits; move "
            "it out of the directory"
        )
    if len(trains) != 1:
        raise InputError(
            f"{name}: expected one training split among {', '.join(f'{folder}/' for folder in named)}, which are named "
            f"as splits, found {' and '.join(f'{folder}/' for folder in trains) or 'none'}; name one folder train, or "
            f"give folder:{top.path / (trains or full)[0]}"
        )
    empty = [folder for folder in _named_as_splits(top.folders) if folder not in full]
    if empty:
        raise InputError(f"{name}: there are no images in the split folder {empty[0]}/; add some or remove it")
    return {"train": top.path / trains[0], **({"test": top.path / tests[0]} if tests else {})}


def _named_as_splits(folders: Iterable[str]) -> dict[str, str]:
    """Those of the folders that are named as splits, with the word that says which."""
    words: dict[str, str] = {}
    rests: dict[str, frozenset[str]] = {}
    for folder in folders:
        parts = [part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", folder)]
        found = [part for part in parts if part in (*_TRAIN, *_TEST, *_UNUSED)]
        if len(found) == 1:
            words[folder] = found[0]
            rests[folder] = frozenset(p for p in parts if p not in found and p not in _FILLERS and len(p) > 1)
    # mnist_train beside mnist_test, but not freight_train beside passenger_train.
    if len(words) == len(list(folders)) > 1 and len(set(rests.values())) == 1:
        return words
    return {folder: word for folder, word in words.items() if not rests[folder]}


def _layout(name: str, folder: Folder) -> Folder:
    """The folder as loose images alone or class folders alone.

    Raises:
      InputError: it is neither.
    """
    full = [c for c, files in folder.folders.items() if files]
    if folder.loose and full:
        raise InputError(
            f"{name}: expected either images or one folder per class, found both ({folder.loose[0].name} "
            f"beside {full[0]}/); move the loose images into class folders"
        )
    if folder.loose:
        return folder._replace(folders={})
    for c, files in folder.folders.items():
        if not files:
            raise InputError(f"{name}: there are no images in the class folder {c}/; add some or remove it")
        inner = {path.relative_to(folder.path).parts[1] for path in files if path.parent != folder.path / c}
        words = set(_named_as_splits(inner).values())
        if words & set(_TRAIN) and words & set(_TEST):
            raise InputError(
                f"{name}: the class folder {c}/ holds splits ({', '.join(sorted(inner))}); put the splits above the "
                f"classes, as in train/{c}/"
            )
        if len(full) == 1 and all(path.parent != folder.path / c for path in files):
            raise InputError(
                f"{name}: {c}/ is the only folder and holds folders, which would all be one class; give "
                f"folder:{folder.path / c}, or move the images up"
            )
    if not full:
        raise InputError(
            f"{name}: there are no images here; give a directory of image files "
            f"({', '.join(sorted(EXTENSIONS))}) or with one folder of them per class"
        )
    return folder


def _headers(name: str, paths: Sequence[Path]) -> list[Header]:
    """Of images of one size with 8 bits per channel; read first, so that nothing is decoded in vain."""
    headers = [with_image(path, name, header) for path in paths]
    shapes = [found.shape for found in headers]
    usual = Counter(shapes).most_common(1)[0][0]
    for path, found in zip(paths, headers, strict=True):
        if found.shape != usual:
            raise _of_another_size(name, path, found.shape, paths[shapes.index(usual)], usual)
        if found.mode.startswith(_DEEP_MODES):
            raise InputError(f"{name}: {path} has more than 8 bits per channel (mode {found.mode}); convert it to 8")
    return headers


def header(image: "Image.Image") -> Header:
    """What is known of an image that was opened and not decoded yet."""
    from PIL import ExifTags

    width, height = image.size
    # TIFF is turned by Pillow itself; a PNG would be decoded by the search for what stands behind its pixels.
    if image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info):
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        width, height = (height, width) if turned else (width, height)
    grey = image.mode in _GREY_MODES
    if image.mode in _PALETTE_MODES:
        colours = np.reshape(image.getpalette("RGB") or [], (-1, 3))
        grey = bool((colours == colours[:, :1]).all())
    return Header((height, width), image.mode, grey, getattr(image, "is_animated", False))


def _read_images(name: str, paths: Sequence[Path], shape: tuple[int, int], *, grey: bool) -> np.ndarray:
    """The images as uint8 [N, H, W, 1 or 3]."""
    mode, channels = ("L", 1) if grey else ("RGB", 3)
    x = np.empty((len(paths), *shape, channels), np.uint8)
    for row, path in zip(x, paths, strict=True):
        pixels = with_image(path, name, lambda image: np.asarray(upright(image, mode)))
        if pixels.shape[:2] != shape:
            raise _of_another_size(name, path, pixels.shape[:2], paths[0], shape)
        row[...] = pixels.reshape(row.shape)
    return x


def upright(image: "Image.Image", mode: str) -> "Image.Image":
    """The image as it is seen, decoded, in mode "L" or "RGB"."""
    from PIL import ImageOps

    image.load()  # By which Pillow turns a TIFF; a second turn would be one too many.
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode in _PALETTE_MODES:
        image = image.convert("RGBA")  # Straight to RGB, Pillow warns of transparency in the palette.
    return image.convert(mode)


def _of_another_size(
    name: str, path: Path, shape: tuple[int, ...], usual: Path, usual_shape: tuple[int, ...]
) -> InputError:
    source = name.removeprefix("folder:")
    advice = "bring all files to one size" if source == name else preparing_advice(source)
    return InputError(
        f"{name}: {path} is {shape[1]}x{shape[0]} pixels where {usual.name} is {usual_shape[1]}x{usual_shape[0]}; "
        f"{advice}"
    )


def preparing_advice(source: str) -> str:
    """How images of several sizes become data, in a phrase."""
    name = re.sub(r"[^\w.+-]+", "-", Path(source.removeprefix("tfds:").partition(":")[0]).name) or "images"
    out = f"prepared/{name}-64"
    return (
        f"bring them to one size with `gan-jax prepare {shlex.quote(source)} --size 64 --out {out}`, and train with "
        f"--data prepared:{out}"
    )


def with_image(path: Path, name: str, use: "Callable[[Image.Image], T]") -> T:
    """What `use` makes of an image file that is open. Raises InputError, which begins with a name, where it can't."""
    from PIL import Image

    try:
        # Given a path, Pillow maps raw pixels into memory, and reads those of a TIFF that is to be turned wrongly.
        with open(path, "rb") as file, Image.open(file) as image:
            return use(image)
    # A damaged image makes Pillow raise nearly anything: OSError, SyntaxError, ValueError,
    # struct.error, DecompressionBombError ...
    except Exception as error:
        raise InputError(
            f"{name}: {path} is not a readable image ({type(error).__name__}); replace or remove it"
        ) from error
