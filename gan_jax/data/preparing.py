"""Makes prepared data: images of any size brought to one, on all cores, the same bytes however often it was stopped."""

import contextlib
import dataclasses
import errno
import functools
import hashlib
import io
import json
import math
import os
import shutil
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from gan_jax.data import folder, prepared
from gan_jax.data.classes import listed
from gan_jax.data.dataset import Split
from gan_jax.data.originals import Originals
from gan_jax.data.prepared import HEADER_BYTES, RECORD, UNFINISHED, Part, Record
from gan_jax.errors import InputError
from gan_jax.files import atomic

if TYPE_CHECKING:
    from PIL import Image

Crop = Literal["center", "none"]

_PIECE = 32  # Images that a thread decodes at a time.
_AHEAD = 4  # Pieces that are decoded or wait to be written, per thread.
_SECONDS_BETWEEN_NOTES = 5.0
# What makes one file unreadable; any other error of the system is of the disk or the network, and stops everything.
_OF_ONE_FILE = frozenset({errno.EACCES, errno.EPERM, errno.ENOENT, errno.ELOOP, errno.EISDIR})


@dataclasses.dataclass(frozen=True)
class Options:
    """How images are prepared.

    Attributes:
      size: height and width of all images.
      crop: "center" cuts to the aspect ratio of the size, "none" squeezes the whole image into it.
      channels: 1 for grey, 3 for RGB; None for grey where all training images are stored as grey, else RGB.
      test_share: the share of each class that is set aside as a test split.
    """

    size: tuple[int, int]
    crop: Crop = "center"
    channels: int | None = None
    test_share: float = 0.0


class _Converted(NamedTuple):
    """Images that were read one after the other: their numbers, their pixels, and why the others are left out."""

    kept: list[int]
    pixels: list[np.ndarray]
    left_out: dict[int, str]


class _Stand(NamedTuple):
    """How far a preparation is.

    Attributes:
      channels: of the prepared images.
      done: how many of the originals are done.
      left_out: those among them that could not be read, by number, and why.
    """

    channels: int
    done: int
    left_out: dict[int, str]


def prepare(
    originals: Originals,
    options: Options,
    directory: Path,
    *,
    workers: int,
    strict: bool = False,
    report: Callable[[int], None] = lambda done: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Record | None:
    """Prepares images, or goes on where this was stopped; the bytes are a function of originals and options alone.

    Images are turned as EXIF says, brought to grey or RGB, cropped, and resized by Pillow's Lanczos filter, which
    averages over all pixels where an image becomes smaller. The order is that of `Originals`.

    Threads, not processes: nearly all of the time Pillow decodes or resizes, outside Python's lock.

    Args:
      originals: the images.
      options: how.
      directory: where to, an existing directory that nobody else prepares into.
      workers: threads.
      strict: whether an image that can't be read is an error; else it is left out.
      report: called with how many images are done: at the start, and again and again.
      stopped: asked again and again whether to stop.

    Returns:
      What was written, or None where it was stopped.

    Raises:
      InputError: the directory holds something else, the disk is full, no image can be read, or the test share is more
        or less than the images can give.
    """
    tested = split_off(originals, options.test_share)
    request = _json({"source": _source_of(originals), "options": dataclasses.asdict(options)})
    if (directory / RECORD).exists():
        return _finished(directory, request)
    _check_vacant(directory)
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        # Of odd metadata that is not used: the images are read all the same.
        warnings.simplefilter("ignore", UserWarning)
        try:
            stand = _begun(directory, request) or _Stand(_channels(originals, options, pool), 0, {})
            _check_space(originals, options, stand, tested, directory)
            with contextlib.closing(_Writer(originals, options, stand, tested, directory, request)) as writer:
                report(writer.done)
                pieces = (
                    range(start, min(start + _PIECE, len(originals)))
                    for start in range(writer.done, len(originals), _PIECE)
                )
                convert = functools.partial(_converted, originals, options, stand.channels)
                for piece in _in_order(pool, convert, pieces, _AHEAD * workers):
                    if strict and piece.left_out:
                        raise _unreadable(originals, piece)
                    writer.write(piece)
                    report(writer.done)
                    if stopped():
                        return None
                return writer.finish()
        except OSError as error:
            raise InputError(
                f"{directory} can't be written any more ({error.strerror or error}): make room or make it writable, "
                "then type the same command, which goes on"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def split_off(originals: Originals, share: float) -> np.ndarray:
    """Which images are for tests, bool `[N]`: those that the source says, or a share of each class.

    The share is those whose names have the smallest hashes, so that most stay where they are when others are added. At
    least one image of each class is for training.

    Raises:
      InputError: the source has a test split already, or the share is too small to have an image.
    """
    if share == 0:
        return originals.tested
    if originals.tested.any():
        raise InputError(f"{originals.spec} has a test split of its own: leave out --test-share")
    hashes = [hashlib.blake2b(os.fsencode(name), digest_size=8).digest() for name in originals.names]
    labels = np.zeros(len(hashes), np.int32) if originals.labels is None else originals.labels
    order = np.lexsort((np.array([int.from_bytes(of, "big") for of in hashes], np.uint64), labels))
    tested = np.zeros(len(hashes), bool)
    for same in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        tested[same[: min(round(share * len(same)), len(same) - 1)]] = True
    if not tested.any():
        raise InputError(f"--test-share {share:g} of {originals.spec} is less than one image: give a larger share")
    return tested


def fitted(image: "Image.Image", options: Options, channels: int) -> np.ndarray:
    """One image as prepared data holds it, uint8 `[H, W, C]`."""
    from PIL import Image

    height, width = options.size
    image = folder.upright(_eight_bits(image), "L" if channels == 1 else "RGB")
    if options.crop == "center":
        # The largest part of the image that has the aspect ratio, at least a pixel.
        cut = max(1, min(image.width, round(image.height * width / height)))
        high = max(1, min(image.height, round(image.width * height / width)))
        left, top = (image.width - cut) // 2, (image.height - high) // 2
        image = image.crop((left, top, left + cut, top + high))
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(height, width, channels)


def _eight_bits(image: "Image.Image") -> "Image.Image":
    """Grey of 16 bits brought to 8, which Pillow would clip; anything else as it is."""
    from PIL import Image, ImageOps

    if image.mode in ("I", "F"):
        raise ValueError("more than 8 bits per channel, of an unknown range")
    if not image.mode.startswith("I;16"):
        return image
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    return Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))


