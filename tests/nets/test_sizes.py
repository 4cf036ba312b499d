import itertools
from collections.abc import Sequence

import pytest

from gan_jax.errors import InputError
from gan_jax.nets.sizes import check_widths, halvings, most_halvings


@pytest.mark.parametrize(
    ("shape", "times"),
    [
        ((8, 8, 1), 1),
        ((12, 16, 3), 1),
        ((16, 16, 1), 2),
        ((28, 28, 1), 2),
        ((28, 28, 3), 2),
        ((32, 32, 3), 3),
        ((48, 64, 3), 3),
        ((64, 48, 3), 3),
        ((56, 56, 3), 3),
        ((64, 64, 3), 4),
        ((64, 1024, 3), 4),
        ((128, 128, 3), 5),
        ((256, 256, 3), 6),
    ],
    ids=str,
)
def test_the_shorter_side_of_the_base_has_4_to_7_pixels(shape: tuple[int, ...], times: int) -> None:
    assert halvings(shape) == times
    assert 4 <= min(shape[:2]) / 2**times <= 7


@pytest.mark.parametrize(
    ("shape", "nearest"),
    [
        ((30, 28, 1), "28 x 28"),
        ((29, 29, 3), "28 x 28"),
        ((30, 30, 1), "28 x 28"),
        ((31, 33, 1), "32 x 32"),
        ((36, 36, 1), "32 x 32"),
        ((63, 64, 3), "64 x 64"),
        ((100, 100, 3), "96 x 96"),
        ((218, 178, 3), "224 x 192"),
        ((1, 1, 3), "8 x 8"),
        ((2, 64, 3), "8 x 64"),
        ((7, 9, 1), "8 x 10"),
    ],
    ids=str,
)
def test_other_sizes_are_refused_with_the_nearest(shape: tuple[int, ...], nearest: str) -> None:
    with pytest.raises(InputError) as refusal:
        halvings(shape)
    got = " x ".join(map(str, shape))
    assert f"got {got}: resize or pad them to {nearest}, the nearest size that fits" in str(refusal.value)
    height, width = map(int, nearest.split(" x "))
    halvings((height, width, shape[2]))


@pytest.mark.parametrize("shape", [(30, 30), (45, 51), (100, 60), (17, 90), (121, 121), (5, 150)], ids=str)
def test_the_nearest_size_is_the_nearest_of_all(shape: tuple[int, int]) -> None:
    def fits(sides: tuple[int, int]) -> bool:
        return any(
            sides[0] % step == sides[1] % step == 0 and 4 <= min(sides) / step <= 7 for step in (2, 4, 8, 16, 32, 64)
        )

    def distance(sides: Sequence[int]) -> int:
        return abs(sides[0] - shape[0]) + abs(sides[1] - shape[1])

    with pytest.raises(InputError) as refusal:
        halvings((*shape, 1))
    found = str(refusal.value).partition("pad them to ")[2].partition(",")[0].split(" x ")
    fitting = filter(fits, itertools.product(range(1, 300), range(1, 300)))
    assert distance([int(side) for side in found]) == min(map(distance, fitting))


@pytest.mark.parametrize("shape", [(28, 28), (2,), ()], ids=str)
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="choose nets without convolutions"):
        halvings(shape)


@pytest.mark.parametrize(
    ("shape", "most"), [((28, 28, 1), 2), ((64, 48, 3), 4), ((64, 64, 3), 5), ((30, 28, 1), 1), ((7, 8, 1), 0)], ids=str
)
def test_how_often_an_image_can_be_halved(shape: tuple[int, ...], most: int) -> None:
    assert most_halvings(shape) == most


@pytest.mark.parametrize(
    ("shape", "widths", "times", "advice"),
    [
        ((28, 28, 1), (8, 4, 2), 3, "widths 8,4,2 .* 28 x 28 x 1 can be halved 2 times at most: give 1 to 2 widths"),
        ((28, 28, 1), (8,), 0, "give 2 to 3 widths"),
        ((30, 28, 1), (8, 4), 2, "halved 1 times at most: give 1 width$"),
        ((30, 28, 1), (8, 4, 2), 2, "halved 1 times at most: give 2 widths$"),
        ((7, 8, 1), (8,), 1, "halved 0 times at most: give images of another size"),
    ],
    ids=str,
)
def test_widths_that_do_not_fit_the_image_are_refused(
    shape: tuple[int, ...], widths: tuple[int, ...], times: int, advice: str
) -> None:
    with pytest.raises(InputError, match=advice):
        check_widths(shape, widths, times)


def test_widths_that_fit_are_taken() -> None:
    check_widths((28, 28, 1), (8, 4), 2)
    check_widths((100, 100, 3), (8,), 1)
