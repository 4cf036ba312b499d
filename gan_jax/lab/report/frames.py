"""The pictures of a report: few enough, and small enough, to lie inside of one file."""

import base64
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

MOST = 128
"""Pictures of a run at most."""


def thinned(items: Sequence[T], most: int) -> list[T]:
    """At most so many of them, evenly, with the first and the last; of one the last."""
    if len(items) <= most:
        return list(items)
    if most == 1:
        return [items[-1]]
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]


def chosen(files: Sequence[Path], budget: int) -> list[Path]:
    """Those that a report shows: at most `MOST`, thinned until they take no more than `budget` bytes, but two."""
    found = thinned(files, MOST)
    sizes = {file: file.stat().st_size for file in found}
    while len(found) > 2 and sum(sizes[file] for file in found) > budget:
        found = thinned(found, max(2, len(found) * 3 // 4))
    return found


def of_run(directory: Path) -> dict[int, Path]:
    """The sample grids of a run by step, in order."""
    grids = (directory / "samples").glob("*.png")
    return dict(sorted((int(file.stem), file) for file in grids if file.stem.isdecimal()))


def inline(file: Path) -> dict[str, Any]:
    """A PNG file as an address that holds it, and its width and height."""
    content = file.read_bytes()
    address = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return {"src": address, "size": list(struct.unpack(">II", content[16:24]))}
