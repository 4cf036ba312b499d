from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses, penalties, recipes
from gan_jax.errors import InputError
from gan_jax.gan import GAN, Batch
from gan_jax.lab import objectives
from gan_jax.lab.options import OBJECTIVE_OPTIONS
from gan_jax.nets.augment import Augmented

_OWN: dict[str, Any] = {"loss": None, "penalty": None, "lazy": 1, "augment": None, "accumulate": 1, "batch_size": 6}


def _applied(gan: GAN, *, shape: tuple[int, ...] = (2,), **typed: str) -> GAN:
    """With options as they are typed."""
    options = {name: OBJECTIVE_OPTIONS[name].parse(text) for name, text in typed.items() if name != "batch_size"}
    batch_size = {"batch_size": int(typed["batch_size"])} if "batch_size" in typed else {}
    return objectives.applied(gan, {**_OWN, **options, **batch_size}, 10, shape)


def _penalty(gan: GAN, step: int) -> float:
    x = jnp.arange(8.0).reshape(4, 2)
    rng = jax.random.key(0)
    return float(gan.penalty(lambda x: jnp.sum(x**2, axis=1), x, x + 1, rng, jnp.int32(step)))


def test_what_is_the_recipes_own_stays_so() -> None:
    gan = recipes.wgan_gp((2,))
    found = _applied(gan)
    assert (found.loss, found.penalty, found.accumulate) == (gan.loss, gan.penalty, gan.accumulate)
    assert (found.generator, found.n_critic, found.d_optimizer) == (gan.generator, gan.n_critic, gan.d_optimizer)
    assert _applied(gan, loss="recipe", penalty="recipe", lazy="1", accumulate="1").loss is gan.loss


@pytest.mark.parametrize("name", losses.LOSSES)
def test_any_loss_takes_the_place_of_any_other(name: str) -> None:
    gan = _applied(recipes.gan((2,)), loss=name)
    logits = jnp.array([-1.0, 2.0]), jnp.array([0.5, 0.1])
    for found, expected in zip(gan.loss[:2], losses.LOSSES[name]()[:2], strict=True):
        np.testing.assert_array_equal(found(*logits), expected(*logits))


def test_penalties_take_the_place_of_the_recipes() -> None:
    gan = recipes.wgan_gp((2,))
    assert _applied(gan, penalty="none").penalty is penalties.none
    assert _penalty(_applied(gan, penalty="r1:3"), 0) == pytest.approx(
        _penalty(gan.replace(penalty=penalties.r1(3.0)), 0)
    )
    annealed = _applied(gan, penalty="r1:linear:4:0")
    found = [_penalty(annealed, step) for step in (0, 5, 10)]
    assert found == pytest.approx([found[0], found[0] / 2, 0])
    assert found[0] > 0


def test_a_lazy_penalty_is_the_recipes_or_the_one_typed_every_kth_step() -> None:
    for typed in ({}, {"penalty": "r1:1"}):
        every = _applied(recipes.wgan_gp((2,)), **typed)
        lazy = _applied(recipes.wgan_gp((2,)), **typed, lazy="3")
        assert [_penalty(lazy, step) for step in range(4)] == pytest.approx(
            [3 * _penalty(every, 0), 0, 0, 3 * _penalty(every, 3)]
        )


def test_minibatches_are_accumulated() -> None:
    gan = _applied(recipes.gan((2,), width=4, latent=2), accumulate="3")
    assert gan.accumulate == 3
    batch = Batch(jnp.ones((1, 6, 2)))
    state, metrics = jax.jit(gan.train_step)(gan.init(jax.random.key(0), batch), batch, jax.random.key(1))
    assert int(state.step) == 1
    assert np.isfinite(metrics["d_loss"])


@pytest.mark.parametrize("penalty", ["wgan_gp:10", "r2:1", "r1:1+r2:1", "r2:cosine:1:0"])
@pytest.mark.parametrize("recipe", [recipes.cgan_embedding, recipes.acgan])
def test_a_penalty_at_fakes_of_other_labels_is_refused(recipe: Any, penalty: str) -> None:
    with pytest.raises(InputError, match="needs the same labels for real and generated examples"):
        _applied(recipe((2,), 3), penalty=penalty)
    for allowed in ("r1:1", "dragan:1", "none", "recipe"):
        _applied(recipe((2,), 3), penalty=allowed)
    _applied(recipes.cgan((2,), 3), penalty=penalty)


def test_any_discriminator_of_images_is_augmented_in_the_range_of_its_data() -> None:
    shape = (8, 8, 1)
    for gan in (recipes.gan(shape), recipes.dcgan(shape)):
        found = _applied(gan, shape=shape, augment="cutout,color")
        assert isinstance(found.discriminator, Augmented)
        assert found.discriminator.net is gan.discriminator
        assert (found.discriminator.policy, found.discriminator.data_range) == (("cutout", "color"), gan.data_range)
        for own in ("none", "recipe"):
            assert _applied(gan, shape=shape, augment=own).discriminator is gan.discriminator
        # In place of the recipe's own, where it has any.
        assert _applied(found, shape=shape, augment="color").discriminator.net is gan.discriminator
        assert _applied(found, shape=shape, augment="none").discriminator is gan.discriminator
        assert _applied(found, shape=shape, augment="recipe").discriminator is found.discriminator


def test_points_are_not_augmented() -> None:
    with pytest.raises(InputError, match="--augment is for images"):
        _applied(recipes.gan((2,)), augment="color")
    _applied(recipes.gan((2,)), augment="none")


def test_nothing_can_not_be_lazy() -> None:
    for gan, typed in (
        (recipes.gan((2,)), {}),
        (recipes.wgan_gp((2,)), {"penalty": "none"}),
    ):
        with pytest.raises(InputError, match="--lazy needs a penalty"):
            _applied(gan, **typed, lazy="2")
    _applied(recipes.gan((2,)), penalty="r1:1", lazy="2")


def test_a_minibatch_that_can_not_be_divided_is_refused() -> None:
    with pytest.raises(InputError, match="a minibatch of 6 can't be divided into 4 equal parts"):
        _applied(recipes.gan((2,)), accumulate="4")
    with pytest.raises(InputError, match="can't be divided"):
        _applied(recipes.gan((2,)), accumulate="2", batch_size="1")


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("loss", "vanilla", "expected one of minimax, non_saturating"),
        ("loss", "none", "expected one of"),
        ("penalty", "r9:1", "NAME one of wgan_gp, dragan, r1, r2"),
        ("lazy", "0", "at least 1"),
        ("augment", "blur", "expected one of color, translation, cutout, got 'blur'"),
        ("augment", "color,color", "expected different augmentations"),
        ("augment", "", "expected one of"),
        ("accumulate", "0", "at least 1"),
    ],
)
def test_what_is_no_objective_says_what_was_expected(option: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        OBJECTIVE_OPTIONS[option].parse(text)
