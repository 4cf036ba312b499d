"""Find images of any size in a folder, an archive or a data set, to be prepared."""

import contextlib
import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gan_jax.data import classes, folder, sources
from gan_jax.data.folder import Folder
from gan_jax.data.originals import Originals
from gan_jax.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from gan_jax.data import tfds_source

# No image that a GAN learns from is larger, and each thread holds one of them.
_MEMBER_BYTES = 2**28
_MAX_DEFLATE_RATIO = 1032  # No deflate stream expands more.

FORMS = "a folder, a .zip, tfds:NAME, idx:DIR or npz:FILE"


def find(source: str) -> Originals:
    """Lists the images of a source; decodes none of a folder or an archive.

    - A folder is laid out as `folder.load_directory` takes it, but for sizes and depths.
    - So is a .zip, which is never unpacked. A single folder around everything else is passed through.
    - `tfds:NAME` is read record by record; everything else that `gan_jax.data.load` takes is loaded.

    Args:
      source: path of a folder or a .zip, or a spec.

    Raises:
      InputError: there is no such source, it holds no images, or it is an archive that is broken, encrypted, holds
        paths outside itself or expands without end.
    """
    kind, _, place = source.partition(":")
    if kind == "tfds" and place:
        from gan_jax.data import tfds_source  # Not earlier: it imports tensorflow-datasets.

        return _of_records(source, tfds_source.records(place))
    if kind in ("folder", "zip") and place:
        return (_of_folder if kind == "folder" else _of_zip)(sources.path(place).absolute())
    if sources.is_spec(source):
        return _of_dataset(source)
    path = sources.path(source).absolute()
    if path.is_dir():
        found = sources.kind_of_path(source)
        return _of_folder(path) if found in ("folder", None) else _of_dataset(f"{found}:{path}")
    if path.suffix.lower() == ".npz":
        return _of_dataset(f"npz:{path}")
    if path.is_file():
        return _of_zip(path)
    raise InputError(f"there is no {source}: give {FORMS}")


def _of_folder(path: Path) -> Originals:
    spec = f"folder:{path}"
    layout = folder.laid_out(spec, path, "test", folder.walk)
    files, digest = _files(layout), hashlib.blake2b(digest_size=8)
    try:
        for file in files:
            stat = file.stat() if file.exists() else None  # A link may lead nowhere.
            digest.update(_bytes((str(file), stat and (stat.st_size, stat.st_mtime_ns))))
    except OSError as error:
        raise InputError(f"{spec}: {file} can't be read ({error.strerror or error}): make it readable") from error

    @contextlib.contextmanager
    def opened(number: int) -> "Iterator[Image.Image]":
        from PIL import Image

        # Given a path, Pillow maps raw pixels into memory, and reads those of a TIFF that is to be turned wrongly.
        with open(files[number], "rb") as file, Image.open(file) as image:
            yield image

    return _laid_out(spec, path, layout, files, digest.hexdigest(), opened, path.is_dir)


def _of_zip(path: Path) -> Originals:
    spec = f"zip:{path}"
    try:
        archive, size = zipfile.ZipFile(path), path.stat().st_size
        # Of two members with one name the last one counts, as everywhere.
        members = {path / name: info for info in archive.infolist() if (name := _place(spec, info)) is not None}
    except InputError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{spec}: the archive can't be read ({reason}): download or pack it again") from error
    ordered = sorted(members)
    pictures = [file for file in ordered if folder.is_named_as_image(file)]
    _check_members(spec, [members[file] for file in pictures], size)
    # Many archives hold one folder, and everything in it.
    inside = path
    while len(tops := {file.relative_to(inside).parts[0] for file in pictures}) == 1:
        (top,) = tops
        if inside / top in members:
            break
        inside /= top
    layout = folder.laid_out(spec, inside, "test", lambda at: _folder_in(at, ordered))
    files, digest = _files(layout), hashlib.blake2b(digest_size=8)
    for file in files:
        info = members[file]
        digest.update(_bytes((info.filename, info.CRC, info.file_size)))

    @contextlib.contextmanager
    def opened(number: int) -> "Iterator[Image.Image]":
        from PIL import Image

        # Unpacked in memory: Pillow goes back and forth, for which an archive would be unpacked again and again.
        with Image.open(io.BytesIO(archive.read(members[files[number]]))) as image:
            yield image

    return _laid_out(spec, inside, layout, files, digest.hexdigest(), opened, path.is_file)


def _place(spec: str, info: zipfile.ZipInfo) -> Path | None:
    """Where a member lies within the archive; None of folders and of what is hidden.

    Raises:
      InputError: it lies outside.
    """
    name = info.filename.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name):
        raise InputError(
            f"{spec}: the archive holds a path outside itself, {info.filename!a}: pack it again without that file"
        )
    return Path(*parts) if parts and not info.is_dir() and all(map(folder.is_listed, parts)) else None


