"""Pictures that move, and sheets of what moves: a training from the grids that a run saves, walks through latents."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from gan_jax import images
from gan_jax.errors import InputError
from gan_jax.files import atomic
from gan_jax.lab import sampling
from gan_jax.lab.report import frames

MOVING = (".gif", ".webp")
"""How names of files that move end."""

KEYS, BETWEEN = 4, 20
"""A tour leads through so many latents, in so many frames from each to the next."""

_TILES, _COLUMNS, _WIDEST = 16, 4, 320
_SMALLEST = 300
_SECONDS, _SLOWEST, _FASTEST, _HELD = 8000, 400, 40, 2000  # Milliseconds.


def history(run: Path) -> dict[int, Path]:
    """The sample grids of a run by step, at most `frames.MOST` of them, with the first and the last.

    Raises:
      InputError: there are none.
    """
    grids = frames.of_run(run)
    if not grids:
        raise InputError(
            f"{run / 'samples'} holds no grids to show the history of: choose a run that has drawn some, see its "
            "--sample-every"
        )
    return {step: grids[step] for step in frames.thinned(list(grids), frames.MOST)}


def write_history(out: Path, grids: dict[int, Path], *, invert: bool = False) -> int:
    """Writes grids by step as a file that moves, or as a sheet of at most 4 x 4 in a PNG; returns how many it shows.

    Raises:
      InputError: a grid can't be read.
      OSError: the file can't be written.
    """
    sheet = out.suffix not in MOVING
    steps = frames.thinned(list(grids), _TILES) if sheet else list(grids)
    pictures = [read(grids[step], invert=invert) for step in steps]
    pictures = images.captioned([*map(_narrow, pictures)] if sheet else pictures, [f"step {step:,}" for step in steps])
    if sheet:
        # White between them is black between negatives.
        images.save_png(out, images.grid(255 - np.stack(pictures), _COLUMNS, gap=8, invert=True))
    else:
        pace = max(_FASTEST, min(_SLOWEST, _SECONDS // len(pictures)))
        write_moving(out, pictures, [*[pace] * (len(pictures) - 1), max(pace, _HELD)])
    return len(steps)


def write_moving(
    out: Path, pictures: Sequence[np.ndarray], milliseconds: Sequence[int], *, quality: int | None = None
) -> None:
    """Writes uint8 RGB pictures of one size as a GIF or WebP that repeats; it appears whole or not at all.

    Args:
      out: the file, whose name ends as one of `MOVING`.
      pictures: of one size.
      milliseconds: that each is shown.
      quality: of WebP from 0 to 100, where its pixels need not be exact; None for a file without loss.
    """
    first, *others = (Image.fromarray(picture) for picture in pictures)
    # WebP without loss unless told otherwise: lossy, the noise of raw samples takes as much room.
    lossy = {"lossless": True} if quality is None else {"quality": quality}
    settings = lossy if out.suffix == ".webp" else {"optimize": True}
    with atomic(out) as partial:
        first.save(
            partial,
            format=out.suffix[1:].upper(),
            save_all=True,
            append_images=others,
            duration=list(milliseconds),
            loop=0,
            **settings,
        )


def tour(ends: jax.Array) -> Iterator[jax.Array]:
    """The latents of each frame, `[N, Z]`, of N closed walks through latents [KEYS, N, Z]: at the end comes the first.

    From each to the next leads a straight line, as in `sampling.interpolations`.
    """
    n = ends.shape[1]
    for start, end in zip(ends, jnp.roll(ends, -1, axis=0), strict=True):
        pairs = jnp.stack([start, end], axis=1).reshape(2 * n, -1)
        walk = sampling.interpolations(pairs, BETWEEN + 1).reshape(n, BETWEEN + 1, -1)
        yield from walk[:, :-1].swapaxes(0, 1)


def enlarged(picture: np.ndarray) -> np.ndarray:
    """A picture whose pixels are squares, so large that it can be looked at."""
    factor = max(1, -(-_SMALLEST // max(picture.shape[:2])))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def read(file: Path, *, invert: bool = False) -> np.ndarray:
    """A picture of a file, uint8 RGB.

    Raises:
      InputError: it can't be read.
    """
    try:
        with Image.open(file) as image:
            picture = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # What Pillow raises of files that are no whole pictures.
        raise InputError(f"{file} can't be read ({error}): remove it, or copy it again") from error
    return 255 - picture if invert else picture


def _narrow(picture: np.ndarray) -> np.ndarray:
    """A picture no wider than a tile."""
    height, width, _ = picture.shape
    if width <= _WIDEST:
        return picture
    image = Image.fromarray(picture).resize((_WIDEST, round(height * _WIDEST / width)), Image.Resampling.LANCZOS)
    return np.asarray(image)