def _source_of(originals: Originals) -> dict[str, str]:
    return {"spec": originals.spec, "digest": originals.digest}


def _finished(directory: Path, request: dict[str, Any]) -> Record:
    """What was prepared here before by the same command. Raises InputError where it was another."""
    record = prepared.read(f"prepared:{directory}", directory)
    _check_same(directory, {"source": dict(record.source), "options": _json(record.options)}, request)
    _clear(directory)
    return record


def _clear(directory: Path) -> None:
    """Removes what is of use to an unfinished preparation only, and what a kill in the middle of a note has left."""
    for path in (directory / UNFINISHED, *directory.glob(".*.partial")):
        path.unlink(missing_ok=True)


def _check_same(directory: Path, before: Any, request: dict[str, Any]) -> None:
    if before == request:
        return
    if not isinstance(before, dict) or before.get("source", {}).get("spec") != request["source"]["spec"]:
        what = "other data"
    elif before.get("options") != request["options"]:
        what = "the same data prepared with other options"
    else:
        what = "this data as it was before files of it changed"
    raise InputError(f"{directory} holds {what}: delete it, or choose a different --out")


def _check_vacant(directory: Path) -> None:
    """Raises InputError where something lies there that no preparation wrote."""
    own = {path.name for split in get_args(Split) for path in _paths(directory, split)} | {UNFINISHED}
    names = sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
    others = [name for name in names if name not in own]
    unknown = not (directory / UNFINISHED).exists() and any((directory / name).exists() for name in own)
    if others or unknown:
        raise InputError(
            f"{directory} holds other files already ({listed(others or sorted(own))}): choose a different --out"
        )


def _begun(directory: Path, request: dict[str, Any]) -> _Stand | None:
    """How far this preparation was when it was stopped; None where it was not begun.

    Raises:
      InputError: another one was begun here.
    """
    file = directory / UNFINISHED
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        before = found["request"]
        stand = _Stand(found["channels"], found["done"], {int(n): why for n, why in found["left_out"].items()})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} can't be read ({error!r}): delete {directory}, or choose a different --out"
        ) from error
    _check_same(directory, before, request)
    return stand


