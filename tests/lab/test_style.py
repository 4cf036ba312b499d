import itertools
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from gan_jax.lab import style
from tests.helpers import read_png

# Viénot, Brettel and Mollon (1999), on linear RGB: what is seen without long- and without medium-wave cones.
_SEEN_BY = {
    "protan": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
    "deutan": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
}


@pytest.mark.parametrize("eyes", _SEEN_BY)
def test_colours_differ_for_colour_blind_eyes(eyes: str) -> None:
    def seen(color: str) -> np.ndarray:
        linear = np.array(to_rgb(color)) ** 2.2
        return np.clip(_SEEN_BY[eyes] @ linear, 0, 1) ** (1 / 2.2)

    def distance(a: str, b: str) -> float:
        return float(np.linalg.norm(seen(a) - seen(b)))

    assert min(distance(a, b) for a, b in itertools.combinations(style.COLORS, 2)) > 0.1
    # Red and green, of which eyes that see all colours can tell more.
    red, green = "#d62728", "#2ca02c"
    assert distance(red, green) < 0.6 * np.linalg.norm(np.subtract(to_rgb(red), to_rgb(green)))


def test_twenty_one_lines_all_differ() -> None:
    looks = {tuple(style.line(number).items()) for number in range(21)}
    assert len(looks) == 21


def test_a_paper_s_figure_is_smaller_finer_and_a_pdf_too(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    for name in style.NAMES:
        with style.applied(name):
            figure = style.figure(4.0, 2.0)
            figure.add_subplot(title="score (lower is better)").plot([1, 2], **style.line(0))
            style.save(figure, tmp_path / f"{name}.png")
    assert dict(matplotlib.rcParams) == before
    assert read_png(tmp_path / "readme.png").shape[:2] == (200, 400)
    assert read_png(tmp_path / "paper.png").shape[:2] == (480, 960)
    assert [path.name for path in tmp_path.glob("*.pdf")] == ["paper.pdf"]
    # Fonts of type 3 are drawings of letters, which journals refuse.
    assert b"/Type3" not in (tmp_path / "paper.pdf").read_bytes()
