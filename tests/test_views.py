import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import InputError, conditioning, recipes, training, views
from tests.helpers import assert_close, assert_same, jit

KEY = jax.random.key(0)
SHAPE = (8, 12, 3)
X = jax.random.uniform(KEY, (2, 3, *SHAPE), minval=-1.0)
MEAN = jnp.full(SHAPE, 0.25)
EVERY = ("upper_half", "masked", "low_resolution:4", "grey", "outline", "blurred:1.5", "pairs")


def seen(text: str, x: Any = X, labels: Any = None) -> Any:
    view = views.read(text, x.shape[-3:])
    return view.randomized(KEY, view.of(x, labels))


@pytest.mark.parametrize("text", EVERY)
def test_every_view_has_maps_and_an_answer_of_the_size_of_the_image_and_can_be_pickled(text: str) -> None:
    view = pickle.loads(pickle.dumps(views.read(text, SHAPE)))
    labels = jnp.full(X.shape, 7, jnp.uint8) if view.paired else None

    @jit
    def made(x: jax.Array, labels: Any) -> Any:
        y = view.randomized(KEY, view.of(x, labels))
        same = (view.tidied(y), y), (conditioning.seen(view).of_data(x, labels), view.of(x, labels))
        return y, view.maps(y), view.answer(y, MEAN), same

    y, maps, answer, same = made(X, labels)
    assert y.dtype == jnp.float32
    assert maps.shape[:-1] == X.shape[:-1]
    assert answer.shape == X.shape
    assert np.abs(answer).max() <= 1
    for actual, expected in same:
        assert_same(actual, expected)


def test_the_upper_half_is_a_half_and_its_answer_has_the_mean_below() -> None:
    view = views.upper_half()
    y = view.of(X, None)
    assert_same(y, X[:, :, :4])
    assert_same(view.maps(y)[:, :, 4:], jnp.zeros_like(X[:, :, 4:]))
    assert_same(view.answer(y, MEAN), jnp.concatenate([y, jnp.full_like(y, 0.25)], axis=-3))


def test_low_resolution_is_the_mean_of_blocks() -> None:
    y = seen("low_resolution:4")
    assert y.shape == (2, 3, 2, 3, 3)
    np.testing.assert_allclose(y[1, 2, 1, 2], np.asarray(X)[1, 2, 4:8, 8:12].mean(axis=(0, 1)), rtol=1e-5)
    big = views.low_resolution(4).maps(y)
    assert_same(big[..., 3, 7, :], y[..., 0, 1, :])
    # Of a constant image the answer is that constant.
    flat = views.low_resolution(4).answer(jnp.full((1, 2, 3, 3), 0.5), MEAN)
    np.testing.assert_allclose(flat, 0.5, rtol=1e-6)


def test_grey_is_luma() -> None:
    pure = jnp.array([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1]]).reshape(1, 1, 4, 3)
    found = np.asarray(views.grey().of(pure, None)).ravel()
    np.testing.assert_allclose((found + 1) / 2, [0.299, 0.587, 0.114, 1], rtol=1e-5)


def test_an_outline_is_where_an_edge_is_and_nowhere_on_flat_ground() -> None:
    x = jnp.full((1, 8, 12, 3), -1.0).at[:, :, 6:, 2].set(0.0)
    found = np.asarray(views.outline().of(x, None))[0, :, :, 0]
    assert set(np.unique(found)) == {-1, 1}
    # By central differences the edge between columns 5 and 6 is in both.
    assert (found[:, 5:7] == 1).all()
    assert (found[:, :5] == -1).all() and (found[:, 7:] == -1).all()


def test_blur_is_a_gaussian_that_keeps_constants() -> None:
    x = jnp.zeros((1, 21, 21, 1)).at[0, 10, 10].set(1.0)
    y = np.asarray(views.blurred(1.5).of(x, None))[0, :, :, 0]
    np.testing.assert_allclose(y[10, 12] / y[10, 10], np.exp(-(2**2) / (2 * 1.5**2)), rtol=1e-4)
    np.testing.assert_allclose(y.sum(), 1, rtol=1e-4)
    np.testing.assert_allclose(views.blurred(3.0).of(jnp.full((1, 5, 5, 1), 0.3), None), 0.3, rtol=1e-5)


