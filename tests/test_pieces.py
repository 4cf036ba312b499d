import numpy as np
import pytest

from gan_jax.pieces import map_in_pieces


def test_every_example_is_taken_once_in_order() -> None:
    for n in (1, 4, 5, 11):
        np.testing.assert_array_equal(map_in_pieces(lambda x: 2 * x, np.arange(n), size=4), 2 * np.arange(n))


@pytest.mark.parametrize("examples", [np.zeros((0, 3)), (np.zeros(3), np.zeros(4))], ids=["none", "not equally long"])
def test_what_has_no_pieces_is_refused(examples: object) -> None:
    with pytest.raises(ValueError, match="equally long, and not empty"):
        map_in_pieces(lambda piece: np.zeros(1), examples)
