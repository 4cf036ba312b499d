"""Pictures: grids of images, scatter plots of points, PNG files. Host side, NumPy in and out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.checks import check_images
from gan_jax.files import atomic

_LETTERS, _SMALL_LETTERS, _CAPTION = 14, 9, 11  # Pixels.
_LINES = 6
_CAPTIONED = 84  # Pixels of an enlarged image's longer side, at most, unless it is larger itself.

Images = UInt8[np.ndarray, "n height width channels"]


def grid(images: Images, columns: int, *, gap: int = 2, invert: bool = False) -> UInt8[np.ndarray, "rows columns 3"]:
    """Images in rows, on black, as one RGB image.

    Args:
      images: `[N, H, W, C]`; without exactly three channels only the first is shown, in grey.
      columns: images per row; all in one row where there are fewer.
      gap: pixels between images and around them.
      invert: show dark on white.

    Raises:
      ValueError: the images are not uint8 `[N, H, W, C]`, or there are none.
    """
    images = np.asarray(images)
    check_images(images)
    n, height, width, channels = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    cells = np.zeros((rows * columns, height + gap, width + gap, 3), np.uint8)
    cells[:n, :height, :width] = images if channels == 3 else images[..., :1]
    sheet = cells.reshape(rows, columns, height + gap, width + gap, 3).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(rows * (height + gap), columns * (width + gap), 3)
    sheet = np.pad(sheet, ((gap, 0), (gap, 0), (0, 0)))
    return 255 - sheet if invert else sheet


def named_rows(sheet: UInt8[np.ndarray, "h w 3"], names: Sequence[str]) -> UInt8[np.ndarray, "h wider 3"]:
    """A grid with the name of each row before it, on the grid's own ground.

    Args:
      sheet: what `grid` makes, or rows of one height on one ground.
      names: of its rows, from the top; a name may have several lines.
    """
    height, width, _ = sheet.shape
    lines = max(name.count("\n") + 1 for name in names)
    size = min(_LETTERS, max(_SMALL_LETTERS, height // len(names) // (lines + 1)))
    margin = 12 + max(_text_width(name, size) for name in names)
    wider = np.full((height, margin + width, 3), sheet[0, 0], np.uint8)
    wider[:, margin:] = sheet
    places = [(margin - 6.0, (k + 0.5) * height / len(names)) for k in range(len(names))]
    return _written(wider, names, places, size, "rm", ink=255 - sheet[0, 0])


def captioned(pictures: Sequence[UInt8[np.ndarray, "h w 3"]], texts: Sequence[str]) -> list[np.ndarray]:
    """Pictures of one size, each over its text, on white; all are as wide as the widest text needs.

    Args:
      pictures: uint8 RGB.
      texts: of one line or of several, as many in each.
    """
    height, width, _ = pictures[0].shape
    wide = max(width, *(_text_width(text, _LETTERS) for text in texts))
    high = height + _LETTERS // 2 + round(1.5 * _LETTERS) * (texts[0].count("\n") + 1)
    left = (wide - width) // 2
    found = []
    for picture, text in zip(pictures, texts, strict=True):
        sheet = np.full((high, wide, 3), 255, np.uint8)
        sheet[:height, left : left + width] = picture
        found.append(_written(sheet, [text], [(wide / 2, (height + high) / 2)], _LETTERS, "mm", ink=np.zeros(3)))
    return found


def _text_width(text: str, size: int) -> int:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    return round(max(font.getlength(line) for line in text.split("\n")))


def _written(
    sheet: np.ndarray,
    texts: Sequence[str],
    places: Sequence[tuple[float, float]],
    size: int,
    anchor: str,
    *,
    ink: np.ndarray,
) -> np.ndarray:
    """The sheet with texts at (x, y), pixels from the upper left corner; all that writes into pictures."""
    from PIL import Image, ImageDraw, ImageFont

    image, font = Image.fromarray(sheet), ImageFont.load_default(size)
    draw, fill = ImageDraw.Draw(image), tuple(int(value) for value in ink)
    for text, place in zip(texts, places, strict=True):
        align = "right" if anchor == "rm" else "center"
        draw.text(place, text, fill, font, anchor=anchor, align=align, spacing=1)
    return np.asarray(image)


def with_words(
    images: Images, texts: Sequence[Sequence[str]], columns: int, *, words: Sequence[str], invert: bool = False
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Images in rows, each with words below it, on black, as one RGB image; small images are enlarged.

    Args:
      images: `[N, H, W, C]`, as in `grid`.
      texts: the words below each, a line for each word, at most six; of more the last line says how many.
      columns: images per row.
      words: all that there are: they, and not those that are written, decide how large the picture is.
      invert: show dark on white.

    Raises:
      ValueError: the images are not uint8 `[N, H, W, C]`, or there are none, or not as many as texts.
    """
    images = np.asarray(images)
    check_images(images)
    scale = max(1, _CAPTIONED // max(images.shape[1:3]))
    large = images.repeat(scale, axis=1).repeat(scale, axis=2)
    height, fit = large.shape[1], min(_LINES, len(words))
    widest = max(_text_width(word, _CAPTION) for word in words)
    below, beside = 4 + (_CAPTION + 3) * fit, max(0, widest + 6 - large.shape[2])
    margins = ((0, 0), (0, below), (beside // 2, beside - beside // 2), (0, 0))
    cell_height, cell_width = height + below + 2, large.shape[2] + beside + 2
    lines: list[str] = []
    places: list[tuple[float, float]] = []
    for k, (_, found) in enumerate(zip(images, texts, strict=True)):
        shown = found if len(found) <= fit else [*found[: fit - 1], f"+ {len(found) - fit + 1}"]
        x, y = k % columns * cell_width + 2 + cell_width // 2, k // columns * cell_height + height + 4
        lines += shown
        places += [(float(x), float(y + row * (_CAPTION + 3))) for row in range(len(shown))]
    drawn = _written(grid(np.pad(large, margins), columns), lines, places, _CAPTION, "mt", ink=np.full(3, 255))
    return 255 - drawn if invert else drawn


def scatter(
    points: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m d"] | None = None, *, size: int = 480
) -> UInt8[np.ndarray, "size size 3"]:
    """Generated points (blue) over those of the data (grey), first two coordinates, in the data's frame.

    The legend says how many generated points lie outside of the frame. Of points on a line (D = 1) the densities are
    drawn.

    Args:
      points: generated points `[N, D]`; those that are not finite lie outside.
      reference: points of the data `[M, D]`, which decide the limits of the axes; None where there are none: then the
        generated ones do.
      size: width and height of the image, pixels.

    Raises:
      ValueError: points or reference are not float `[N, D]`.
    """
    points, reference = np.asarray(points), None if reference is None else np.asarray(reference)
    for x in (points,) if reference is None else (points, reference):
        if x.ndim != 2 or not np.issubdtype(x.dtype, np.floating):
            raise ValueError(f"points must be float [N, D], got {x.dtype} {list(x.shape)}")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size / 100, size / 100), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    dimension, points = points.shape[1], points[:, :2].astype(np.float64)
    framed = points[np.isfinite(points).all(axis=1)] if reference is None else reference[:, :2].astype(np.float64)
    if not len(framed):
        framed = np.zeros((1, points.shape[1]))
    low, high = framed.min(axis=0), framed.max(axis=0)
    margin = np.where(high > low, (high - low) / 8, 0.5)
    low, high = low - margin, high + margin
    inside = ((points >= low) & (points <= high)).all(axis=1)
    label = "generated" if inside.all() else f"generated, {1 - inside.mean():.0%} outside"
    if len(low) == 1:
        bins = np.linspace(low[0], high[0], 101).tolist()
        if reference is not None:
            axes.hist(reference[:, 0], bins, density=True, color="0.75", label="data")
        # Per point generated, so that those outside are missing from the area.
        weights = np.full(inside.sum(), 1 / (len(points) * (bins[1] - bins[0])))
        axes.hist(points[inside, 0], bins, weights=weights, histtype="step", color="C0", label=label)
        axes.set(xlim=(low[0], high[0]), ylabel="density")
    else:
        if reference is not None:
            axes.scatter(reference[:, 0], reference[:, 1], s=7, c="0.75", linewidths=0, label="data")
        axes.scatter(points[inside, 0], points[inside, 1], s=2, c="C0", linewidths=0, label=label)
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        # Lengths compare in both directions, unless the picture would be a line.
        width, height = high - low
        axes.set_aspect("equal" if 0.2 < width / height < 5 else "auto")
        if dimension > 2:
            axes.set(xlabel=f"coordinate 1 of {dimension}", ylabel="coordinate 2")
    small = {"fontsize": "small", "columnspacing": 0.8, "handletextpad": 0} if size < 300 else {}
    figure.legend(loc="outside upper center", ncols=2, markerscale=3, frameon=False, **small)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_png(path: str | Path, image: UInt8[np.ndarray, "height width 3"]) -> None:
    """Writes an RGB image as PNG; the file appears whole or not at all.

    Raises:
      ValueError: the image is not uint8 `[H, W, 3]`.
    """
    from PIL import Image

    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(
            f"a picture must be uint8 [H, W, 3], got {image.dtype} {list(image.shape)}: images.grid makes one of images"
        )
    with atomic(Path(path)) as partial:
        Image.fromarray(image).save(partial, format="PNG", optimize=True)
