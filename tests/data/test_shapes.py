import itertools
import math
import time

import numpy as np
import pytest

from gan_jax.data import load, shapes
from gan_jax.data.dataset import Dataset

RADII = {"small": 4.5, "medium": 6.0, "large": 7.5}


def _moon() -> float:
    """The unit disc without a disc of radius sqrt(5 / 8) whose centre is 1/2 away."""
    a, b, d = 1.0, math.sqrt(0.625), 0.5
    of_a = a * a * math.acos((d * d + a * a - b * b) / (2 * d * a))
    of_b = b * b * math.acos((d * d + b * b - a * a) / (2 * d * b))
    kite = math.sqrt((-d + a + b) * (d + a - b) * (d - a + b) * (d + a + b)) / 2
    return math.pi - (of_a + of_b - kite)


AREAS = {
    "circle": math.pi,
    "square": 1.75**2,
    "triangle": 1.75 * 1.75 * 1.125 / 2,
    "diamond": 2.0,
    "cross": 2 * 2 * 0.625 - 0.625**2,
    "ring": math.pi * (1 - 0.3125),
    "heart": 3.661972 / (1.1875 * 1.25),  # The curve's own area, by quadrature, in the scale of the drawing.
    "moon": _moon(),
}
"""Of the shapes whose radius is one."""


@pytest.fixture(scope="module", params=[32, 64])
def test_split(request: pytest.FixtureRequest) -> Dataset:
    return load(f"shapes:{request.param}", "test")


