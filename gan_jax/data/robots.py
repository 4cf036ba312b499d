"""The robots of robohash's first set: 32 x 32 or 64 x 64 colour images whose six factors are known.

Every robot is five drawn layers, of ten each, in one of ten colours: a million robots. The layers come with the package
`robohash` (the extra `robots`); they are composed once, and kept in the user's cache as prepared data. The art is by
Zikri Kader, from robohash.org, CC-BY 3.0, and so are images composed of it: name both where you show some.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int32

from gan_jax.data import factors as made
from gan_jax.data import prepared, preparing
from gan_jax.data.dataset import Dataset, Split
from gan_jax.data.originals import Originals
from gan_jax.errors import InputError
from gan_jax.files import LOCK, kept, lock

if TYPE_CHECKING:
    from PIL import Image

CREDIT = "robots by Zikri Kader (robohash.org), CC-BY 3.0"

_PARTS = ("mouth", "eyes", "accessory", "body", "face")

FACTORS: made.Factors = {
    "color": ("blue", "brown", "green", "grey", "orange", "pink", "purple", "red", "white", "yellow"),
    **{part: tuple(f"{part}-{number:02}" for number in range(1, 11)) for part in _PARTS},
}
"""The names of the values of each factor, those of the package's files."""

COUNTS: dict[Split, int] = {"train": 50_000, "test": 10_000}
"""Robots of each split, all of them different."""

_UPWARDS = ("body", "face", "accessory", "eyes", "mouth")  # As robohash lays them one on the other.
_GROUND = (200, 215, 230)  # RGB, on which white and grey robots can be seen.
_SIDE = 300  # Pixels of a layer.
_VERSION = 1  # Of what is kept: another one is composed anew.


def load(place: str = "", split: Split = "train") -> Dataset:
    """50,000 training or 10,000 test robots, 32 x 32 x 3 or 64 x 64 x 3, memory-mapped.

    They are drawn from all combinations of factors, without replacement: no robot of one split is in the other. The
    first call composes them, which takes a minute or two, and goes on where it was stopped.

    Args:
      place: SIZE or SIZE/FACTOR, the label: "32", "64/face"; nothing for "32/color".
      split: "train" or "test".

    Raises:
      InputError: there is no such size or factor, robohash is not installed, or the cache can't be written.
    """
    size, factor = made.read("robots", place, FACTORS)
    found = _prepared(size, split)
    return made.labelled("robots", found.x, factors(split), factor, FACTORS, found.notes, found.fingerprint)


def factors(split: Split = "train") -> Int32[np.ndarray, "n 6"]:
    """Of every robot of a split the numbers of its values, by `FACTORS`: color, mouth, eyes, accessory, body, face."""
    counts = tuple(len(values) for values in FACTORS.values())
    # One permutation for both splits: their combinations differ.
    drawn = np.random.default_rng(0).permutation(np.prod(counts))[: sum(COUNTS.values())]
    of_split = drawn[: COUNTS["train"]] if split == "train" else drawn[COUNTS["train"] :]
    return np.stack(np.unravel_index(of_split, counts), axis=1).astype(np.int32)


class Art:
    """The layers of all robots, decoded."""

    def __init__(self) -> None:
        """Reads the package's files.

        Raises:
          InputError: robohash is not installed, or has other files.
        """
        from PIL import Image

        root = _package() / "sets" / "set1"
        self._layers: dict[tuple[str, str], tuple[Image.Image, tuple[int, int]]] = {}
        for path in root.glob("*/*/*.png"):
            if (found := re.search(r"_([a-z]+-\d+)\.png$", path.name)) is None:
                continue
            with Image.open(path) as file:
                layer = file.convert("RGBA")
            box = layer.getbbox() or (0, 0, 1, 1)
            if layer.size == (_SIDE, _SIDE):
                self._layers[path.relative_to(root).parts[0], found[1]] = layer.crop(box), box[:2]
        missing = [
            f"{color} {value}"
            for color in FACTORS["color"]
            for part in _PARTS
            for value in FACTORS[part]
            if (color, value) not in self._layers
        ]
        if missing:
            raise InputError(
                f"robots: robohash {importlib.metadata.version('robohash')} has no layer {missing[0]} of "
                f"{_SIDE} x {_SIDE} pixels: {_INSTALL}"
            )

    def robot(self, numbers: np.ndarray) -> "Image.Image":
        """The robot of these values, int `[6]`, in RGB, 300 x 300."""
        from PIL import Image

        color, *values = (names[number] for names, number in zip(FACTORS.values(), numbers, strict=True))
        worn = dict(zip(_PARTS, values, strict=True))
        image = Image.new("RGB", (_SIDE, _SIDE), _GROUND)
        for part in _UPWARDS:
            layer, corner = self._layers[color, worn[part]]
            image.paste(layer, corner, layer)
        return image


_INSTALL = "pip install 'gan-jax[robots]'"


def _package() -> Path:
    """Where robohash lies. Its code, which is not needed, is not imported."""
    spec = importlib.util.find_spec("robohash")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"robots are composed from the art in robohash, which is not installed: {_INSTALL}")
    return Path(spec.submodule_search_locations[0])


def _prepared(size: int, split: Split) -> Dataset:
    """The images of a split, from the cache."""
    _package()
    if (cache := kept("data")) is None:
        raise InputError(
            "robots are composed once and kept, and your cache directory can't be written: set XDG_CACHE_HOME to the "
            "absolute path of one that can"
        )
    directory = cache / f"robots-{size}-{_digest()}"
    if (directory / prepared.RECORD).exists():
        with contextlib.suppress(InputError):  # Looked into below, by one process at a time.
            return prepared.load(directory, split)
    with contextlib.suppress(FileExistsError):
        directory.mkdir()
    with lock(directory, wait=True):
        if (directory / prepared.RECORD).exists():
            try:
                return prepared.load(directory, split)
            except InputError as error:
                warnings.warn(f"composing the robots again, because what was kept is bad: {error}", stacklevel=2)
                for path in directory.iterdir():
                    if path.name != LOCK:
                        path.unlink()
        _compose(size, directory)
        return prepared.load(directory, split)


def _compose(size: int, directory: Path) -> None:
    """Prepares all robots, or goes on."""
    from tqdm import tqdm

    art = Art()
    numbers = np.concatenate([factors("train"), factors("test")])
    names = list(FACTORS.values())
    originals = Originals(
        spec="robots",
        names=[" ".join(of[n] for of, n in zip(names, row, strict=True)) for row in numbers.tolist()],
        tested=np.arange(len(numbers)) >= COUNTS["train"],
        labels=None,
        classes=(),
        channels=3,
        notes=(CREDIT,),
        digest=_digest(),
        open=lambda number: contextlib.nullcontext(art.robot(numbers[number])),
    )
    if sys.stderr is not None:
        text = f"robots:{size}: composing {len(numbers):,} images, once, in a minute or two; {directory} keeps them"
        tqdm.write(text, file=sys.stderr)
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    with tqdm(total=len(numbers), desc=f"robots:{size}", unit="image", leave=False, disable=not on_terminal) as bar:
        preparing.prepare(
            originals,
            preparing.Options((size, size)),
            directory,
            workers=os.cpu_count() or 1,
            strict=True,
            report=lambda done: bar.update(done - bar.n) and None,
        )


def _digest() -> str:
    """What other images would change."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr((_VERSION, importlib.metadata.version("robohash"), _GROUND)).encode())
    for split in COUNTS:
        digest.update(factors(split).data)
    return digest.hexdigest()
