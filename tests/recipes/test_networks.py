"""Networks are those of the papers and their code."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax import GAN, InputError, recipes
from gan_jax.lab.options import keyword_defaults, of_recipe
from gan_jax.recipes.mlp import OF_IMAGES
from tests.helpers import assert_close
from tests.recipes.helpers import BATCH, CODED, KEY, ON_POINTS, RECIPES, channels, kernels, numbers


@pytest.mark.parametrize(
    ("make", "generator", "discriminator"),
    [
        (lambda: recipes.gan((28, 28, 1), width=256, latent=100), [(100, 256), (256, 784)], [(784, 256), (256, 1)]),
        (
            lambda: recipes.gan_deep((28, 28, 1), width=512, latent=100),
            [(100, 128), (128, 256), (256, 512), (512, 1024), (1024, 784)],
            [(784, 512), (512, 512), (512, 512), (512, 1)],
        ),
        (
            lambda: recipes.wgan((28, 28, 1), width=512, depth=4, latent=100),
            [(100, 512), (512, 512), (512, 512), (512, 512), (512, 784)],
            [(784, 512), (512, 512), (512, 512), (512, 512), (512, 1)],
        ),
        (
            lambda: recipes.wgan((28, 28, 1), width=256, depth=2, d_width=512, d_depth=1, latent=100),
            [(100, 256), (256, 256), (256, 784)],
            [(784, 512), (512, 1)],
        ),
        (
            lambda: recipes.cgan((28, 28, 1), 10, width=128, latent=100),
            [(110, 128), (128, 784)],
            [(794, 128), (128, 1)],
        ),
        (
            lambda: recipes.cgan_embedding((28, 28, 1), 10, width=512, latent=100),
            [(110, 128), (128, 256), (256, 512), (512, 1024), (1024, 784), (10, 10)],
            [(794, 512), (512, 512), (512, 512), (10, 10), (512, 1)],
        ),
        (
            lambda: recipes.cdcgan((28, 28, 1), 10, width=128, latent=100),
            [(5, 5, 128, 256), (5, 5, 1, 128), (110, 7 * 7 * 256)],
            [(5, 5, 11, 128), (5, 5, 128, 256), (7 * 7 * 256, 1)],
        ),
        (
            lambda: recipes.acgan((28, 28, 1), 10, width=128, latent=100),
            [(5, 5, 128, 256), (5, 5, 1, 128), (110, 7 * 7 * 256)],
            [(5, 5, 1, 128), (5, 5, 128, 256), (7 * 7 * 256, 10), (7 * 7 * 256, 1)],
        ),
    ],
    ids=["gan", "gan_deep", "wgan", "wgan, own critic", "cgan", "cgan_embedding", "cdcgan", "acgan"],
)
def test_networks_of_the_sources(make: Callable[[], GAN], generator: Any, discriminator: Any) -> None:
    gan, y = make(), jnp.zeros(1, jnp.int32)
    assert sorted(kernels(gan.generator, jnp.zeros((1, 100)), y)) == sorted(generator)
    assert sorted(kernels(gan.discriminator, jnp.zeros((1, 28, 28, 1)), y)) == sorted(discriminator)


def normalised(net: nn.Module, x: Any, y: Any) -> list[int]:
    """The channels of every BatchNorm."""
    variables = jax.eval_shape(lambda: net.init(KEY, x, y, False))
    paths = jax.tree.leaves_with_path(variables["batch_stats"])
    return sorted(leaf.shape[0] for path, leaf in paths if path[-1].key == "mean")


def test_networks_of_infogan() -> None:
    gan = recipes.infogan((28, 28, 1))
    y = gan.conditioning.draw(KEY, 1)
    assert sorted(kernels(gan.generator, jnp.zeros((1, 62)), y)) == sorted(
        [(74, 1024), (1024, 7 * 7 * 128), (5, 5, 64, 128), (5, 5, 1, 64)]
    )
    q = [(1024, 128), (128, 10), (128, 2), (128, 2)]
    body = [(5, 5, 1, 64), (5, 5, 64, 128), (7 * 7 * 128, 1024)]
    x = jnp.zeros((1, 28, 28, 1))
    assert sorted(kernels(gan.discriminator, x, y)) == sorted([*body, (1024, 1), *q])
    # BatchNorm where appendix C.1 has it: in all hidden layers but D's first.
    scales = [normalised(*net) for net in ((gan.generator, jnp.zeros((1, 62)), y), (gan.discriminator, x, y))]
    assert scales == [[64, 128, 1024], [128, 128, 1024]]


@pytest.mark.parametrize(
    ("name", "function"),
    [("relu", lambda h: np.maximum(h, 0)), ("leaky_relu", lambda h: np.where(h > 0, h, 0.2 * h)), ("abs", np.abs)],
)
def test_critic_of_wgan_has_the_activation_asked_for(name: Any, function: Callable[[Any], Any]) -> None:
    critic = recipes.wgan((2, 2, 1), width=8, d_activation=name).discriminator
    x = jax.random.normal(KEY, (BATCH, 2, 2, 1))
    params = jax.tree.map(np.asarray, critic.init(KEY, x, None, True)["params"])
    hidden, head = params["Dense_0"], params["head"]["Dense_0"]
    h = function(np.asarray(x).reshape(BATCH, 4) @ hidden["kernel"] + hidden["bias"])
    assert_close(critic.apply({"params": params}, x, None, True), (h @ head["kernel"] + head["bias"])[:, 0])


def _changes_the_networks(name: str, option: str) -> bool:
    """On points; refusing is no silence either."""
    made, declared = RECIPES[name]((2,), 3), of_recipe(RECIPES[name])[option]
    for text in ("yes", "no", "0.3", "7", "abs", "bfloat16", "resnet", "8,4"):
        try:
            value = declared.parse(text)
        except ValueError:
            continue
        try:
            other = RECIPES[name]((2,), 3, **{option: value})
        except InputError:
            return True
        if (other.generator, other.discriminator) != (made.generator, made.discriminator):
            return True
    return False


@pytest.mark.parametrize("name", sorted({name for name, _ in ON_POINTS} - CODED))
def test_options_without_effect_on_points_are_known(name: str) -> None:
    """A sweep over one of them would compare runs of the same networks."""
    of_networks = keyword_defaults(RECIPES[name]).keys() & of_recipe(RECIPES[name]).keys()
    of_networks -= numbers(name) | {"latent", "n_critic", "saturating"}
    silent = {option for option in of_networks if not _changes_the_networks(name, option)}
    assert silent == OF_IMAGES.get(RECIPES[name], frozenset())


def test_widths_take_the_place_of_width_and_decide_the_depth() -> None:
    shape, latents = (32, 32, 3), jnp.zeros((1, 100))
    x = jnp.zeros((1, *shape))
    gan = recipes.dcgan(shape, widths=(48, 20))
    assert sorted(kernels(gan.generator, latents, None)) == [(5, 5, 3, 20), (5, 5, 20, 48), (100, 8 * 8 * 48)]
    assert sorted(kernels(gan.discriminator, x, None)) == [(5, 5, 3, 20), (5, 5, 20, 48), (8 * 8 * 48, 1)]
    three = recipes.dcgan(shape, width=20)
    assert sorted(kernels(three.generator, latents, None))[:3] == [(5, 5, 3, 20), (5, 5, 20, 40), (5, 5, 40, 80)]
    assert recipes.dcgan(shape, width=20, widths=(80, 40, 20)).generator == three.generator
    r3gan = recipes.r3gan(shape, width=4)
    assert r3gan.generator.widths == r3gan.discriminator.widths[::-1] == (32, 16, 8, 4)
    assert recipes.r3gan(shape, widths=(5, 4)).discriminator.widths == (4, 5)
    for name in ("wgan_gp", "sngan"):
        pyramid = RECIPES[name](shape, net="resnet", widths=(12, 8, 4))
        assert pyramid.generator.widths == (12, 8, 4)
        assert pyramid.generator.base == 12
        assert pyramid.discriminator.widths[-1] == 12


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: recipes.dcgan((28, 28, 1), widths=(8, 4, 2)), "give 1 to 2 widths"),
        (lambda: recipes.r3gan((28, 28, 1), widths=(8,)), "give 2 to 3 widths"),
        (lambda: recipes.sngan((32, 32, 3), net="resnet", widths=(8,) * 5), "give 1 to 4 widths"),
        (lambda: recipes.dcgan((2,), widths=(8,)), "widths is an option of convolutional networks"),
        (lambda: recipes.r3gan((2,), widths=(8, 4)), "widths is an option of convolutional networks"),
        (lambda: recipes.wgan_gp((2,), net="resnet"), "net is an option of convolutional networks"),
        (lambda: recipes.sngan((32, 32, 3), net="resnet", apart=True), "apart is an option of dcgan's networks"),
    ],
)
def test_layers_that_can_not_be_are_refused(make: Callable[[], GAN], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()


# Channels in, channels out and rows of every 3 x 3 convolution: the tables of the papers' appendices, and for 64 x 64
# the authors' code.
@pytest.mark.parametrize(
    ("make", "generator", "discriminator"),
    [
        (
            lambda: recipes.sngan((32, 32, 3), net="resnet", width=256),
            [(256, 256, n) for n in (8, 8, 16, 16, 32, 32)] + [(256, 3, 32)],
            [(3, 128, 32), (128, 128, 32), (128, 128, 16), (128, 128, 16), *[(128, 128, 8)] * 4],
        ),
        (
            lambda: recipes.wgan_gp((32, 32, 3), net="resnet", width=128),
            [(128, 128, n) for n in (8, 8, 16, 16, 32, 32)] + [(128, 3, 32)],
            [(3, 128, 32), (128, 128, 32), (128, 128, 16), (128, 128, 16), *[(128, 128, 8)] * 4],
        ),
        (
            lambda: recipes.wgan_gp((64, 64, 3), net="resnet", width=64),
            [
                (512, 512, 8), (512, 512, 8), (512, 256, 16), (256, 256, 16), (256, 128, 32), (128, 128, 32),
                (128, 64, 64), (64, 64, 64), (64, 3, 64),
            ],
            [
                (3, 64, 64), (64, 64, 64), (64, 128, 64), (128, 128, 32), (128, 256, 32), (256, 256, 16),
                (256, 512, 16), (512, 512, 8), (512, 512, 8),
            ],
        ),
        (
            lambda: recipes.sngan((64, 64, 3), net="resnet", width=64),
            [
                (1024, 512, 8), (512, 512, 8), (512, 256, 16), (256, 256, 16), (256, 128, 32), (128, 128, 32),
                (128, 64, 64), (64, 64, 64), (64, 3, 64),
            ],
            [
                (3, 64, 64), (64, 64, 64), (64, 64, 32), (64, 128, 32), (128, 128, 16), (128, 256, 16), (256, 256, 8),
                (256, 512, 8), (512, 512, 4), (512, 1024, 4),
            ],
        ),
        (
            lambda: recipes.sngan((128, 128, 3), net="resnet", width=64),
            [
                (1024, 1024, 8), (1024, 1024, 8), (1024, 512, 16), (512, 512, 16), (512, 256, 32), (256, 256, 32),
                (256, 128, 64), (128, 128, 64), (128, 64, 128), (64, 64, 128), (64, 3, 128),
            ],
            [
                (3, 64, 128), (64, 64, 128), (64, 64, 64), (64, 128, 64), (128, 128, 32), (128, 256, 32),
                (256, 256, 16), (256, 512, 16), (512, 512, 8), (512, 1024, 8), (1024, 1024, 4), (1024, 1024, 4),
            ],
        ),
    ],
    ids=["sngan 32", "wgan_gp 32", "wgan_gp 64", "sngan 64", "sngan 128"],
)  # fmt: skip
def test_residual_networks_are_the_published_ones(make: Callable[[], GAN], generator: Any, discriminator: Any) -> None:
    gan = make()
    assert channels(gan.generator, jnp.zeros((1, 128)), None) == generator
    assert channels(gan.discriminator, jnp.zeros((1, *gan.generator.shape)), None) == discriminator
    assert gan.generator.base == generator[0][0]