def _check_space(originals: Originals, options: Options, stand: _Stand, tested: np.ndarray, directory: Path) -> None:
    """Raises InputError where what is still to be written is more than the disk has room for."""
    needed = (len(originals) - stand.done) * stand.channels * options.size[0] * options.size[1]
    if needed > (free := shutil.disk_usage(directory).free):
        raise InputError(
            f"{directory} needs {needed / 2**20:,.0f} MiB and its disk has {free / 2**20:,.0f}: free some space, or "
            "choose a smaller --size or a different --out"
        )


def _channels(originals: Originals, options: Options, pool: ThreadPoolExecutor) -> int:
    """One where all training images are stored as grey, else three."""
    if (channels := options.channels or originals.channels) is not None:
        return min(channels, 3)

    def all_grey(numbers: Sequence[int]) -> bool:
        for number in numbers:
            # What can't be read is left out, and named then.
            with contextlib.suppress(Exception), originals.open(number) as image:
                if not folder.header(image).grey:
                    return False
        return True

    train = [number for number in range(len(originals)) if not originals.tested[number]]
    pieces = (train[start : start + _PIECE] for start in range(0, len(train), _PIECE))
    return 1 if all(_in_order(pool, all_grey, pieces, _AHEAD)) else 3


def _in_order(pool: ThreadPoolExecutor, do: Callable[[Any], Any], pieces: Iterator[Any], ahead: int) -> Iterator[Any]:
    """What `do` makes of the pieces, in their order, so many of them under way."""
    waiting: deque[Future[Any]] = deque()
    for piece in pieces:
        waiting.append(pool.submit(do, piece))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _converted(originals: Originals, options: Options, channels: int, numbers: Sequence[int]) -> _Converted:
    """Raises InputError where not an image is at fault, but what it lies on."""
    found = _Converted([], [], {})
    for number in numbers:
        try:
            with originals.open(number) as image:
                found.pixels.append(fitted(image, options, channels))
            found.kept.append(number)
        # A damaged image makes Pillow raise nearly anything: OSError, SyntaxError, ValueError, struct.error,
        # DecompressionBombError; a damaged archive or record zlib.error, BadZipFile, RuntimeError ...
        except Exception as error:
            errno_of, reason = getattr(error, "errno", None), getattr(error, "strerror", None) or type(error).__name__
            of_this_file = errno_of is None or errno_of in _OF_ONE_FILE
            if not of_this_file or isinstance(error, MemoryError) or not originals.there():
                raise InputError(
                    f"{originals.spec}: {originals.names[number]} can't be read any more ({reason}): see to that, then "
                    "type the same command, which goes on"
                ) from error
            found.left_out[number] = reason
    return found


def _unreadable(originals: Originals, piece: _Converted) -> InputError:
    number, why = next(iter(piece.left_out.items()))
    return InputError(
        f"{originals.spec}: {originals.names[number]} is not a readable image ({why}): replace or remove it, or leave "
        "out --strict, and it is left out"
    )