def test_masks_are_random_part_of_y_and_hide_what_they_cover() -> None:
    y = np.asarray(seen("masked"))
    known = y[..., -1:] > 0
    assert set(np.unique(y[..., -1])) == {-1, 1}
    assert_same(y[..., :-1], np.where(known, X, 0))
    shares = 1 - known.mean(axis=(2, 3, 4))
    # A box alone has at least a sixteenth, up to a row and a column of pixels that it covers in part.
    assert shares.min() > 0 and shares.max() < 0.9
    assert len(np.unique(shares)) > 1
    assert_same(views.masked().answer(jnp.asarray(y), MEAN), np.where(known, X, 0.25))


def test_holes_are_a_box_and_strokes_as_large_as_documented() -> None:
    holes = np.asarray(jit(views.holes, static_argnums=(1, 2, 3))(KEY, 400, 28, 28))
    shares = holes.mean(axis=(1, 2))
    # A box has (3/8)^2 of the image on average, and a stroke at most its thickness, 4 pixels, times the diagonal.
    assert shares.min() > 1 / 16 - 0.03
    assert shares.max() < 1 / 4 + 2 * 4 * (28 * np.sqrt(2) + 4) / 28**2
    assert 9 / 64 < shares.mean() < 0.5


def test_what_is_left_to_chance_is_other_at_every_step_and_the_same_when_repeated() -> None:
    gan = recipes.translation((8, 8, 1), condition="masked", width=4)
    examples = training.Examples(jnp.full((2, 8, 8, 1), 200, jnp.uint8))
    as_batch = jit(training.as_batch, static_argnums=0)
    first, again, other = (as_batch(gan, examples, jax.random.key(k)).y for k in (1, 1, 2))
    assert_same(first, again)
    assert not np.array_equal(first, other)


def test_pictures_that_somebody_made_become_what_the_step_would_have_made() -> None:
    alpha = jnp.array([[-1.0, -0.2, 0.2, 1]])[..., None]
    y = jnp.concatenate([jnp.full_like(alpha, 0.7), alpha], axis=-1)[None]
    assert_close(views.masked().tidied(y), jnp.array([[0, -1], [0, -1], [0.7, 1], [0.7, 1]]).reshape(1, 1, 4, 2))
    assert_same(views.outline().tidied(alpha), jnp.array([[-1.0, -1, 1, 1]])[..., None])


def test_pairs_are_scaled_and_asked_for_where_there_are_none() -> None:
    labels = jnp.array([0, 255], jnp.uint8).reshape(2, 1, 1, 1)
    x = jnp.zeros((2, 1, 1, 1))
    assert_same(views.pairs().of(x, labels), jnp.array([-1.0, 1]).reshape(2, 1, 1, 1))
    for missing in (None, jnp.zeros(2, jnp.int32)):
        with pytest.raises(InputError, match="no pictures to make images from: give pairs"):
            views.pairs().of(x, missing)


@pytest.mark.parametrize(
    ("text", "shape", "message"),
    [
        ("grey", (8, 8, 1), "these images are grey"),
        ("low_resolution:3", (8, 8, 1), "divides 8 and 8"),
        ("low_resolution:1", (8, 8, 1), "at least 2"),
        ("low_resolution:2.5", (8, 8, 1), "whole factor"),
        ("low_resolution:x", (8, 8, 1), "there is no condition 'low_resolution:x'"),
        ("blurred:0", (8, 8, 1), "there is no condition 'blurred:0'"),
        ("blured", (8, 8, 1), "choose one of upper_half, masked"),
        ("grey:2", (8, 8, 3), "there is no condition 'grey:2'"),
    ],
)
def test_what_images_do_not_have_is_refused(text: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        views.read(text, shape)