def _check_members(spec: str, pictures: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Raises InputError for images that are encrypted, or that expand to more than an archive of this size can hold."""
    for info in pictures:
        name = ascii(info.filename)
        if info.flag_bits & 1:
            raise InputError(f"{spec}: {name} is encrypted: unpack the archive with its password, and give the folder")
        if info.file_size > _MEMBER_BYTES:
            raise InputError(
                f"{spec}: {name} expands to {info.file_size / 2**20:,.0f} MiB, and images have at most "
                f"{_MEMBER_BYTES >> 20}: pack the archive again without that file"
            )
    if (total := sum(info.file_size for info in pictures)) > _MAX_DEFLATE_RATIO * size:
        raise InputError(
            f"{spec}: the archive has {size:,} bytes and says that it expands to {total:,}, which it can't hold: "
            "download it again, from a source that you trust"
        )


def _folder_in(path: Path, files: Sequence[Path]) -> Folder:
    """A folder in an archive with these files, as `folder.walk` finds those on disk."""
    below = [(file, parts) for file in files if file.is_relative_to(path) and (parts := file.relative_to(path).parts)]
    names = sorted({parts[0] for _, parts in below if len(parts) > 1}, key=classes.natural)
    found: dict[str, list[Path]] = {name: [] for name in names}
    loose, skipped = [], []
    for file, parts in below:
        if not folder.is_named_as_image(file):
            skipped.append(file.name)
        elif len(parts) == 1:
            loose.append(file)
        else:
            found[parts[0]].append(file)
    return Folder(path, loose, found, skipped)


def _of_dataset(spec: str) -> Originals:
    """Of data that is loaded."""
    train, test = sources.load(spec), sources.load(spec, "test")
    if not train.is_image:
        raise InputError(f"{spec} is points, which need no preparing: train on them with --data {spec}")
    if train.conditions is not None:
        raise InputError(f"{spec} is pairs, which are not prepared: train on them with --data {spec}")
    splits = [train] if test.fingerprint == train.fingerprint else [train, test]
    counts = [len(split) for split in splits]
    labels = np.concatenate([split.labels for split in splits if split.labels is not None] or [np.zeros(0, np.int32)])
    place = sources.path_of(spec)

    @contextlib.contextmanager
    def opened(number: int) -> "Iterator[Image.Image]":
        split, number = (train, number) if number < counts[0] else (test, number - counts[0])
        yield _picture(split.x[number])

    return Originals(
        spec=spec if place is None else f"{spec.partition(':')[0]}:{place}",
        names=[f"{number}" for count in counts for number in range(count)],
        tested=np.repeat([False, True], [counts[0], sum(counts[1:])]),
        labels=labels if train.classes else None,
        classes=train.classes,
        channels=train.shape[-1],
        notes=train.notes,
        digest=" ".join(split.fingerprint for split in splits),
        open=opened,
    )


def _of_records(spec: str, found: "tfds_source.Records") -> Originals:
    """Of a data set of tensorflow-datasets, record by record."""
    splits = list(found.splits.values())
    counts = [len(split) for split in splits]

    @contextlib.contextmanager
    def opened(number: int) -> "Iterator[Image.Image]":
        split, number = (splits[0], number) if number < counts[0] else (splits[1], number - counts[0])
        yield _picture(split[number][found.image])

    labelled = {
        split: classes.occurring(spec, of, found.labels["train"], found.declared) for split, of in found.labels.items()
    }
    return Originals(
        spec=spec,
        names=[f"{number}" for count in counts for number in range(count)],
        tested=np.repeat([False, True], [counts[0], sum(counts[1:])]),
        labels=np.concatenate([of.labels for of in labelled.values()]) if labelled else None,
        classes=labelled["train"].classes if labelled else (),
        channels=found.channels,
        notes=labelled["train"].notes if labelled else (),
        digest=found.digest,
        open=opened,
    )


def _picture(x: np.ndarray) -> "Image.Image":
    """Pixels uint8 `[H, W, C]` as an image; a fourth channel is alpha."""
    from PIL import Image

    if x.dtype != np.uint8:
        raise InputError(f"pixels must be uint8, got {x.dtype}")
    return Image.fromarray(x[..., 0] if x.shape[-1] == 1 else np.ascontiguousarray(x))


def _laid_out(
    spec: str,
    root: Path,
    layout: folder.Layout,
    files: Sequence[Path],
    digest: str,
    opened: "Callable[[int], contextlib.AbstractContextManager[Image.Image]]",
    there: Callable[[], bool],
) -> Originals:
    train = layout.train
    of = [train] if layout.chosen is train else [train, layout.chosen]
    names = tuple(train.folders)
    return Originals(
        spec=spec,
        names=[file.relative_to(root).as_posix() for file in files],
        tested=np.repeat([False, True], [len(train.files), len(files) - len(train.files)]),
        labels=np.concatenate([folder.numbers(split, names) for split in of]) if names else None,
        classes=names,
        channels=None,
        notes=folder.left_out(layout),
        digest=digest,
        open=opened,
        there=there,
    )


def _files(layout: folder.Layout) -> list[Path]:
    """Of training, then of tests."""
    return layout.train.files + (layout.chosen.files if layout.chosen is not layout.train else [])


def _bytes(values: tuple[object, ...]) -> bytes:
    return repr(values).encode(errors="surrogateescape")
