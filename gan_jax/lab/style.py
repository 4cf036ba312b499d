"""One style for all figures: sizes of fonts and lines for a README and for a paper, colours, scales. Loads Matplotlib.

    with style.applied("paper"):
        figure = style.figure(6.5, 3.8)
        ...
        style.save(figure, file)

Colours are told apart by colour-blind eyes: Okabe and Ito's for what has names ("Color Universal Design", 2008; without
their yellow, which is pale on white), viridis for what has an order. Lines beyond the seventh are dashed.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from gan_jax.files import atomic

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

PALE = "0.6"
"""The colour of what counts less, such as what was stopped early."""

SEQUENTIAL = "viridis"

NAMES = ("readme", "paper")
"""A README's figures are read on a screen. A paper's are smaller, finer, and vector graphics too."""

_LINES = ("-", "--", ":")

# Points of the text and the lines, dots per inch, and inches per inch of what `figure` is asked for.
_SIZES: Mapping[str, tuple[float, float, float, float]] = {
    "readme": (10.0, 1.5, 100.0, 1.0),
    "paper": (8.0, 1.0, 300.0, 0.8),
}

_scale = 1.0
_vector = False


@contextlib.contextmanager
def applied(name: str) -> Iterator[None]:
    """Figures that are made and saved in this block have the style of this name, one of `NAMES`."""
    global _scale, _vector
    font, line, dots, scale = _SIZES[name]
    settings: Any = {
        "font.size": font,
        "axes.titlesize": "medium",
        "axes.labelsize": "medium",
        "xtick.labelsize": "small",
        "ytick.labelsize": "small",
        "legend.fontsize": "small",
        "legend.frameon": False,
        "lines.linewidth": line,
        "lines.markersize": 4 * scale,
        "axes.linewidth": 0.5 * line,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=COLORS),
        "image.cmap": SEQUENTIAL,
        "figure.dpi": dots,
        "savefig.dpi": "figure",
        "pdf.fonttype": 42,  # Text that stays text: journals refuse the default.
    }
    before = _scale, _vector
    with matplotlib.rc_context(settings):
        _scale, _vector = scale, name == "paper"
        try:
            yield
        finally:
            _scale, _vector = before


def figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches in a README, of fewer in a paper."""
    return Figure(figsize=(width * _scale, height * _scale), layout="constrained")


def line(number: int) -> dict[str, Any]:
    """Colour and dashes of the line with this number, from 0; all lines up to the 21st differ."""
    return {"color": COLORS[number % len(COLORS)], "linestyle": _LINES[number // len(COLORS) % len(_LINES)]}


def set_logarithmic(axes: Axes, axis: str, numbers: Sequence[float]) -> None:
    """Makes the axis "x" or "y" logarithmic, with labels that can be read, unless a number has no place on it."""
    if not numbers or min(numbers) <= 0:
        return
    axes.set(**{f"{axis}scale": "log"})
    lines = axes.xaxis if axis == "x" else axes.yaxis
    lines.set_major_locator(LogLocator(subs=(1, 2, 5) if max(numbers) < 50 * min(numbers) else (1,)))
    lines.set_major_formatter("{x:g}")
    lines.set_minor_formatter(NullFormatter())


def save(figure: Figure, file: Path) -> None:
    """Writes the figure as PNG, in the style of papers as PDF beside it too; each file appears whole or not at all."""
    for suffix in (".png", ".pdf") if _vector else (".png",):
        with atomic(file.with_suffix(suffix)) as partial:
            figure.savefig(partial, format=suffix[1:])
