"""All recipes, the smallest that they can be, and batches for them."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax import GAN, Batch, GANState, Player, recipes, training
from gan_jax.lab.options import of_recipe
from gan_jax.nets.layers import Conv
from tests.helpers import all_finite, differ, few

KEY = jax.random.key(0)
CLASSES, BATCH = 10, 4


METRICS = {
    "d_loss", "penalty", "estimate", "d_real", "d_fake", "saturated", "d_grad", "g_loss", "d_fake_after", "g_grad"
}  # fmt: skip


RECIPES: dict[str, Callable[..., GAN]] = {name: getattr(recipes, name) for name in recipes.__all__}


def options(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(RECIPES[name]).parameters)


def tiny(name: str, shape: tuple[int, ...], num_classes: int = CLASSES, **kwargs: Any) -> GAN:
    """A small GAN of a recipe for examples of this shape; for pictures of it, where the recipe draws tags for them."""
    shape = (TAGS,) if name in TAGGED else shape
    small = {"width": 8, "hidden": 8, "latent": 4, "n_critic": 2}
    return RECIPES[name](shape, num_classes, **{k: v for k, v in small.items() if k in options(name)} | kwargs)


def numbers(name: str) -> set[str]:
    """The options that only scale numbers, and may be traced."""
    return {option for option, declared in of_recipe(RECIPES[name]).items() if declared.scales}


LABELLED = [name for name in RECIPES if options(name)["num_classes"].default is inspect.Parameter.empty]


OPTIONALLY_LABELLED = [name for name in RECIPES if "conditional" in options(name)]


# Every recipe, and once more with an option to use labels or other networks: (name, options).
CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in RECIPES),
    *((name, {"conditional": True}) for name in OPTIONALLY_LABELLED),
]


CONDITIONAL = [(name, {}) for name in LABELLED] + [(name, {"conditional": True}) for name in OPTIONALLY_LABELLED]


# A test of what recipes learn trains these on points.
LEARNING = ("gan", "wgan", "cgan", "lsgan", "acgan", "wgan_gp", "sngan", "dragan", "r3gan")


# Conditioned on pictures: they take images only.
PICTURED = ("completion", "translation", "tagger")


TAGGED, TAGS = {"tagger"}, 5


ON_POINTS = [(name, kwargs) for name, kwargs in CASES if name not in PICTURED]


CODED = {"infogan"}


CONVOLUTIONAL = RECIPES.keys() - {"gan", "gan_deep", "wgan", "cgan", "cgan_embedding", *TAGGED}


# A dense net with a clipped critic, and convolutions with BatchNorm and labels: these are quick where a test compiles
# or traces a step.
KINDS = ("wgan", "cdcgan")


# They have more than labels to be conditioned on.
CONDITIONED = {"completion", "infogan", "tagger", "translation"}


every_recipe = pytest.mark.parametrize("name", RECIPES)


few_recipes = pytest.mark.parametrize("name", few(RECIPES, *KINDS))


def cases(which: list[tuple[str, dict[str, Any]]], quick: Sequence[tuple[str, dict[str, Any]]] | None = None) -> Any:
    """Parameters (name, kwargs), all slow but the quick ones; without `quick` none is slow."""
    assert quick is None or all(case in which for case in quick)
    return pytest.mark.parametrize(
        ("name", "kwargs"),
        [
            pytest.param(
                *case,
                id=" ".join([case[0], *case[1]]),
                marks=[pytest.mark.slow] if quick is not None and case not in quick else [],
            )
            for case in which
        ],
    )


# The papers' residual networks, where a recipe has them as an option; they are for images.
RESIDUAL: list[tuple[str, dict[str, Any]]] = [
    ("wgan_gp", {"net": "resnet"}),
    ("sngan", {"net": "resnet"}),
    ("sngan", {"net": "resnet", "conditional": True}),
]


FEW: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in KINDS]


def draw(gan: GAN, shape: tuple[int, ...], seed: int = 0) -> Batch:
    """A batch of random images or points with random labels, as the GAN sees it."""
    rng = np.random.default_rng(seed)
    size = (gan.n_critic, BATCH)
    x = rng.integers(0, 256, (*size, *shape)).astype(np.uint8) if len(shape) == 3 else rng.normal(size=(*size, *shape))
    labels = jnp.asarray(rng.integers(0, CLASSES, size), jnp.int32)
    if gan.conditioning.view is not None and gan.conditioning.view.tags:
        tags = jnp.asarray(rng.integers(0, 2, (*size, TAGS)), jnp.float32)
        return training.as_batch(gan, training.Examples(tags, jnp.asarray(x, jnp.uint8)))
    return training.as_batch(gan, training.Examples(jnp.asarray(x, None if len(shape) == 3 else jnp.float32), labels))


def check_step(before: GANState, after: GANState, metrics: dict[str, jax.Array]) -> None:
    assert metrics.keys() == METRICS
    assert all(value.shape == () for value in metrics.values())
    assert jax.tree.map(jax.typeof, after) == jax.tree.map(jax.typeof, before)
    assert all_finite((after, metrics))
    assert (before.step, after.step) == (0, 1)
    assert differ(after.generator.params, before.generator.params)
    assert differ(after.discriminator.params, before.discriminator.params)


def filled(state: GANState) -> GANState:
    """Some state of the given shapes: initialisation takes longer to compile than a step."""
    rng = np.random.default_rng(0)

    def fill(player: Player) -> Player:
        return Player(
            jax.tree.map(lambda leaf: (0.1 * rng.normal(size=leaf.shape)).astype(leaf.dtype), player.params),
            jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), player.collections),
            jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), player.opt_state),
        )

    generator, discriminator = fill(state.generator), fill(state.discriminator)
    ema = None if state.ema is None else generator.variables
    return GANState(np.zeros((), np.int32), generator, discriminator, ema)


def kernels(net: Any, *inputs: Any) -> list[tuple[int, ...]]:
    params = jax.eval_shape(lambda: net.init(KEY, *inputs, train=False))["params"]
    return [leaf.shape for path, leaf in jax.tree.leaves_with_path(params) if path[-1].key in ("kernel", "embedding")]


def channels(net: Any, *inputs: Any) -> list[tuple[int, ...]]:
    """Channels in and out of the 3 x 3 convolutions, in the order in which they compute."""
    found: dict[tuple[str, ...], tuple[int, ...]] = {}  # A layer under spectral norm is called twice.

    def record(following: Any, args: Any, kwargs: Any, context: Any) -> Any:
        y = following(*args, **kwargs)
        if isinstance(context.module, Conv) and context.method_name == "__call__":
            found[context.module.path] = (args[0].shape[-1], y.shape[-1], y.shape[1])
        return y

    with nn.intercept_methods(record):
        jax.eval_shape(lambda: net.init(KEY, *inputs, False))
    return list(found.values())
