"""Pictures: grids of images, scatter plots of points, PNG files. Host side, NumPy in and out."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.checks import check_images
from gan_jax.files import atomic

Images = UInt8[np.ndarray, "n height width channels"]


def grid(images: Images, columns: int, *, gap: int = 2, invert: bool = False) -> UInt8[np.ndarray, "rows columns 3"]:
    """Images in rows, on black, as one RGB image.

    Args:
      images: `[N, H, W, C]`; without exactly three channels only the first is shown, in grey.
      columns: images per row.
      gap: pixels between images and around them.
      invert: show dark on white.

    Raises:
      ValueError: the images are not uint8 `[N, H, W, C]`, or there are none.
    """
    images = np.asarray(images)
    check_images(images)
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    cells = np.zeros((rows * columns, height + gap, width + gap, 3), np.uint8)
    cells[:n, :height, :width] = images if channels == 3 else images[..., :1]
    sheet = cells.reshape(rows, columns, height + gap, width + gap, 3).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(rows * (height + gap), columns * (width + gap), 3)
    sheet = np.pad(sheet, ((gap, 0), (gap, 0), (0, 0)))
    return 255 - sheet if invert else sheet


def scatter(
    points: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m d"], *, size: int = 480
) -> UInt8[np.ndarray, "size size 3"]:
    """Generated points (blue) over reference points (grey), first two coordinates, in the reference's frame.

    Points on a line (D = 1) lie on the horizontal axis.

    Args:
      points: generated points `[N, D]`.
      reference: points of the data `[M, D]`, which decide the limits of the axes.
      size: width and height of the image, pixels.

    Raises:
      ValueError: points or reference are not float `[N, D]`.
    """
    points, reference = np.asarray(points), np.asarray(reference)
    for x in (points, reference):
        if x.ndim != 2 or not np.issubdtype(x.dtype, np.floating):
            raise ValueError(f"points must be float [N, D], got {x.dtype} {list(x.shape)}")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size / 100, size / 100), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot(aspect="equal")
    axes.scatter(*_plane(reference), s=2, c="0.75", linewidths=0, label="data")
    axes.scatter(*_plane(points), s=3, c="C0", linewidths=0, label="generated")
    reach = 1.25 * float(np.abs(reference[:, :2]).max()) or 1.0
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach))
    figure.legend(loc="outside upper center", ncols=2, markerscale=4, frameon=False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _plane(points: Float[np.ndarray, "n d"]) -> tuple[np.ndarray, np.ndarray]:
    return points[:, 0], points[:, 1] if points.shape[1] > 1 else np.zeros_like(points[:, 0])


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