def coverage(x: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """The share of the shape in every pixel, from its colour alone: the ground's differs from grey by one tint."""
    chroma = x - x.mean(axis=-1, keepdims=True, dtype=np.float64)
    tint = np.median(chroma, axis=(1, 2), keepdims=True)
    paint = (colors - colors.mean(axis=-1, keepdims=True))[:, None, None] - tint
    return ((chroma - tint) * paint).sum(axis=-1) / (paint * paint).sum(axis=-1)


def drawn(dataset: Dataset) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The coverage of a thousand images of the test split, and the numbers of their values by factor."""
    numbers = dict(zip(shapes.FACTORS, shapes.factors("test")[:1000].T, strict=True))
    colors = np.array(list(shapes.COLORS.values()))[numbers["color"]]
    return coverage(dataset.x[:1000], colors), numbers


def test_every_combination_is_in_one_split_sixteen_times_and_every_pair_of_values_in_both() -> None:
    sets = []
    for split in ("train", "test"):
        combinations, counts = np.unique(shapes.factors(split), axis=0, return_counts=True)
        assert set(counts) == {16}
        for a, b in itertools.combinations(range(4), 2):
            pairs = len(np.unique(combinations[:, [a, b]], axis=0))
            assert pairs == math.prod(len(list(shapes.FACTORS.values())[of]) for of in (a, b))
        for number, values in enumerate(shapes.FACTORS.values()):
            of_each = np.bincount(shapes.factors(split)[:, number])
            assert of_each.tolist() == [len(shapes.factors(split)) // len(values)] * len(values)
        sets.append(set(map(tuple, combinations.tolist())))
    train, test = sets
    assert not train & test
    assert (len(train), len(test)) == (1296, 432)
    assert len(train | test) == math.prod(map(len, shapes.FACTORS.values())) == 8 * 8 * 3 * 9


@pytest.mark.parametrize("factor", ["shape", "color", "size", "place"])
def test_any_factor_is_the_label(factor: str) -> None:
    dataset = load(f"shapes:32/{factor}", "test")
    assert dataset.x.shape == (6912, 32, 32, 3)
    assert dataset.classes == shapes.FACTORS[factor]
    np.testing.assert_array_equal(dataset.labels, shapes.factors("test")[:, list(shapes.FACTORS).index(factor)])
    assert dataset.notes == ()


def test_the_training_split_is_quick_and_the_same_each_time() -> None:
    start = time.process_time()
    first = load("shapes")
    assert time.process_time() - start < 2
    assert first.x.shape == (20_736, 32, 32, 3)
    assert first.name == "shapes:32/shape"
    again = load("shapes:32/color")
    assert again.x.tobytes() == first.x.tobytes()
    assert again.fingerprint != first.fingerprint
    # No picture is in both splits.
    train, test = ({row.tobytes() for row in x} for x in (first.x, load("shapes", "test").x))
    assert (len(train), len(test)) == (20_736, 6912)
    assert not train & test


def test_the_colour_in_the_middle_of_a_shape_is_the_label_and_the_ground_is_nearly_grey(test_split: Dataset) -> None:
    unit = test_split.shape[0] // 32
    shape, color, size, place = shapes.factors("test").T
    full = np.isin(shape, [shapes.FACTORS["shape"].index(of) for of in ("circle", "square", "heart")])
    rows, columns = ((unit * (np.array([9, 15, 21]) + 0.5)).astype(int)[of] for of in (place // 3, place % 3))
    middle = test_split.x[np.arange(len(shape)), rows, columns]
    palette = np.array(list(shapes.COLORS.values()))
    np.testing.assert_array_equal(middle[full], palette[color[full]])
    holes = (shape == shapes.FACTORS["shape"].index("ring")) & (size > 0)
    assert np.ptp(middle[holes].astype(int), axis=1).max() <= 24 < np.ptp(palette, axis=1).min() / 4
    # Nothing is drawn at the edge.
    edge = np.concatenate([test_split.x[:, [0, -1]].reshape(-1, 3), test_split.x[:, :, [0, -1]].reshape(-1, 3)])
    assert np.ptp(edge.astype(int), axis=1).max() <= 24


def test_shapes_of_every_size_have_their_areas(test_split: Dataset) -> None:
    unit = test_split.shape[0] // 32
    covered, numbers = drawn(test_split)
    areas = covered.sum(axis=(1, 2)) / unit**2
    for shape, size in itertools.product(AREAS, RADII):
        these = (numbers["shape"] == shapes.FACTORS["shape"].index(shape)) & (
            numbers["size"] == shapes.FACTORS["size"].index(size)
        )
        assert these.sum() > 20
        assert areas[these].mean() / RADII[size] ** 2 == pytest.approx(AREAS[shape], rel=0.02)


def test_circles_are_discs_and_their_edges_as_dark_as_they_are_covered(test_split: Dataset) -> None:
    size, fine = test_split.shape[0], 32
    covered, numbers = drawn(test_split)
    circles = np.flatnonzero(numbers["shape"] == shapes.FACTORS["shape"].index("circle"))[:20]
    at = (np.arange(size * fine) + 0.5) / fine
    for of, share in zip(circles, covered[circles], strict=True):
        # The middle of a pixel of the smaller image.
        middle = [(share.sum(axis=axis) @ (np.arange(size) + 0.5) / share.sum()) * 32 / size for axis in (1, 0)]
        y, x = (np.floor(middle) + 0.5) * size / 32
        radius = list(RADII.values())[numbers["size"][of]] * size / 32
        disc = (at[:, None] - y) ** 2 + (at - x) ** 2 <= radius**2
        expected = disc.reshape(size, fine, size, fine).mean(axis=(1, 3))
        np.testing.assert_allclose(share, expected, atol=0.05)


def test_shapes_lie_where_the_label_says(test_split: Dataset) -> None:
    size = test_split.shape[0]
    covered, numbers = drawn(test_split)
    inside = covered > 0.5
    found = []
    for axis in (2, 1):
        occupied = inside.any(axis=axis)
        middle = (occupied.argmax(axis=1) + size - 1 - occupied[:, ::-1].argmax(axis=1)) / 2 * 32 / size
        found.append(abs(middle[:, None] - np.array([9, 15, 21])).argmin(axis=1))
    np.testing.assert_array_equal(3 * found[0] + found[1], numbers["place"])
    assert shapes.FACTORS["place"][2] == "top-right"
    assert shapes.FACTORS["place"][6] == "bottom-left"


def test_both_sizes_are_the_same_pictures() -> None:
    small, large = load("shapes:32", "test").x[:500], load("shapes:64", "test").x[:500]
    halved = large.reshape(500, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    difference = abs(halved - small)
    assert difference.max() < 10  # At edges, of which the larger image sees four times as many subpixels.
    assert difference.mean() < 0.5