class _Writer:
    """The arrays of a preparation, and beside them how far it is."""

    def __init__(
        self,
        originals: Originals,
        options: Options,
        stand: _Stand,
        tested: np.ndarray,
        directory: Path,
        request: dict[str, Any],
    ) -> None:
        """Opens the files, cut to what is known to be whole."""
        self._originals, self._tested, self._directory, self._request = originals, tested, directory, request
        self._channels, self.done, self._left_out = stand
        self._shape = (*options.size, stand.channels)
        self._files: dict[Split, IO[bytes]] = {}
        self._noted = time.monotonic()
        sizes = {split: HEADER_BYTES + self._count(split) * math.prod(self._shape) for split in self._splits}
        paths = {split: prepared.images_path(directory, split) for split in self._splits}
        if self.done and not all(
            path.exists() and path.stat().st_size >= sizes[split] for split, path in paths.items()
        ):
            # The machine failed before the disk had everything.
            self.done, self._left_out, sizes = 0, {}, dict.fromkeys(sizes, HEADER_BYTES)
        if not self.done:
            self._note()
        for split, path in paths.items():
            self._files[split] = file = open(path, "r+b" if path.exists() else "w+b")  # noqa: SIM115
            file.truncate(sizes[split])
            file.seek(sizes[split])

    @property
    def _splits(self) -> list[Split]:
        return ["train", "test"] if self._tested.any() else ["train"]

    def _kept(self, split: Split) -> np.ndarray:
        """The numbers of the originals that are written of a split."""
        of = self._tested[: self.done] == (split == "test")
        of[np.array(list(self._left_out), np.int64)] = False
        return np.flatnonzero(of)

    def _count(self, split: Split) -> int:
        return len(self._kept(split))

    def write(self, piece: _Converted) -> None:
        """Appends images that come next, and now and then notes how far this is."""
        for number, pixels in zip(piece.kept, piece.pixels, strict=True):
            self._files["test" if self._tested[number] else "train"].write(pixels.data)
        self._left_out |= piece.left_out
        self.done += len(piece.kept) + len(piece.left_out)
        if time.monotonic() - self._noted > _SECONDS_BETWEEN_NOTES:
            self._note()

    def _note(self) -> None:
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())  # Before the note: after a power cut what it says must be there.
        note = {"request": self._request, "channels": self._channels, "done": self.done, "left_out": self._left_out}
        with atomic(self._directory / UNFINISHED) as partial:
            partial.write_text(json.dumps(note), encoding="utf-8")
        self._noted = time.monotonic()

    def close(self) -> None:
        """Notes how far this is, and closes the files."""
        with contextlib.ExitStack() as stack:
            for file in self._files.values():
                stack.callback(file.close)
            if self._files and (self._directory / UNFINISHED).exists():
                self._note()

    def finish(self) -> Record:
        """Writes headers, labels and prepared.json, by which the data is whole."""
        originals, left_out = self._originals, self._left_out
        kept = {split: self._kept(split) for split in self._splits}
        if not len(kept["train"]):
            number, why = next(iter(left_out.items()))
            raise InputError(
                f"{originals.spec}: none of the {len(originals)} images can be read, such as {originals.names[number]} "
                f"({why}): give images"
            )
        parts: dict[Split, Part] = {}
        classes, labels = self._labelled(kept["train"])
        for split, numbers in kept.items():
            path, file = prepared.images_path(self._directory, split), self._files[split]
            if not len(numbers):
                path.unlink()
                continue
            file.seek(0)
            file.write(_header((len(numbers), *self._shape)))
            file.flush()
            os.fsync(file.fileno())
            digest = None
            if labels is not None:
                of = prepared.labels_path(self._directory, split)
                with atomic(of) as partial, open(partial, "wb") as written:
                    np.save(written, labels[numbers])
                digest = prepared.checksum(of)
            parts[split] = Part(len(numbers), prepared.checksum(path), digest)
        record = Record(
            source=_source_of(originals),
            options=self._request["options"],
            shape=self._shape,
            classes=classes,
            splits=parts,
            left_out={originals.names[number]: why for number, why in left_out.items()},
            notes=self._notes(classes, parts["train"].count),
        )
        with atomic(self._directory / RECORD) as partial:
            partial.write_text(json.dumps(prepared.as_json(record), indent=2) + "\n", encoding="utf-8")
        _clear(self._directory)
        return record

    def _labelled(self, train: np.ndarray) -> tuple[tuple[str, ...], np.ndarray | None]:
        """The classes that have a training image, and the labels of all originals by them."""
        written, names = self._originals.labels, self._originals.classes
        if written is None:
            return (), None
        present = np.unique(written[train])
        numbers = np.full(len(names), -1, np.int32)
        numbers[present] = np.arange(len(present))
        tests = self._kept("test")
        if (lost := tests[numbers[written[tests]] < 0]).size:
            raise InputError(
                f"{self._originals.spec}: no training image of class {names[written[lost[0]]]} can be read, and the "
                "test split has some: add one, or remove the class"
            )
        return tuple(names[number] for number in present), numbers[written]

    def _notes(self, classes: Sequence[str], count: int) -> tuple[str, ...]:
        originals = self._originals
        notes = list(originals.notes)
        if self._left_out:
            notes.append(f"not readable and left out: {listed([originals.names[number] for number in self._left_out])}")
        if empty := [c for c in originals.classes if c not in classes]:
            notes.append(f"classes without a readable image: {listed(empty)}")
        if count > 1 and len(classes) == count:
            notes.append("every example has a class of its own: sub-folders or labels are classes")
        return tuple(notes)


def _header(shape: tuple[int, ...]) -> bytes:
    """The header of a .npy file of uint8, of the same length for any number of images."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    assert len(header.getvalue()) == HEADER_BYTES
    return header.getvalue()


def _paths(directory: Path, split: Split) -> tuple[Path, Path]:
    return prepared.images_path(directory, split), prepared.labels_path(directory, split)


def _json(value: Any) -> Any:
    """A value as it comes back from JSON."""
    return json.loads(json.dumps(value))
