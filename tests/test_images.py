from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import images
from tests.helpers import read_png, untyped


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


def test_a_grid_has_no_empty_columns() -> None:
    cells = np.full((3, 2, 4, 1), 9, np.uint8)
    np.testing.assert_array_equal(images.grid(cells, columns=10), images.grid(cells, columns=3))


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
    picture, empty = _inside(picture), _inside(empty)
    rows, columns = np.nonzero((picture != empty).any(axis=-1))
    # The axes span [-1.25, 1.25] in both directions.
    where = [columns.mean() / picture.shape[1], 1 - rows.mean() / picture.shape[0]]
    np.testing.assert_allclose(where, (np.array(centre) + 1.25) / 2.5, atol=0.01)


def _inside(picture: np.ndarray) -> np.ndarray:
    """What the axes enclose."""
    dark = (picture < 100).all(axis=-1)
    (top, *_, bottom), (left, *_, right) = (np.flatnonzero(dark.mean(axis=axis) > 0.5) for axis in (1, 0))
    return picture[top + 2 : bottom - 1, left + 2 : right - 1]


def _where(picture: np.ndarray, colour: list[int]) -> np.ndarray:
    """Places of pixels of a colour inside the axes, [n, 2], as shares of height and width."""
    picture = _inside(picture)
    return np.argwhere((np.abs(picture - np.array(colour)) < 3).all(axis=-1)) / picture.shape[:2]


_DATA, _GENERATED = [191, 191, 191], [31, 119, 180]


@pytest.mark.parametrize("shift", [(0, 0), (100, -40), (1000, 1000)])
@pytest.mark.parametrize("scale", [(1, 1), (1, 100)])
def test_the_datas_frame_is_wherever_the_data_is(shift: tuple[float, float], scale: tuple[float, float]) -> None:
    """Data at the corners of a square, samples in the middle: in the picture, too."""
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * scale + shift
    points = np.repeat([shift], 9, axis=0)
    picture = images.scatter(points.astype(np.float32), corners.astype(np.float32), size=400)
    np.testing.assert_allclose(_where(picture, _GENERATED).mean(axis=0), 0.5, atol=0.02)
    found = np.unique(_where(picture, _DATA).round(1), axis=0)
    # The frame is wider than the data by an eighth on either side.
    np.testing.assert_allclose(found, [[0.1, 0.1], [0.1, 0.9], [0.9, 0.1], [0.9, 0.9]])


def test_what_lies_outside_is_said_and_what_is_not_there_is_not_in_the_legend() -> None:
    data = np.random.default_rng(0).standard_normal((200, 2)).astype(np.float32)
    far = np.concatenate([data[:100], np.full((60, 2), 99), np.full((40, 2), np.nan)]).astype(np.float32)
    inside, outside, alone = images.scatter(data / 2, data), images.scatter(far, data), images.scatter(data)
    assert _legend(alone) < _legend(inside) < _legend(outside)
    assert len(_where(inside, _DATA)) and not len(_where(alone, _DATA))
    # Of points that are not finite there is an empty picture.
    assert (_inside(images.scatter(np.full((3, 2), np.nan, np.float32))) == 255).all()


def _legend(picture: np.ndarray) -> int:
    """How wide the legend is, pixels."""
    return int(np.ptp(np.flatnonzero((picture[:35] < 250).any(axis=(0, 2)))))


def test_of_points_on_a_line_densities_are_drawn() -> None:
    data, points = (np.linspace(*ends, 5000, dtype=np.float32)[:, None] for ends in ((0, 4), (4, 8)))
    picture = images.scatter(points, data, size=400)
    # Data in [0, 4] in a frame of [-.5, 4.5]: a box. Of the points an eighth lies in the frame, all right of the data.
    assert np.ptp(_where(picture, _DATA)[:, 1]) == pytest.approx(4 / 5, abs=0.02)
    assert _where(picture, _GENERATED)[:, 1].min() > 0.88
    assert _legend(picture) > _legend(images.scatter(data, data, size=400))


def test_of_many_coordinates_the_first_two_are_drawn_and_named() -> None:
    points = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    plain, named = (images.scatter(x, x, size=400) for x in (points[:, :2], points))
    # Names of the axes take room from the axes.
    assert _inside(named).size < _inside(plain).size


WRONG_IMAGES = {
    "floats": (np.zeros((4, 8, 8, 1), np.float32), "got float32 .*to_uint8"),
    "integers": (np.zeros((4, 8, 8, 1), np.int64), "got int64"),
    "one image": (np.zeros((8, 8, 3), np.uint8), r"got uint8 \[8, 8, 3\]"),
    "none": (np.zeros((0, 8, 8, 1), np.uint8), r"\[0, 8, 8, 1\]"),
    "channels first": (np.zeros((4, 3, 32, 32), np.uint8), "channels last"),
}


