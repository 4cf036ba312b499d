"""Images on disk."""

from pathlib import Path

import numpy as np
from PIL import Image


def blobs(n: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth colour images, uint8 `[n, height, width, 3]`: they survive lossy formats, unlike noise."""
    corners = np.random.default_rng(seed).integers(0, 256, (n, 2, 2, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(of).resize((width, height))) for of in corners])


def save(path: Path, pixels: np.ndarray) -> Path:
    """Writes a picture, and the folders around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path
