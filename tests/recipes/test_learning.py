"""Recipes learn what tiny data looks like."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import GAN, recipes, training
from tests.helpers import few, jit
from tests.recipes.helpers import LABELLED, LEARNING, RECIPES, options

CENTRES = np.array([[1.5, -1.0], [-1.0, 0.5]])


def points(labelled: bool) -> training.Examples:
    """A round Gaussian, or two with a label each."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4096) if labelled else np.zeros(4096, np.int64)
    x = CENTRES[labels] + 0.4 * rng.normal(size=(4096, 2))
    return training.Examples(jnp.asarray(x, jnp.float32), jnp.asarray(labels, jnp.int32) if labelled else None)


Samples = list[jax.Array]


# Of key 0 the first generators happen to draw around the data already.
SEED = jax.random.key(1)


def learn(gan: GAN, data: training.Examples, steps: int, conditions: list[Any]) -> tuple[Samples, Samples]:
    """128 samples of each condition before and after training."""

    @jit
    def run(rng: jax.Array) -> Any:
        before = training.initial_state(gan, rng, data)
        after, _ = training.train(gan, before, data, rng, steps=steps, batch_size=32)
        return tuple([gan.sample(state, rng, 128, y) for y in conditions] for state in (before, after))

    before, after = run(SEED)
    return before, after


@pytest.mark.parametrize("name", few(LEARNING, "wgan"))
def test_learns_where_points_lie(name: str) -> None:
    labelled = name in LABELLED
    # A penalty of weight 10, which suits images, can hold a critic of the plane at the wrong sign.
    suited = {"n_critic": 2, "clip": 0.1, "weight": 0.1}
    suited = {option: value for option, value in suited.items() if option in options(name)}
    gan = RECIPES[name]((2,), 2 * labelled, width=32, latent=2, lr=1e-3, ema=0.99, **suited)
    conditions = [jnp.full(128, label, jnp.int32) for label in range(2)] if labelled else [None]

    def distance(samples: Samples) -> float:
        means = np.stack([x.mean(0) for x in samples])
        return float(np.linalg.norm(means - CENTRES[: len(samples)], axis=1).mean())

    before, after = learn(gan, points(labelled), 1000, conditions)
    assert distance(after) < distance(before) / 3


# Class 0 is bright on the left, class 1 on top.
STRIPES = np.full((2, 8, 8, 1), 40, np.uint8)


STRIPES[0, :, :4] = 215


STRIPES[1, :4] = 215


def stripes() -> training.Examples:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 512)
    x = np.clip(STRIPES[labels] + 20 * rng.normal(size=(512, 8, 8, 1)), 0, 255)
    return training.Examples(jnp.asarray(x.astype(np.uint8)), jnp.asarray(labels, jnp.int32))


@pytest.mark.parametrize(
    ("name", "width", "lr", "steps"),
    [
        ("cdcgan", 8, 2e-3, 50),
        pytest.param("completion", 64, 1e-3, 200, marks=pytest.mark.slow),
        pytest.param("translation", 8, 2e-3, 50, marks=pytest.mark.slow),
    ],
    ids=["cdcgan", "completion", "translation"],
)
def test_learns_what_images_look_like(name: str, width: int, lr: float, steps: int) -> None:
    gan = RECIPES[name]((8, 8, 1), 2, width=width, latent=4, lr=lr)
    targets = training.from_uint8(jnp.asarray(STRIPES), gan.data_range)
    conditions = [jnp.full(128, label, jnp.int32) for label in range(2)]
    if name == "completion":
        conditions = [jnp.broadcast_to(target[:4], (128, 4, 8, 1)) for target in targets]
    if name == "translation":
        conditions = [jnp.broadcast_to(target[::4, ::4], (128, 2, 2, 1)) for target in targets]

    def distance(samples: Samples) -> float:
        return float(abs(np.stack([x.mean(0) for x in samples]) - targets).mean())

    before, after = learn(gan, stripes(), steps, conditions)
    assert distance(after) < distance(before) / 2


@pytest.mark.slow
def test_tagger_learns_which_tags_a_picture_has() -> None:
    pictures = stripes()
    tags = jnp.stack([pictures.labels == 0, pictures.labels == 1, pictures.labels >= 0], axis=1).astype(jnp.float32)
    gan = recipes.tagger((3,), width=4, hidden=16, latent=2, lr=3e-3, dropout=0.0)
    _, after = learn(
        gan, training.Examples(tags, pictures.x), 150, [training.from_uint8(pictures.x[:128], (-1.0, 1.0))]
    )
    assert (after[0] == tags[:128]).all(axis=1).mean() > 0.9