@pytest.mark.parametrize("wrong", WRONG_IMAGES)
@untyped()
def test_no_grid_of_what_is_no_images(wrong: str) -> None:
    found, message = WRONG_IMAGES[wrong]
    with pytest.raises(ValueError, match=message):
        images.grid(found, 2)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 2), np.uint8), np.zeros(4, np.float32), np.zeros((4, 8, 8, 1), np.uint8)]
)
@untyped()
def test_no_scatter_of_what_is_no_points(wrong: np.ndarray) -> None:
    right = np.zeros((4, 2), np.float32)
    for points, reference in ((wrong, right), (right, wrong)):
        with pytest.raises(ValueError, match=r"points must be float \[N, D\]"):
            images.scatter(points, reference)


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((2, 4, 4, 3), np.uint8)])
@untyped()
def test_no_file_of_what_is_no_picture(wrong: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"picture must be uint8 \[H, W, 3\]"):
        images.save_png(tmp_path / "a.png", wrong)
    assert list(tmp_path.iterdir()) == []


@untyped()
def test_device_arrays_and_paths_as_strings_are_taken(tmp_path: Path) -> None:
    picture = images.grid(jnp.full((2, 4, 4, 3), 7, jnp.uint8), 2, gap=0)
    images.save_png(str(tmp_path / "a.png"), jnp.asarray(picture))
    assert np.array_equal(read_png(tmp_path / "a.png"), np.full((4, 8, 3), 7))


@pytest.mark.parametrize("invert", [False, True])
def test_names_stand_before_their_rows(invert: bool) -> None:
    sheet = images.grid(np.full((6, 28, 28, 1), 200, np.uint8), 2, invert=invert)
    named = images.named_rows(sheet, ["1", "a boot", ""])
    margin = named.shape[1] - sheet.shape[1]
    assert margin > 20
    np.testing.assert_array_equal(named[:, margin:], sheet)
    ink = np.abs(named[:, :margin].astype(int) - named[0, 0]).sum(axis=(1, 2)).reshape(-1)
    first, second, third = (ink[k * len(ink) // 3 : (k + 1) * len(ink) // 3].sum() for k in range(3))
    assert second > first > 0 == third
    assert (named[0, 0] == (255 if invert else 0)).all()


@pytest.mark.parametrize("invert", [False, True])
def test_words_stand_below_their_images(invert: bool) -> None:
    x = np.stack([np.full((28, 28, 1), value, np.uint8) for value in (40, 90, 140)])
    words, empty = [["a"], [], ["b", "a"]], [[], [], []]
    sheet, bare = (
        images.with_words(x, texts, 2, words=("a", "b", "a long word"), invert=invert).astype(int)
        for texts in (words, empty)
    )
    assert sheet.shape == bare.shape  # It depends on what may be written alone.
    height, width = (sheet.shape[0] - 2) // 2, (sheet.shape[1] - 2) // 2
    for k, value in enumerate((40, 90, 140)):
        cell = np.s_[2 + k // 2 * height : (k // 2 + 1) * height, 2 + k % 2 * width : (k % 2 + 1) * width]
        shown = 255 - value if invert else value
        assert (bare[cell] == shown).all(axis=-1).sum() == 84**2
        changed = np.argwhere((sheet[cell] != bare[cell]).any(axis=-1))
        assert (len(changed) > 0) == bool(words[k])
        assert all(row >= 84 for row, _ in changed)


def test_of_more_words_than_fit_the_last_line_says_how_many() -> None:
    x, names = np.zeros((1, 28, 28, 1), np.uint8), [f"w{k}" for k in range(9)]
    many, six = images.with_words(x, [names], 1, words=names), images.with_words(x, [names[:6]], 1, words=names)
    said = images.with_words(x, [[*names[:5], "+ 4"]], 1, words=names)
    np.testing.assert_array_equal(many, said)
    assert (many != six).any()


def test_pictures_with_captions_are_all_as_wide_as_the_widest_text() -> None:
    pictures = [np.full((10, 30, 3), shade, np.uint8) for shade in (50, 100)]
    short, long = images.captioned(pictures, ["a", "a text that is wider than 30 pixels"])
    assert short.shape == long.shape
    left = (short.shape[1] - 30) // 2
    assert left > 20
    for found, shade in ((short, 50), (long, 100)):
        assert (found[:10, left : left + 30] == shade).all()
        assert (found[:10, :left] == 255).all()
        assert found[10:].min() < 50
    assert (short[10:, :left] == 255).all()
    assert long[10:, :left].min() < 50
    assert images.captioned(pictures, ["a", "b"])[0].shape == (10 + 28, 30, 3)
