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


def _grey(picture: np.ndarray) -> np.ndarray:
    return (picture == 191).all(axis=-1)


def _blue(picture: np.ndarray) -> np.ndarray:
    return (picture.astype(int) @ [-1, 0, 1]) > 60


@pytest.mark.parametrize("shift", [(0, 0), (100, -40), (1e6, 1e6)])
@pytest.mark.parametrize("scale", [(1, 1), (1, 100)])
def test_the_datas_frame_is_wherever_the_data_is(shift: tuple[float, float], scale: tuple[float, float]) -> None:
    """Data at the corners of a square, samples in the middle: in the picture, too."""
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], np.float32) * scale + shift
    picture = images.scatter(np.repeat([shift], 9, axis=0).astype(np.float32), corners.astype(np.float32), size=400)
    picture = picture[40:]  # Without the legend.
    grey, blue = np.argwhere(_grey(picture)), np.argwhere(_blue(picture))
    assert len(grey) >= 16 and len(blue) >= 1
    np.testing.assert_allclose(blue.mean(axis=0), grey.mean(axis=0), atol=6)
    # The frame is a quarter wider than the data: it fills more than half of the picture.
    assert (np.ptp(grey, axis=0) > 180).all()


def test_what_lies_outside_is_said_and_what_is_not_there_is_not_in_the_legend() -> None:
    data = np.random.default_rng(0).standard_normal((200, 2)).astype(np.float32)
    far = np.concatenate([data[:100], np.full((60, 2), 99), np.full((40, 2), np.nan)]).astype(np.float32)
    inside, outside, alone = images.scatter(data, data), images.scatter(far, data), images.scatter(data)
    assert _legend(inside) < _legend(outside)
    assert _legend(alone) < _legend(inside)
    assert _grey(inside).any() and not _grey(alone[:40]).any()
    # Of points that are not finite there is an empty picture.
    assert not _blue(images.scatter(np.full((3, 2), np.nan, np.float32))[40:]).any()


def _legend(picture: np.ndarray) -> int:
    """How wide the legend is, pixels."""
    return int(np.ptp(np.nonzero((picture[:35] < 250).any(axis=(0, 2)))[0]))


def test_of_points_on_a_line_densities_are_drawn() -> None:
    rng = np.random.default_rng(0)
    data = np.concatenate([np.full(300, 2.0), rng.uniform(1.9, 4.1, 300)])[:, None].astype(np.float32)
    picture = images.scatter(rng.uniform(3.9, 4.1, (300, 1)).astype(np.float32), data, size=400)[40:350, 60:]
    grey, blue = _grey(picture), _blue(picture)
    # Most of the data is on the left, all samples are on the right.
    assert grey[:, :150].sum() > 1.2 * grey[:, 190:].sum()
    assert np.argwhere(blue[:200])[:, 1].min() > 230


def test_of_many_coordinates_the_first_two_are_drawn_and_named() -> None:
    points = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    plain, named = (images.scatter(x, x, size=400) for x in (points[:, :2], points))
    assert (named[385:] < 250).any() and not (plain[385:] < 250).any(axis=(0, 2)).all()
    assert (named[350:] < 250).sum() > (plain[350:] < 250).sum()
