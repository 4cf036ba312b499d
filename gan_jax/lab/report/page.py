"""The HTML file of a report: template, style and script of this directory, and the data as one block of JSON."""

import html
import json
import math
from importlib import resources
from pathlib import Path
from typing import Any

from gan_jax.lab import files

SECONDS = 10
"""Between two readings of a page whose run trains on."""


def write(out: Path, data: dict[str, Any]) -> None:
    """Writes the page, which appears whole or not at all.

    Raises:
      InputError: it can't be written.
    """
    with files.write_errors(out):
        files.write_text(out, page(data))


def page(data: dict[str, Any]) -> str:
    """The page of such data, see `report.js` for its keys. Numbers that JSON does not have are null."""
    folder = resources.files("gan_jax.lab.report")
    text = (folder / "template.html").read_text(encoding="utf-8")
    parts = {
        "title": html.escape(data["title"]),
        "style": (folder / "report.css").read_text(encoding="utf-8"),
        "script": (folder / "report.js").read_text(encoding="utf-8"),
        "data": block(data),
    }
    head, *rest = text.split("{{")
    pieces = [piece.split("}}", 1) for piece in rest]
    return head + "".join(parts[name] + after for name, after in pieces)


def block(data: Any) -> str:
    """JSON that may stand inside of a script element: no `<` in it can end the element, or begin a comment."""
    text = json.dumps(_finite(data), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        # Six digits are more than a chart shows, and half of the file.
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
