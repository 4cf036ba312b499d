from pathlib import Path

import numpy as np
import pytest

from gan_jax import images
from tests.helpers import read_png


def test_a_grid_lays_images_out_in_rows_with_gaps() -> None:
    cells = np.stack([np.full((2, 3, 1), value, np.uint8) for value in (10, 20, 30)])
    sheet = images.grid(cells, columns=2, gap=1)
    # Two rows of height 2 and two columns of width 3, each with a gap of 1 before it and one at the end.
    assert sheet.shape == (1 + 2 * (2 + 1), 1 + 2 * (3 + 1), 3)
    assert (sheet[1:3, 1:4] == 10).all()
    assert (sheet[1:3, 5:8] == 20).all()
    assert (sheet[4:6, 1:4] == 30).all()
    assert (sheet[4:6, 5:8] == 0).all()
    assert (sheet[0] == 0).all()
    assert (sheet[:, 4] == 0).all()


def test_inverted_grids_are_dark_on_white() -> None:
    cells = np.full((1, 1, 1, 1), 200, np.uint8)
    sheet = images.grid(cells, columns=1, gap=1, invert=True)
    assert sheet[1, 1].tolist() == [55, 55, 55]
    assert sheet[0, 0].tolist() == [255, 255, 255]


def test_colours_survive_the_way_to_disk(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    images.save_png(tmp_path / "a.png", images.grid(picture[None], columns=1, gap=0))
    assert np.array_equal(read_png(tmp_path / "a.png"), picture)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("centre", [(1.0, 0.0), (-1.0, 0.5)])
def test_a_scatter_shows_points_where_they_are(centre: tuple[float, float]) -> None:
    corners = np.array([[-1.0, -1.0], [1.0, 1.0]], np.float32)
    picture, empty = (
        images.scatter(np.repeat(np.float32([place]), 50, axis=0), corners, size=400) for place in (centre, (9.0, 9.0))
    )
    rows, columns = np.nonzero((picture != empty).any(axis=-1))
    # The axes span [-1.25, 1.25] in both directions and fill most of the picture.
    where = [columns.mean() / 400, 1 - rows.mean() / 400]
    np.testing.assert_allclose(where, (np.array(centre) + 1.25) / 2.5, atol=0.12)
